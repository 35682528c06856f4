/* The rules of strict; see rules.h.  Room: egress.
 *
 * Must never answer "open" for what it could not read. */
#include "egress/rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_arena.h"
#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "dial/proxy_env.h"

struct rules_ports {
	uint16_t	first, last;
};

/* The app: one host, one port.  When the host is an address, addr is it. */
struct rules_api {
	char		*host;		/* NULL: none */
	uint16_t	 port;
	bool		 numeric;
	struct apw_addr	 addr;
};

struct apw_egress_rules {
	unsigned			 refs;
	struct apw_arena		*arena;		/* owned; holds all */
	struct apw_strlist		 networks;	/* addresses, CIDRs */
	struct apw_strlist		 names;		/* "x.y", "*.y" */
	struct apw_strlist		 resolver;
	struct rules_ports		*ports;
	size_t				 nports;	/* 0: all */
	struct rules_api		 api;
	struct apw_egress_place		*only;		/* NULL: no such rule */
	size_t				 nonly;
	struct apw_egress_limits	 limits;
	char				*upstream;	/* NULL: none */
	bool				 upstream_names;
	char				*upstream_ca;	/* NULL: the system's */
	bool				 http_proxy;
	char				*app;		/* "host:port", "" */
	char				*text;
};

/* --- making --- */

static int
rules_add(struct apw_egress_rules *r, struct apw_strlist *list,
    const char *text)
{
	char	*copy = apw_arena_strdup(r->arena, text);

	if (copy == NULL)
		return -1;
	list->v[list->n++] = copy;
	return 0;
}

static int
rules_room(struct apw_egress_rules *r, struct apw_strlist *list, size_t n)
{
	list->v = apw_arena_alloc(r->arena, (n + 1) * sizeof(char *));
	return list->v == NULL ? -1 : 0;
}

/* The app's entries are addresses and networks only, as the Node worker has
 * it; names are the operator's to open. */
static int
rules_allow(struct apw_egress_rules *r, const struct apw_strlist *conf,
    const struct apw_strlist *app)
{
	size_t		i, n = conf->n + (app != NULL ? app->n : 0);
	struct apw_addr	addr;
	unsigned	bits;

	if (rules_room(r, &r->networks, n) == -1 ||
	    rules_room(r, &r->names, conf->n) == -1)
		return -1;
	for (i = 0; i < conf->n; i++)
		if (rules_add(r, apw_addr_entry(conf->v[i], &addr,
		    &bits) == 0 ? &r->networks : &r->names,
		    conf->v[i]) == -1)
			return -1;
	for (i = 0; app != NULL && i < app->n; i++)
		if (apw_addr_entry(app->v[i], &addr, &bits) == 0 &&
		    rules_add(r, &r->networks, app->v[i]) == -1)
			return -1;
	return 0;
}

static int
rules_ports(struct apw_egress_rules *r, const struct apw_strlist *conf)
{
	unsigned	first, last;
	size_t		i;
	int		n;

	r->ports = apw_arena_alloc(r->arena,
	    (conf->n + 1) * sizeof(*r->ports));
	if (r->ports == NULL)
		return -1;
	for (i = 0; i < conf->n; i++) {
		n = sscanf(conf->v[i], "%5u-%5u", &first, &last);
		if (n < 2)
			last = first;
		if (n < 1 || first == 0 || last < first || last > 65535)
			return -1;
		r->ports[r->nports++] = (struct rules_ports){
		    (uint16_t)first, (uint16_t)last };
	}
	return 0;
}

/* Clients make small letters of large ones, and one spelling of all that an
 * address has. */
