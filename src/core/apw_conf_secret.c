/* Secrets: each lives in pages of its own that are neither swapped nor
 * dumped where the kernel allows it, and that are overwritten before they
 * are given back.  Room: core.  Nothing here prints anything. */
#include "core/apw_conf_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of a cycle; in its arena. */
struct apw_conf_secret {
	struct apw_conf_secret	*next;
	struct apw_secret	*owner;		/* borrowed: in a module's conf */
	char			*pages;
	size_t			 size;
};

/* Taken out of the environment; for the life of the process, because each
 * reload asks again. */
#define ENV_SECRETS_MAX	8
static struct {
	char	name[64];
	char	*pages;
	size_t	 size;
} env_secrets[ENV_SECRETS_MAX];

static char *
secret_pages(const char *from, size_t n, size_t *size)
{
	size_t	 page = (size_t)sysconf(_SC_PAGESIZE);
	char	*pages;

	*size = (n + 1 + page - 1) / page * page;
	pages = mmap(NULL, *size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return NULL;
	/* both are best effort: a container may allow neither */
	(void)mlock(pages, *size);
	(void)madvise(pages, *size, MADV_DONTDUMP);
	memcpy(pages, from, n);
	return pages;
}

static void
secret_wipe(struct apw_conf_secret *s)
{
	if (s->pages == NULL)
		return;
	explicit_bzero(s->pages, s->size);
	munmap(s->pages, s->size);
	if (s->owner->value == s->pages) {
		s->owner->value = NULL;
		s->owner->n = 0;
	}
	s->pages = NULL;
}

int
apw_conf_keep_secret(struct apw_conf *conf, struct apw_secret *owner,
    char *from, size_t n, struct apw_err *err)
{
	struct apw_conf_secret	*s;

	s = apw_arena_alloc(conf->arena, sizeof(*s));
	if (s == NULL || (s->pages = secret_pages(from, n, &s->size)) == NULL)
		return apw_err_set(err, ENOMEM, "no memory for a secret");
	explicit_bzero(from, n);
	s->owner = owner;
	s->next = conf->cycle->secrets;
	conf->cycle->secrets = s;
	owner->value = s->pages;
	owner->n = n;
	return 0;
}

void
apw_conf_secrets_free(struct apw_cycle *cycle)
{
	struct apw_conf_secret	*s;

	for (s = cycle->secrets; s != NULL; s = s->next)
		secret_wipe(s);
	cycle->secrets = NULL;
}

/* In the order of their directives; compared in memory of both cycles. */
bool
apw_conf_same_secrets(const struct apw_cycle *a, const struct apw_cycle *b)
{
	const struct apw_conf_secret	*x = a->secrets, *y = b->secrets;

	for (; x != NULL && y != NULL; x = x->next, y = y->next)
		if (x->pages == NULL || y->pages == NULL ||
		    x->size != y->size ||
		    memcmp(x->pages, y->pages, x->size) != 0)
			return false;
	return x == y;
}

static bool
is_starred(const char *s)
{
	return *s != '\0' && s[strspn(s, "*")] == '\0';
}

const char *
apw_conf_env_secret(const char *name)
{
	char	*value = getenv(name);
	size_t	 i;

	if (value == NULL || *value == '\0' || strlen(name) >= 64)
		return NULL;
	for (i = 0; i < ENV_SECRETS_MAX; i++)
		if (env_secrets[i].pages == NULL ||
		    strcmp(env_secrets[i].name, name) == 0)
			break;
	if (i == ENV_SECRETS_MAX)
		return value;
	if (is_starred(value))
		return env_secrets[i].pages != NULL ? env_secrets[i].pages :
		    value;
	if (env_secrets[i].pages != NULL) {
		explicit_bzero(env_secrets[i].pages, env_secrets[i].size);
		munmap(env_secrets[i].pages, env_secrets[i].size);
	}
	env_secrets[i].pages = secret_pages(value, strlen(value),
	    &env_secrets[i].size);
	if (env_secrets[i].pages == NULL)
		return value;
	strcpy(env_secrets[i].name, name);
	/* what /proc/PID/environ shows to processes of the same user */
	memset(value, '*', strlen(value));
	return env_secrets[i].pages;
}

void
apw_conf_env_secrets_each(void (*fn)(void *, const char *, const char *),
    void *arg)
{
	size_t	i;

	for (i = 0; i < ENV_SECRETS_MAX; i++)
		if (env_secrets[i].pages != NULL)
			fn(arg, env_secrets[i].name, env_secrets[i].pages);
}

void
apw_secrets_wipe(struct apw_cycle *cycle)
{
	size_t	i;

	apw_conf_secrets_free(cycle);
	for (i = 0; i < ENV_SECRETS_MAX; i++) {
		if (env_secrets[i].pages == NULL)
			continue;
		explicit_bzero(env_secrets[i].pages, env_secrets[i].size);
		munmap(env_secrets[i].pages, env_secrets[i].size);
		env_secrets[i].pages = NULL;
	}
}
