/* One name to its addresses; see resolver.h.  Room: dial.
 *
 * c-ares calls back at once, later, or (cancelled) after who asked is gone: a
 * look-up therefore lives until c-ares has said its word, and tells its
 * result from an event of its own. */
#include "dial/resolver_priv.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"

#define LOOKUP_MAGIC	0x4c4f4f4b
#define LOOKUP_ALONE_MS	250	/* then A is asked for alone */
#define LOOKUP_GRACE_MS	50	/* then the rest is not waited for (RFC 8305) */

struct apw_lookup {
	uint32_t		 magic;
	struct apw_resolver *resolver;	/* borrowed; NULL: cancelled */
	unsigned		*asked;		/* its resolver's count */
	unsigned		 owed;		/* callbacks of c-ares */
	struct event		*tell;		/* owned: all that comes */
	struct event		*haste;		/* owned: what comes first */
	size_t			 told;		/* of found are told */
	apw_lookup_fn	*fn;
	void			*arg;		/* borrowed */
	char			 name[256];
	const char		*error;		/* a literal, or c-ares' */
	size_t			 n;
	struct apw_addr		 found[APW_DIAL_ADDRESSES];
};

static void
lookup_free(struct apw_lookup *l)
{
	if (l->tell != NULL)
		event_free(l->tell);
	if (l->haste != NULL)
		event_free(l->haste);
	l->magic = 0;
	free(l);
}

static void
lookup_add(struct apw_lookup *l, const struct sockaddr *sa)
{
	struct apw_addr	a;
	size_t		i;

	if (l->n == APW_DIAL_ADDRESSES || apw_addr_of(sa, &a) == -1)
		return;
	for (i = 0; i < l->n; i++)
		if (memcmp(&l->found[i], &a, sizeof(a)) == 0)
			return;
	l->found[l->n++] = a;
}

static void
lookup_on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct apw_lookup	*l;

	(void)fd;
	(void)what;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	l->resolver->busy--;
	l->fn(l->arg, l->found + l->told, l->n - l->told,
	    l->n == 0 ? l->error : NULL, false);
	l->resolver = NULL;
	if (l->owed == 0)
		lookup_free(l);
}

static void
lookup_take(struct apw_lookup *l, struct ares_addrinfo *found)
{
	struct ares_addrinfo_node	*node;

	for (node = found != NULL ? found->nodes : NULL; node != NULL &&
	    l->resolver != NULL; node = node->ai_next)
		lookup_add(l, node->ai_addr);
	if (found != NULL)
		ares_freeaddrinfo(found);
	(*l->asked)--;
	l->owed--;
}

static void
lookup_on_answer(void *arg, int status, int timeouts,
    struct ares_addrinfo *found)
{
	struct apw_lookup	*l;

	(void)timeouts;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	/* the whole goes before a part of it that nobody was told of */
	if (found != NULL && found->nodes != NULL && l->told == 0)
		l->n = 0;
	lookup_take(l, found);
	l->error = status != ARES_SUCCESS ? ares_strerror(status) :
	    "no address";
	if (l->resolver != NULL) {
		event_del(l->haste);
		event_active(l->tell, EV_TIMEOUT, 0);
	} else if (l->owed == 0)
		lookup_free(l);		/* cancelled: nobody waits */
}

/* A alone.  Nothing of it is needed when the whole has come meanwhile. */
static void
lookup_on_quick(void *arg, int status, int timeouts,
    struct ares_addrinfo *found)
{
	static const struct timeval	 tv = { 0, LOOKUP_GRACE_MS * 1000 };
	struct apw_lookup		*l;

	(void)status;
	(void)timeouts;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	if (l->resolver != NULL && (l->owed == 1 ||
	    event_pending(l->tell, EV_TIMEOUT, NULL))) {
		if (found != NULL)
			ares_freeaddrinfo(found);
		found = NULL;
	}
	lookup_take(l, found);
	if (l->resolver == NULL) {
		if (l->owed == 0)
			lookup_free(l);
	} else if (l->n > 0 && l->owed > 0)
		event_add(l->haste, &tv);
}

static void
lookup_ask(struct apw_lookup *l, int family, ares_addrinfo_callback fn)
{
	/* unsorted: sorting opens a socket for each address */
	struct ares_addrinfo_hints	hints = { .ai_family = family,
					    .ai_socktype = SOCK_STREAM,
					    .ai_protocol = IPPROTO_TCP,
					    .ai_flags = ARES_AI_NOSORT };
	struct apw_resolver	*r = l->resolver;

	l->owed++;
	r->asked++;
	ares_getaddrinfo(r->dns, l->name, NULL, &hints, fn, l);
	resolver_wait(r);
}

