/* One name to its addresses; see resolver.h.  Room: egress.
 *
 * c-ares calls back at once, later, or (cancelled) after who asked is gone: a
 * look-up therefore lives until c-ares has said its word, and tells its
 * result from an event of its own. */
#include "egress/resolver_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"

#define LOOKUP_MAGIC	0x4c4f4f4b

struct apw_egress_lookup {
	uint32_t		 magic;
	struct apw_egress_resolver *resolver;	/* borrowed; NULL: cancelled */
	unsigned		*asked;		/* its resolver's count, while
						 * c-ares owes a callback */
	struct event		*tell;		/* owned */
	apw_egress_lookup_fn	*fn;
	void			*arg;		/* borrowed */
	const char		*error;		/* a literal, or c-ares' */
	size_t			 n;
	struct apw_addr		 found[APW_EGRESS_ADDRESSES];
};

static void
lookup_free(struct apw_egress_lookup *l)
{
	event_free(l->tell);
	l->magic = 0;
	free(l);
}

static void
lookup_add(struct apw_egress_lookup *l, const struct sockaddr *sa)
{
	struct apw_addr	a;
	size_t		i;

	if (l->n == APW_EGRESS_ADDRESSES || apw_addr_of(sa, &a) == -1)
		return;
	for (i = 0; i < l->n; i++)
		if (memcmp(&l->found[i], &a, sizeof(a)) == 0)
			return;
	l->found[l->n++] = a;
}

static void
lookup_on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct apw_egress_lookup	*l;

	(void)fd;
	(void)what;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	l->resolver->busy--;
	l->fn(l->arg, l->found, l->n, l->n == 0 ? l->error : NULL);
	lookup_free(l);
}

static void
lookup_on_answer(void *arg, int status, int timeouts,
    struct ares_addrinfo *found)
{
	struct ares_addrinfo_node	*node;
	struct apw_egress_lookup	*l;

	(void)timeouts;
	APW_CAST(l, arg, LOOKUP_MAGIC);
	(*l->asked)--;
	l->asked = NULL;
	for (node = found != NULL ? found->nodes : NULL; node != NULL &&
	    l->resolver != NULL; node = node->ai_next)
		lookup_add(l, node->ai_addr);
	if (found != NULL)
		ares_freeaddrinfo(found);
	l->error = status != ARES_SUCCESS ? ares_strerror(status) :
	    "no address";
	if (l->resolver == NULL)
		lookup_free(l);		/* cancelled: nobody waits */
	else
		event_active(l->tell, EV_TIMEOUT, 0);
}

/* "localhost" is never asked for: it is this host, whatever a name server
 * would say (RFC 6761). */
static bool
is_localhost(const char *name)
{
	size_t	n = strlen(name);

	if (n > 0 && name[n - 1] == '.')
		n--;
	return (n == 9 && strncasecmp(name, "localhost", 9) == 0) ||
	    (n > 10 && strncasecmp(name + n - 10, ".localhost", 10) == 0);
}

static void
lookup_localhost(struct apw_egress_lookup *l)
{
	apw_addr_parse("127.0.0.1", &l->found[0]);
	apw_addr_parse("::1", &l->found[1]);
	l->n = 2;
	event_active(l->tell, EV_TIMEOUT, 0);
}

static void
lookup_ask(struct apw_egress_lookup *l, const char *name)
{
	/* unsorted: sorting opens a socket for each address */
	struct ares_addrinfo_hints	hints = { .ai_family = AF_UNSPEC,
					    .ai_socktype = SOCK_STREAM,
					    .ai_protocol = IPPROTO_TCP,
					    .ai_flags = ARES_AI_NOSORT };
	char				plain[256];
	size_t				n = strlen(name);

	if (n > 0 && name[n - 1] == '.')
		n--;
	snprintf(plain, sizeof(plain), "%.*s", (int)n, name);
	l->asked = &l->resolver->asked;
	l->resolver->asked++;
	ares_getaddrinfo(l->resolver->dns, plain, NULL, &hints,
	    lookup_on_answer, l);
	resolver_wait(l->resolver);
}

struct apw_egress_lookup *
apw_egress_lookup_new(struct apw_egress_resolver *r, const char *name,
    apw_egress_lookup_fn *fn, void *arg)
{
	struct apw_egress_lookup	*l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	resolver_renew(r);
	l->magic = LOOKUP_MAGIC;
	l->fn = fn;
	l->arg = arg;
	l->tell = event_new(r->base, -1, 0, lookup_on_tell, l);
	if (l->tell == NULL) {
		free(l);
		return NULL;
	}
	l->resolver = r;
	r->busy++;
	if (is_localhost(name))
		lookup_localhost(l);
	else if (r->asked < RESOLVER_ASKED)
		lookup_ask(l, name);
	else {
		l->error = "too many names at once";
		event_active(l->tell, EV_TIMEOUT, 0);
	}
	return l;
}

/* Its question stays with c-ares, which can only take back all of them. */
void
apw_egress_lookup_cancel(struct apw_egress_lookup *l)
{
	if (l == NULL)
		return;
	l->resolver->busy--;
	l->resolver = NULL;
	event_del(l->tell);
	if (l->asked == NULL)
		lookup_free(l);
}