static int
rules_app(struct apw_egress_rules *r)
{
	char	 text[APW_ADDR_TEXT_SIZE], *p;
	const char *host = r->api.numeric ? apw_addr_text(&r->api.addr, text) :
		    r->api.host;

	r->app = apw_arena_printf(r->arena, strchr(host, ':') != NULL ?
	    "[%s]:%u" : "%s:%u", host, r->api.port);
	for (p = r->app; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return r->app == NULL ? -1 : 0;
}

/* The one place that is open is the app's API, wherever it is. */
static int
rules_app_only(struct apw_egress_rules *r)
{
	r->only = apw_arena_alloc(r->arena, sizeof(*r->only));
	if (r->only == NULL || r->api.host == NULL)
		return -1;
	snprintf(r->only->host, sizeof(r->only->host), "%s", r->api.host);
	r->only->port = r->api.port;
	r->nonly = 1;
	return 0;
}

static int
rules_api(struct apw_egress_rules *r, const char *url, struct apw_err *err)
{
	struct apw_url	u;

	if (url == NULL)
		return 0;
	if (apw_url_read(&u, url) != NULL)
		return apw_err_set(err, 0, "the app's address is no URL");
	r->api.port = u.port;
	r->api.numeric = apw_addr_parse(u.host, &r->api.addr) == 0;
	r->api.host = apw_arena_strdup(r->arena, u.host);
	if (r->api.host == NULL || rules_app(r) == -1)
		return apw_err_set(err, ENOMEM, "rules");
	return 0;
}

static int
rules_copy(struct apw_egress_rules *r, const struct apw_egress_rules_conf *c)
{
	const struct apw_network_conf	*n = c->network;
	size_t				 i;

	if (rules_room(r, &r->resolver, n->resolver.n) == -1)
		return -1;
	for (i = 0; i < n->resolver.n; i++)
		if (rules_add(r, &r->resolver, n->resolver.v[i]) == -1)
			return -1;
	if (n->upstream != NULL && strcmp(n->upstream, "off") != 0) {
		r->upstream = apw_arena_strdup(r->arena, n->upstream);
		if (r->upstream == NULL)
			return -1;
	}
	if (c->upstream_ca != NULL && (r->upstream_ca =
	    apw_arena_strdup(r->arena, c->upstream_ca)) == NULL)
		return -1;
	r->upstream_names = n->upstream_names;
	r->http_proxy = n->http_proxy;
	r->limits = (struct apw_egress_limits){
		.connections = n->connections, .bytes = n->bytes,
		.head_ms = n->head_timeout_ms,
		.connect_ms = n->connect_timeout_ms,
		.idle_ms = n->idle_timeout_ms,
	};
	return 0;
}

/* Addresses as they are asked for. */
static int
rules_only(struct apw_egress_rules *r, const struct apw_egress_rules_conf *c)
{
	struct apw_addr	addr;
	char		text[APW_ADDR_TEXT_SIZE];
	size_t		i;

	if (c->app_only)
		return rules_app_only(r);
	if (c->only == NULL)
		return 0;
	r->only = apw_arena_alloc(r->arena, (c->nonly + 1) * sizeof(*r->only));
	if (r->only == NULL)
		return -1;
	for (i = 0; i < c->nonly; i++) {
		r->only[i] = c->only[i];
		if (apw_addr_parse(c->only[i].host, &addr) == 0)
			snprintf(r->only[i].host, sizeof(r->only[i].host),
			    "%s", apw_addr_text(&addr, text));
	}
	r->nonly = c->nonly;
	return 0;
}

/* --- the text --- */

static void
text_list(struct apw_buf *b, const struct apw_strlist *list)
{
	size_t	i;

	for (i = 0; i < list->n; i++)
		apw_buf_printf(b, " %s", list->v[i]);
}

static int
rules_describe(struct apw_egress_rules *r)
{
	const struct apw_egress_limits	*l = &r->limits;
	struct apw_buf			 b = APW_BUF_INIT(1 << 20);
	size_t				 i;

	apw_buf_puts(&b, r->only != NULL ? "allow only" : "allow public");
	if (r->api.host != NULL)
		apw_buf_printf(&b, strchr(r->api.host, ':') != NULL ?
		    " app=[%s]:%u" : " app=%s:%u", r->api.host, r->api.port);
	text_list(&b, &r->networks);
	text_list(&b, &r->names);
	apw_buf_puts(&b, "; ports");
	for (i = 0; i < r->nports; i++)
		apw_buf_printf(&b, r->ports[i].first == r->ports[i].last ?
		    " %u" : " %u-%u", r->ports[i].first, r->ports[i].last);
	apw_buf_puts(&b, r->nports == 0 ? " all; upstream " : "; upstream ");
	apw_buf_puts(&b, r->upstream == NULL ? "off" : r->upstream);
	if (r->upstream_names)
		apw_buf_puts(&b, " names");
	apw_buf_puts(&b, "; resolver");
	if (r->resolver.n == 0)
		apw_buf_puts(&b, " system");
	text_list(&b, &r->resolver);
	apw_buf_printf(&b, "; http_proxy %s; connections %u; bytes %llu; "
	    "head_timeout %lldms; connect_timeout %lldms; idle_timeout "
	    "%lldms", r->http_proxy ? "on" : "off", l->connections,
	    (unsigned long long)l->bytes, (long long)l->head_ms,
	    (long long)l->connect_ms, (long long)l->idle_ms);
	r->text = b.failed ? NULL : apw_arena_strdup(r->arena, b.data);
	apw_buf_free(&b);
	return r->text == NULL ? -1 : 0;
}

struct apw_egress_rules *
apw_egress_rules_new(const struct apw_egress_rules_conf *c,
    struct apw_err *err)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_egress_rules	*r;

	r = arena == NULL ? NULL : apw_arena_alloc(arena, sizeof(*r));
	if (r == NULL) {
		apw_err_set(err, ENOMEM, "rules");
		apw_arena_free(arena);
		return NULL;
	}
	r->arena = arena;
	r->refs = 1;
	if (rules_api(r, c->api_url, err) == -1)
		goto fail;
	if (rules_allow(r, &c->network->allow, c->app_allow) == -1 ||
	    rules_copy(r, c) == -1 ||
	    rules_ports(r, &c->network->ports) == -1 ||
	    rules_only(r, c) == -1 ||
	    rules_describe(r) == -1) {
		apw_err_set(err, ENOMEM, "rules");
		goto fail;
	}
	return r;
fail:
	apw_egress_rules_unref(r);
	return NULL;
}

