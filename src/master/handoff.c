/* The handover between two masters; see handoff.h.  Room: master.  It is a
 * list of KEY NUL VALUE NUL; keys that are not known are skipped, so that
 * versions may differ. */
#include "master/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_conf_priv.h"

#define HANDOFF_MAX	(1024 * 1024)
#define HANDOFF_FIRST	"apworkerd-handoff"

static void
put(struct apw_buf *b, const char *key, const char *value)
{
	if (value == NULL)
		return;
	apw_buf_put(b, key, strlen(key) + 1);
	apw_buf_put(b, value, strlen(value) + 1);
}

static void
put_number(struct apw_buf *b, const char *key, long n)
{
	char	text[32];

	snprintf(text, sizeof(text), "%ld", n);
	put(b, key, text);
}

static void
put_secret(void *arg, const char *name, const char *value)
{
	char	key[96];

	snprintf(key, sizeof(key), "secret.%s", name);
	put(arg, key, value);
}

int
apw_handoff_write(const struct apw_handoff *h, struct apw_err *err)
{
	struct apw_buf	 b = APW_BUF_INIT(HANDOFF_MAX);
	apw_autofd int	 fd = memfd_create("apworkerd-handoff", MFD_CLOEXEC);
	bool		 ok;
	size_t		 i;

	put(&b, HANDOFF_FIRST, "1");
	put(&b, "file", h->conf.file);
	put(&b, "prefix", h->conf.prefix);
	put(&b, "globals", h->conf.globals);
	put_number(&b, "lanes", h->lanes);
	put_number(&b, "lock", h->lock_fd);
	if (h->score_fd != -1)
		put_number(&b, "score", h->score_fd);
	put_number(&b, "ready", h->ready_fd);
	for (i = 0; i < h->listeners.n; i++) {
		put(&b, "listen", h->listeners.names[i]);
		put_number(&b, "fd", h->listeners.fds[i]);
	}
	apw_conf_env_secrets_each(put_secret, &b);
	ok = !b.failed && fd != -1 &&
	    write(fd, b.data, b.len) == (ssize_t)b.len &&
	    lseek(fd, 0, SEEK_SET) == 0;
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	apw_buf_free(&b);
	if (!ok)
		return apw_err_set(err, errno, "cannot write the handover");
	return apw_take_fd(&fd);
}

/* It was inherited on purpose; whom we start gets it by choice only. */
static int
take_fd(const char *value)
{
	int	fd = atoi(value);

	if (fd <= STDERR_FILENO || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	return fd;
}

static int
take_listener(struct apw_handoff *h, const char *value)
{
	struct apw_listeners	*l = &h->listeners;

	if (l->n == 0 || l->fds[l->n - 1] != -1 ||
	    (l->fds[l->n - 1] = take_fd(value)) == -1)
		return -1;
	return 0;
}

static int
take_name(struct apw_handoff *h, const char *value)
{
	struct apw_listeners	*l = &h->listeners;

	if (l->n == APW_LISTEN_MAX || (l->n > 0 && l->fds[l->n - 1] == -1))
		return -1;
	if (l->fds == NULL)
		l->fds = calloc(APW_LISTEN_MAX, sizeof(*l->fds));
	if (l->names == NULL)
		l->names = calloc(APW_LISTEN_MAX, sizeof(*l->names));
	if (l->fds == NULL || l->names == NULL ||
	    (l->names[l->n] = strdup(value)) == NULL)
		return -1;
	l->fds[l->n++] = -1;
	return 0;
}

/* Its stars are in the environment that we inherited: it takes their room. */
static int
take_secret(const char *name, const char *value)
{
	char	*stars = getenv(name);

	if (stars == NULL || strlen(stars) != strlen(value))
		return setenv(name, value, 1);
	memcpy(stars, value, strlen(value));
	return 0;
}

static int
take(struct apw_handoff *h, const char *key, const char *value)
{
	if (strcmp(key, "file") == 0)
		return (h->conf.file = strdup(value)) == NULL ? -1 : 0;
	if (strcmp(key, "prefix") == 0)
		return (h->conf.prefix = strdup(value)) == NULL ? -1 : 0;
	if (strcmp(key, "globals") == 0)
		return (h->conf.globals = strdup(value)) == NULL ? -1 : 0;
	if (strcmp(key, "lanes") == 0)
		h->lanes = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(key, "lock") == 0)
		h->lock_fd = take_fd(value);
	else if (strcmp(key, "score") == 0)
		h->score_fd = take_fd(value);
	else if (strcmp(key, "ready") == 0)
		h->ready_fd = take_fd(value);
	else if (strcmp(key, "listen") == 0)
		return take_name(h, value);
	else if (strcmp(key, "fd") == 0)
		return take_listener(h, value);
	else if (strncmp(key, "secret.", 7) == 0)
		return take_secret(key + 7, value);
	return 0;
}

static int
take_all(struct apw_handoff *h, char *p, size_t n)
{
	char	*end = p + n, *key, *value;
	bool	 first = true;

	while (p < end) {
		key = p;
		if ((value = memchr(key, '\0', (size_t)(end - key))) == NULL)
			return -1;
		value++;
		if ((p = memchr(value, '\0', (size_t)(end - value))) == NULL)
			return -1;
		p++;
		if (first && strcmp(key, HANDOFF_FIRST) != 0)
			return -1;
		if (!first && take(h, key, value) == -1)
			return -1;
		first = false;
	}
	return first ? -1 : 0;
}

int
apw_handoff_read(struct apw_handoff *h, struct apw_err *err)
{
	const char	*number = getenv(APW_HANDOFF_ENV);
	apw_autofd int	 fd = -1;
	struct stat	 st;
	char		*text, *entry;
	int		 rc = -1;

	*h = (struct apw_handoff){ .lock_fd = -1, .score_fd = -1,
	    .ready_fd = -1 };
	if (number == NULL)
		return 0;
	fd = take_fd(number);
	entry = (char *)(uintptr_t)number - sizeof(APW_HANDOFF_ENV);
	unsetenv(APW_HANDOFF_ENV);
	free(entry);		/* the title's copy, see apw_title_init() */
	if (fd == -1 || fstat(fd, &st) == -1 || st.st_size <= 0 ||
	    st.st_size > HANDOFF_MAX ||
	    (text = malloc((size_t)st.st_size)) == NULL)
		return apw_err_set(err, 0, "%s names no handover",
		    APW_HANDOFF_ENV);
	if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
		rc = take_all(h, text, (size_t)st.st_size);
	explicit_bzero(text, (size_t)st.st_size);
	free(text);
	if (rc == -1)
		return apw_err_set(err, 0, "the handover of the old daemon "
		    "cannot be read");
	h->given = true;
	return 0;
}