/* First it is time to ask for A alone, then to go on with what came of it. */
static void
lookup_on_haste(evutil_socket_t fd, short what, void *arg)
{
	struct apw_lookup	*l;

	(void)fd;
	(void)what;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	if (l->n > 0) {
		l->told = l->n;
		l->fn(l->arg, l->found, l->n, NULL, true);
	} else if (l->owed == 1 && l->resolver->asked < RESOLVER_ASKED)
		lookup_ask(l, AF_INET, lookup_on_quick);
}

/* "localhost" is never asked for: it is this host, whatever a name server
 * would say (RFC 6761). */
bool
apw_is_localhost(const char *name)
{
	size_t	n = strlen(name);

	if (n > 0 && name[n - 1] == '.')
		n--;
	return (n == 9 && strncasecmp(name, "localhost", 9) == 0) ||
	    (n > 10 && strncasecmp(name + n - 10, ".localhost", 10) == 0);
}

static void
lookup_localhost(struct apw_lookup *l)
{
	apw_addr_parse("127.0.0.1", &l->found[0]);
	apw_addr_parse("::1", &l->found[1]);
	l->n = 2;
	event_active(l->tell, EV_TIMEOUT, 0);
}

/* What the hosts file says of it; true: something. */
static bool
lookup_hosts(struct apw_lookup *l, const char *name)
{
	static const int	 families[] = { AF_INET, AF_INET6 };
	struct hostent		*host;
	struct apw_addr		 a;
	size_t			 i, k;

	for (i = 0; i < APW_COUNT(families); i++) {
		if (ares_gethostbyname_file(l->resolver->dns, name,
		    families[i], &host) != ARES_SUCCESS)
			continue;
		for (k = 0; host->h_addr_list[k] != NULL &&
		    l->n < APW_DIAL_ADDRESSES; k++) {
			a = (struct apw_addr){ .family = host->h_addrtype };
			memcpy(a.b, host->h_addr_list[k],
			    (size_t)host->h_length);
			l->found[l->n++] = a;
		}
		ares_free_hostent(host);
	}
	return l->n > 0;
}

/* A name that ends in the root's dot is whole: c-ares then knows of no search
 * list, but does not find it in the hosts file, which has names without. */
static bool
lookup_whole(struct apw_lookup *l, const char *name)
{
	char	plain[sizeof(l->name)];
	size_t	n = strlen(name);

	if (n < 2 || n >= sizeof(plain) || name[n - 1] != '.' ||
	    l->resolver->servers != NULL)
		return false;
	memcpy(plain, name, n - 1);
	plain[n - 1] = '\0';
	if (!lookup_hosts(l, plain))
		return false;
	event_active(l->tell, EV_TIMEOUT, 0);
	return true;
}

static void
lookup_begin(struct apw_lookup *l, const char *name)
{
	static const struct timeval	tv = { 0, LOOKUP_ALONE_MS * 1000 };

	if (lookup_whole(l, name))
		return;
	snprintf(l->name, sizeof(l->name), "%s", name);
	/* before the question: its answer may come within */
	event_add(l->haste, &tv);
	lookup_ask(l, AF_UNSPEC, lookup_on_answer);
}

struct apw_lookup *
apw_lookup_new(struct apw_resolver *r, const char *name,
    apw_lookup_fn *fn, void *arg)
{
	struct apw_lookup	*l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	resolver_renew(r);
	l->magic = LOOKUP_MAGIC;
	l->fn = fn;
	l->arg = arg;
	l->asked = &r->asked;
	l->tell = event_new(r->base, -1, 0, lookup_on_tell, l);
	l->haste = event_new(r->base, -1, 0, lookup_on_haste, l);
	if (l->tell == NULL || l->haste == NULL) {
		lookup_free(l);
		return NULL;
	}
	l->resolver = r;
	r->busy++;
	if (apw_is_localhost(name))
		lookup_localhost(l);
	else if (r->asked < RESOLVER_ASKED)
		lookup_begin(l, name);
	else {
		l->error = "too many names at once";
		event_active(l->tell, EV_TIMEOUT, 0);
	}
	return l;
}

/* Its question stays with c-ares, which can only take back all of them. */
void
apw_lookup_cancel(struct apw_lookup *l)
{
	if (l == NULL)
		return;
	l->resolver->busy--;
	l->resolver = NULL;
	event_del(l->tell);
	event_del(l->haste);
	if (l->owed == 0)
		lookup_free(l);
}