struct apw_egress_rules *
apw_egress_rules_ref(struct apw_egress_rules *r)
{
	r->refs++;
	return r;
}

void
apw_egress_rules_unref(struct apw_egress_rules *r)
{
	if (r != NULL && --r->refs == 0)
		apw_arena_free(r->arena);
}

/* --- asking --- */

const struct apw_egress_limits *
apw_egress_rules_limits(const struct apw_egress_rules *r)
{
	return &r->limits;
}

bool
apw_egress_rules_http_proxy(const struct apw_egress_rules *r)
{
	return r->http_proxy;
}

const char *
apw_egress_rules_app(const struct apw_egress_rules *r)
{
	return r->app == NULL ? "" : r->app;
}

const struct apw_strlist *
apw_egress_rules_resolver(const struct apw_egress_rules *r)
{
	return &r->resolver;
}

const char *
apw_egress_rules_text(const struct apw_egress_rules *r)
{
	return r->text;
}

/* Names are the same with and without the root's dot. */
static size_t
name_length(const char *s)
{
	size_t	n = strlen(s);

	return n > 1 && s[n - 1] == '.' ? n - 1 : n;
}

static bool
is_only(const struct apw_egress_rules *r, const char *host, uint16_t port)
{
	size_t	i, n = name_length(host);

	for (i = 0; i < r->nonly; i++)
		if (port == r->only[i].port &&
		    n == name_length(r->only[i].host) &&
		    strncasecmp(host, r->only[i].host, n) == 0)
			return true;
	return false;
}

const char *
apw_egress_rules_closed(const struct apw_egress_rules *r)
{
	return r->only != NULL ? "not the registry, nor in registry_hosts" : "";
}

bool
apw_egress_rules_whole(const struct apw_egress_rules *r)
{
	return r->only != NULL;
}

