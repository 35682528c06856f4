/* The slot's resolver; see resolver.h.  Room: egress.
 *
 * evdns calls back at once, later, or (cancelled) after who asked is gone: a
 * look-up therefore lives until evdns has said its last word, and tells its
 * result from an event of its own. */
#include "egress/resolver.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"

#define RESOLVER_MAGIC	0x52534c56
#define LOOKUP_MAGIC	0x4c4f4f4b
#define RESOLV_CONF	"/etc/resolv.conf"
#define LOOK_MS		1000	/* how often resolv.conf is looked at */

struct apw_egress_resolver {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct evdns_base	*dns;		/* owned */
	char			**servers;	/* owned */
	size_t			 nservers;	/* 0: the system's */
	unsigned		 busy;		/* look-ups under way */
	int64_t			 looked_ms;
	struct timespec		 changed;	/* of resolv.conf */
};

struct apw_egress_lookup {
	uint32_t		 magic;
	struct apw_egress_resolver *resolver;	/* borrowed; NULL: cancelled */
	struct evdns_getaddrinfo_request *request;	/* evdns' own */
	bool			 asked;		/* evdns owes a callback */
	struct event		*tell;		/* owned */
	apw_egress_lookup_fn	*fn;
	void			*arg;		/* borrowed */
	const char		*error;		/* a literal, or evutil's */
	size_t			 n;
	struct apw_addr		 found[APW_EGRESS_ADDRESSES];
};

/* --- servers --- */

static struct timespec
conf_changed(void)
{
	struct timespec	never = { 0, 0 };
	struct stat	st;

	return stat(RESOLV_CONF, &st) == 0 ? st.st_mtim : never;
}

static int
dns_open(struct apw_egress_resolver *r, struct apw_err *err)
{
	static const char *const	options[][2] = {
		{ "timeout:", "3" }, { "attempts:", "2" },
		{ "max-timeouts:", "200" }, { "max-inflight:", "1024" },
		{ "getaddrinfo-allow-skew:", "2" },
	};
	size_t				i;

	r->dns = evdns_base_new(r->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (r->dns == NULL)
		return apw_err_set(err, ENOMEM, "resolver");
	/* the first word counts: options of the file come second */
	for (i = 0; i < APW_COUNT(options); i++)
		evdns_base_set_option(r->dns, options[i][0], options[i][1]);
	for (i = 0; i < r->nservers; i++)
		if (evdns_base_nameserver_ip_add(r->dns, r->servers[i]) != 0)
			return apw_err_set(err, 0, "resolver: \"%s\" is no "
			    "address", r->servers[i]);
	if (r->nservers > 0)
		return 0;
	r->changed = conf_changed();
	evdns_base_resolv_conf_parse(r->dns, DNS_OPTION_SEARCH |
	    DNS_OPTION_NAMESERVERS | DNS_OPTION_HOSTSFILE, RESOLV_CONF);
	if (evdns_base_count_nameservers(r->dns) == 0)
		evdns_base_nameserver_ip_add(r->dns, "127.0.0.1");
	return 0;
}

/* The system's servers move with the network; look, but not all the time. */
static void
dns_renew(struct apw_egress_resolver *r)
{
	struct evdns_base	*old = r->dns;
	struct timespec		 now;

	if (r->nservers > 0 || r->busy > 0 ||
	    apw_now_ms() - r->looked_ms < LOOK_MS)
		return;
	r->looked_ms = apw_now_ms();
	now = conf_changed();
	if (now.tv_sec == r->changed.tv_sec &&
	    now.tv_nsec == r->changed.tv_nsec)
		return;
	if (dns_open(r, NULL) == -1) {
		if (r->dns != NULL)
			evdns_base_free(r->dns, 1);
		r->dns = old;
		return;
	}
	evdns_base_free(old, 1);
	apw_info("name servers were read again");
}

struct apw_egress_resolver *
apw_egress_resolver_new(struct event_base *base,
    const struct apw_strlist *servers, struct apw_err *err)
{
	struct apw_egress_resolver	*r = calloc(1, sizeof(*r));
	size_t				 i;

	if (r == NULL) {
		apw_err_set(err, ENOMEM, "resolver");
		return NULL;
	}
	r->magic = RESOLVER_MAGIC;
	r->base = base;
	r->looked_ms = apw_now_ms();
	r->servers = calloc(servers->n + 1, sizeof(char *));
	for (i = 0; r->servers != NULL && i < servers->n; i++) {
		r->servers[i] = strdup(servers->v[i]);
		if (r->servers[i] == NULL)
			break;
		r->nservers++;
	}
	if (r->nservers != servers->n || r->servers == NULL)
		apw_err_set(err, ENOMEM, "resolver");
	else if (dns_open(r, err) == 0)
		return r;
	apw_egress_resolver_free(r);
	return NULL;
}

void
apw_egress_resolver_free(struct apw_egress_resolver *r)
{
	size_t	i;

	if (r == NULL)
		return;
	if (r->dns != NULL)
		evdns_base_free(r->dns, 1);
	for (i = 0; i < r->nservers; i++)
		free(r->servers[i]);
	free(r->servers);
	r->magic = 0;
	free(r);
}

/* --- look-ups --- */

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
lookup_on_answer(int error, struct evutil_addrinfo *found, void *arg)
{
	struct evutil_addrinfo		*ai;
	struct apw_egress_lookup	*l;

	APW_CAST(l, arg, LOOKUP_MAGIC);
	l->asked = false;
	l->request = NULL;
	for (ai = found; ai != NULL && l->resolver != NULL; ai = ai->ai_next)
		lookup_add(l, ai->ai_addr);
	if (found != NULL)
		evutil_freeaddrinfo(found);
	l->error = error != 0 ? evutil_gai_strerror(error) : "no address";
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
	struct evutil_addrinfo	 hints = { .ai_family = AF_UNSPEC,
				    .ai_socktype = SOCK_STREAM,
				    .ai_protocol = IPPROTO_TCP };
	struct evdns_getaddrinfo_request *request;
	char			 plain[256];
	size_t			 n = strlen(name);

	if (n > 0 && name[n - 1] == '.')
		n--;
	snprintf(plain, sizeof(plain), "%.*s", (int)n, name);
	l->asked = true;
	request = evdns_getaddrinfo(l->resolver->dns, plain, NULL, &hints,
	    lookup_on_answer, l);
	if (l->asked)
		l->request = request;
}

struct apw_egress_lookup *
apw_egress_lookup_new(struct apw_egress_resolver *r, const char *name,
    apw_egress_lookup_fn *fn, void *arg)
{
	struct apw_egress_lookup	*l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	dns_renew(r);
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
	else
		lookup_ask(l, name);
	return l;
}

void
apw_egress_lookup_cancel(struct apw_egress_lookup *l)
{
	if (l == NULL)
		return;
	l->resolver->busy--;
	l->resolver = NULL;
	event_del(l->tell);
	if (!l->asked)
		lookup_free(l);
	else if (l->request != NULL)
		evdns_getaddrinfo_cancel(l->request);
}