static bool
is_api(const struct apw_egress_rules *r, const char *host, uint16_t port)
{
	size_t	n = name_length(host);

	return r->api.host != NULL && port == r->api.port &&
	    n == name_length(r->api.host) &&
	    strncasecmp(host, r->api.host, n) == 0;
}

bool
apw_egress_rules_port(const struct apw_egress_rules *r, const char *host,
    uint16_t port)
{
	size_t	i;

	if (port == 0)
		return false;
	if (r->only != NULL)
		return is_only(r, host, port);
	if (r->nports == 0 || is_api(r, host, port))
		return true;
	for (i = 0; i < r->nports; i++)
		if (port >= r->ports[i].first && port <= r->ports[i].last)
			return true;
	return false;
}

static bool
is_named(const struct apw_egress_rules *r, const char *host)
{
	size_t		 i, n = name_length(host), len;
	const char	*entry;

	for (i = 0; i < r->names.n; i++) {
		entry = r->names.v[i];
		len = strlen(entry);
		if (strncmp(entry, "*.", 2) == 0) {
			/* what is below the domain, not itself */
			entry++;
			len--;
			if (n > len && strncasecmp(host + n - len, entry,
			    len) == 0)
				return true;
		} else if (n == len && strncasecmp(host, entry, n) == 0)
			return true;
	}
	return false;
}

/* Who owns a name chooses what it stands for; that must not become the
 * host's own loopback or the cloud's metadata. */
static bool
opens_by_name(const char *what)
{
	static const char *const	kinds[] = { "private", "carrier NAT",
					    "unique local" };
	size_t				i;

	for (i = 0; i < APW_COUNT(kinds); i++)
		if (strcmp(what, kinds[i]) == 0)
			return true;
	return false;
}

const char *
apw_egress_rules_refused(const struct apw_egress_rules *r, const char *host,
    uint16_t port, const struct apw_addr *a)
{
	const char	*what = apw_addr_refused(a, &r->networks);

	if (r->only != NULL)
		return is_only(r, host, port) ? NULL :
		    apw_egress_rules_closed(r);
	if (what == NULL || is_api(r, host, port))
		return NULL;
	if (r->api.host != NULL && r->api.numeric && port == r->api.port &&
	    a->family == r->api.addr.family &&
	    memcmp(a->b, r->api.addr.b, sizeof(a->b)) == 0)
		return NULL;
	return opens_by_name(what) && is_named(r, host) ? NULL : what;
}

/* --- upstream --- */

int
apw_egress_rules_upstream(const struct apw_egress_rules *r, const char *host,
    uint16_t port, struct apw_upstream *up, struct apw_err *err)
{
	const char	*url = r->upstream, *name = NULL;

	if (url == NULL)
		return 0;
	if (strcmp(url, "auto") == 0) {
		/* there will be a tunnel, whatever goes through it */
		url = apw_proxy_env(true, host, port, &name);
		if (url == NULL)
			return 0;
	}
	if (apw_upstream_read(up, url, err) == -1)
		return name == NULL ? -1 : apw_err_wrap(err, "%s", name);
	up->names = r->upstream_names;
	up->ca_file = r->upstream_ca;
	return 1;
}

/* --- for dials --- */

static const char *
dial_closed(const void *arg, const char *host, uint16_t port)
{
	const struct apw_egress_rules	*r = arg;

	return apw_egress_rules_port(r, host, port) ? NULL :
	    apw_egress_rules_closed(r);
}

static const char *
dial_refused(const void *arg, const char *host, uint16_t port,
    const struct apw_addr *a)
{
	return apw_egress_rules_refused(arg, host, port, a);
}

static int
dial_upstream(const void *arg, const char *host, uint16_t port,
    struct apw_upstream *up, struct apw_err *err)
{
	return apw_egress_rules_upstream(arg, host, port, up, err);
}

struct apw_dial_rules
apw_egress_rules_dial(const struct apw_egress_rules *r)
{
	return (struct apw_dial_rules){ .arg = r, .closed = dial_closed,
	    .refused = dial_refused, .upstream = dial_upstream };
}
