/* From a host and a port to a connection; see dial.h.  Room: dial.
 *
 * Must never connect to an address that it did not check, nor look a name up
 * twice. */
#include "dial/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "dial/race.h"
#include "dial/tls_wrap.h"
#include "dial/tunnel.h"

#define DIAL_MAGIC	0x4449414c

struct apw_dial {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct apw_dial_rules	 rules;
	bool			 ruled;		/* there are some */
	struct apw_resolver	*resolver;	/* borrowed */
	apw_dial_fn		*fn;
	void			*arg;		/* borrowed */
	struct event		*start, *deadline;	/* owned */
	struct apw_lookup	*lookup;	/* owned, one of these at a time */
	struct apw_race		*race;
	struct apw_tls_wrap	*wrap;
	struct apw_tunnel	*tunnel;
	int			 fd;		/* owned: to the upstream proxy */
	char			 host[APW_HOST_SIZE];
	uint16_t		 port;
	struct apw_addr		 found[APW_DIAL_ADDRESSES];	/* checked */
	size_t			 n;		/* 0: the upstream's to find */
	size_t			 raced;		/* of them were connected to */
	size_t			 next;		/* to ask the upstream for */
	int			 error;		/* why the last was not; 0 */
	struct apw_upstream	*up;		/* owned; NULL: straight */
	bool			 whole;		/* no tunnel is needed */
	struct apw_addr		 proxies[APW_DIAL_ADDRESSES];
	size_t			 nproxies;
	struct apw_dialled	 end;
};

void
apw_dial_cancel(struct apw_dial *d)
{
	if (d == NULL)
		return;
	apw_lookup_cancel(d->lookup);
	apw_race_cancel(d->race);
	apw_tls_wrap_cancel(d->wrap);
	apw_tunnel_cancel(d->tunnel);
	if (d->start != NULL)
		event_free(d->start);
	if (d->deadline != NULL)
		event_free(d->deadline);
	if (d->fd != -1)
		close(d->fd);
	if (d->up != NULL)
		explicit_bzero(d->up, sizeof(*d->up));
	free(d->up);
	d->magic = 0;
	free(d);
}

static void
dial_done(struct apw_dial *d, enum apw_dial_end how, int fd)
{
	struct apw_dialled	 end = d->end;
	apw_dial_fn		*fn = d->fn;
	void			*arg = d->arg;

	end.end = how;
	end.fd = fd;
	apw_dial_cancel(d);
	fn(arg, &end);
	explicit_bzero(end.auth, sizeof(end.auth));
}

static void
dial_fail(struct apw_dial *d, enum apw_dial_end how, const char *why)
{
	snprintf(d->end.why, sizeof(d->end.why), "%s", why);
	dial_done(d, how, -1);
}

/* --- through an upstream proxy --- */

static void	dial_upstream(struct apw_dial *);

static void
dial_on_tunnel(void *arg, const char *error)
{
	struct apw_dial	*d;
	int		 fd;

	APW_CAST(d, arg, DIAL_MAGIC);
	d->tunnel = NULL;
	fd = d->fd;
	d->fd = -1;
	if (error == NULL) {
		dial_done(d, APW_DIAL_DONE, fd);
		return;
	}
	close(fd);
	/* another address may be nearer to it */
	if (++d->next < d->n && d->next < APW_DIAL_ATTEMPTS)
		dial_upstream(d);
	else
		dial_fail(d, APW_DIAL_UPSTREAM, error);
}

/* fd leads to the proxy, in plain words from here. */
static void
dial_ask_upstream(struct apw_dial *d, int fd)
{
	const char	*host = d->host;

	if (d->whole) {
		d->end.whole = true;
		memcpy(d->end.auth, d->up->auth, sizeof(d->end.auth));
		dial_done(d, APW_DIAL_DONE, fd);
		return;
	}
	d->fd = fd;
	if (d->n > 0)
		host = apw_addr_text(&d->found[d->next], d->end.address);
	else if (d->ruled)
		snprintf(d->end.why, sizeof(d->end.why),
		    "its name was the upstream proxy's to look up");
	d->tunnel = apw_tunnel_new(d->base, fd, d->up, host, d->port,
	    dial_on_tunnel, d);
	if (d->tunnel == NULL)
		dial_fail(d, APW_DIAL_UPSTREAM, "out of memory");
}

static void
dial_on_wrap(void *arg, int fd, const char *error)
{
	struct apw_dial	*d;

	APW_CAST(d, arg, DIAL_MAGIC);
	d->wrap = NULL;
	if (fd == -1)
		dial_fail(d, APW_DIAL_UPSTREAM, error);
	else
		dial_ask_upstream(d, fd);
}

static void
dial_wrap(struct apw_dial *d, int fd)
{
	struct apw_tls_wraps	*wraps =
					    apw_resolver_wraps(d->resolver);
	struct apw_err			 err = APW_ERR_NONE;

	if (wraps == NULL) {
		close(fd);
		dial_fail(d, APW_DIAL_UPSTREAM, "out of memory");
		return;
	}
	d->wrap = apw_tls_wrap_new(wraps, fd, d->up, dial_on_wrap, d,
	    &err);
	if (d->wrap == NULL)
		dial_fail(d, APW_DIAL_UPSTREAM, err.text);
}

static void
dial_on_upstream(void *arg, int fd, const struct apw_addr *a, int error)
{
	struct apw_dial	*d;

	(void)a;
	APW_CAST(d, arg, DIAL_MAGIC);
	d->race = NULL;
	if (fd == -1)
		dial_fail(d, APW_DIAL_UPSTREAM, strerror(error));
	else if (d->up->tls)
		dial_wrap(d, fd);
	else
		dial_ask_upstream(d, fd);
}

static void
dial_upstream(struct apw_dial *d)
{
	d->race = apw_race_new(d->base, d->proxies, d->nproxies,
	    d->up->port, dial_on_upstream, d);
	if (d->race == NULL)
		dial_fail(d, APW_DIAL_UPSTREAM, "out of memory");
}

static void
dial_on_proxy_name(void *arg, const struct apw_addr *a, size_t n,
    const char *error, bool more)
{
	struct apw_dial	*d;

	APW_CAST(d, arg, DIAL_MAGIC);
	if (more)
		apw_lookup_cancel(d->lookup);
	d->lookup = NULL;
	if (n == 0) {
		dial_fail(d, APW_DIAL_UPSTREAM, error);
		return;
	}
	memcpy(d->proxies, a, n * sizeof(*a));
	d->nproxies = n;
	dial_upstream(d);
}

/* The proxy itself is the operator's choice: no rule speaks of it. */
static void
dial_find_proxy(struct apw_dial *d)
{
	/* what there is of the host's own addresses will do */
	apw_lookup_cancel(d->lookup);
	d->lookup = NULL;
	if (apw_addr_parse(d->up->host, &d->proxies[0]) == 0) {
		d->nproxies = 1;
		dial_upstream(d);
		return;
	}
	d->lookup = apw_lookup_new(d->resolver, d->up->host,
	    dial_on_proxy_name, d);
	if (d->lookup == NULL)
		dial_fail(d, APW_DIAL_UPSTREAM, "out of memory");
}

/* 1: there is one, in d->up; 0: none; -1: d is over. */
static int
dial_has_upstream(struct apw_dial *d)
{
	struct apw_err	err = APW_ERR_NONE;
	int		rc;

	if (!d->ruled)
		return 0;
	d->up = calloc(1, sizeof(*d->up));
	rc = d->up == NULL ? apw_err_set(&err, ENOMEM, "upstream proxy") :
	    d->rules.upstream(d->rules.arg, d->host, d->port, d->up, &err);
	if (rc == -1)
		dial_fail(d, APW_DIAL_UPSTREAM, err.text);
	else if (rc == 0) {
		free(d->up);
		d->up = NULL;
	}
	return rc;
}

/* --- straight --- */

static void	dial_go_on(struct apw_dial *);

static void
dial_on_race(void *arg, int fd, const struct apw_addr *a, int error)
{
	struct apw_dial	*d;

	APW_CAST(d, arg, DIAL_MAGIC);
	d->race = NULL;
	d->error = error;
	if (fd == -1) {
		dial_go_on(d);
		return;
	}
	apw_addr_text(a, d->end.address);
	dial_done(d, APW_DIAL_DONE, fd);
}

/* To the addresses that were not tried, or that the look-up still owes. */
static void
dial_go_on(struct apw_dial *d)
{
	size_t	from = d->raced;

	d->raced = d->n;
	if (from == d->n) {
		if (d->lookup == NULL)
			dial_fail(d, APW_DIAL_CONNECT, strerror(d->error));
		return;
	}
	d->race = apw_race_new(d->base, d->found + from, d->n - from,
	    d->port, dial_on_race, d);
	if (d->race == NULL)
		dial_fail(d, APW_DIAL_CONNECT, "out of memory");
}

/* "private; 10.0.0.1 8.8.8.8": all that the name stood for. */
static void
dial_refused(struct apw_dial *d, const char *what)
{
	struct apw_buf	b = APW_BUF_INIT(sizeof(d->end.why) - 1);
	char		text[APW_ADDR_TEXT_SIZE];
	size_t		i;

	apw_buf_puts(&b, what);
	for (i = 0; i < d->n && d->n > 1; i++)
		apw_buf_printf(&b, "%s%s", i == 0 ? "; " : " ",
		    apw_addr_text(&d->found[i], text));
	dial_fail(d, APW_DIAL_ADDRESS, b.data != NULL ? b.data : what);
	apw_buf_free(&b);
}

/* Every one of them, from this one on; true: d is over. */
static bool
dial_is_refused(struct apw_dial *d, size_t from)
{
	const char	*what;
	size_t		 i;

	for (i = from; d->ruled && i < d->n; i++) {
		what = d->rules.refused(d->rules.arg, d->host, d->port,
		    &d->found[i]);
		if (what != NULL) {
			apw_addr_text(&d->found[i], d->end.address);
			dial_refused(d, what);
			return true;
		}
	}
	return false;
}

static void
dial_check(struct apw_dial *d)
{
	int	rc;

	if (dial_is_refused(d, 0))
		return;
	rc = dial_has_upstream(d);
	if (rc == 1)
		dial_find_proxy(d);
	else if (rc == 0)
		dial_go_on(d);
}

/* What came late, if anything: no reason to begin anew, but one to refuse, and
 * there if the first are of no use. */
static void
dial_on_rest(struct apw_dial *d, const struct apw_addr *a, size_t n)
{
	size_t	from = d->n;

	while (n-- > 0 && d->n < APW_DIAL_ADDRESSES)
		d->found[d->n++] = *a++;
	if (!dial_is_refused(d, from) && d->race == NULL)
		dial_go_on(d);
}

static void
dial_on_name(void *arg, const struct apw_addr *a, size_t n,
    const char *error, bool more)
{
	struct apw_dial	*d;
	int		 rc;

	APW_CAST(d, arg, DIAL_MAGIC);
	if (!more)
		d->lookup = NULL;
	if (d->n > 0) {
		dial_on_rest(d, a, n);
		return;
	}
	if (n > 0) {
		memcpy(d->found, a, n * sizeof(*a));
		d->n = n;
		dial_check(d);
		return;
	}
	/* the one exception, and the operator asked for it */
	rc = dial_has_upstream(d);
	if (rc == 1 && d->up->names)
		dial_find_proxy(d);
	else if (rc != -1)
		dial_fail(d, APW_DIAL_NAME, error);
}

static void
dial_on_start(evutil_socket_t fd, short what, void *arg)
{
	const char	*why = NULL;
	struct apw_dial	*d;
	char		 text[APW_ADDR_TEXT_SIZE];

	(void)fd;
	(void)what;
	APW_CAST(d, arg, DIAL_MAGIC);
	if (apw_addr_parse(d->host, &d->found[0]) == 0) {
		d->n = 1;
		snprintf(d->host, sizeof(d->host), "%s",
		    apw_addr_text(&d->found[0], text));
	}
	if (d->ruled)
		why = d->rules.closed(d->rules.arg, d->host, d->port);
	if (why != NULL)
		dial_fail(d, APW_DIAL_PORT, why);
	else if (!d->ruled && d->up != NULL)
		dial_find_proxy(d);
	else if (d->n > 0)
		dial_check(d);
	else {
		d->lookup = apw_lookup_new(d->resolver, d->host,
		    dial_on_name, d);
		if (d->lookup == NULL)
			dial_fail(d, APW_DIAL_NAME, "out of memory");
	}
}

static void
dial_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct apw_dial	*d;

	(void)fd;
	(void)what;
	APW_CAST(d, arg, DIAL_MAGIC);
	dial_fail(d, APW_DIAL_TIME, d->lookup != NULL && d->n == 0 ?
	    "name servers are silent" : "no connection");
}

static int
dial_take(struct apw_dial *d, const struct apw_dial_conf *conf)
{
	d->port = conf->port;
	d->whole = conf->whole;
	snprintf(d->host, sizeof(d->host), "%s", conf->host);
	if (conf->rules != NULL) {
		d->ruled = true;
		d->rules = *conf->rules;
	} else if (conf->upstream != NULL) {
		d->up = malloc(sizeof(*d->up));
		if (d->up == NULL)
			return -1;
		*d->up = *conf->upstream;
	}
	return 0;
}

struct apw_dial *
apw_dial_new(struct event_base *base, struct apw_resolver *resolver,
    const struct apw_dial_conf *conf, apw_dial_fn *fn, void *arg)
{
	struct timeval	 tv = { conf->timeout_ms / 1000,
	    conf->timeout_ms % 1000 * 1000 };
	struct apw_dial	*d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->magic = DIAL_MAGIC;
	d->base = base;
	d->resolver = resolver;
	d->fn = fn;
	d->arg = arg;
	d->fd = -1;
	d->start = event_new(base, -1, 0, dial_on_start, d);
	d->deadline = event_new(base, -1, 0, dial_on_deadline, d);
	if (d->start == NULL || d->deadline == NULL ||
	    dial_take(d, conf) == -1 || (conf->timeout_ms > 0 &&
	    event_add(d->deadline, &tv) == -1)) {
		apw_dial_cancel(d);
		return NULL;
	}
	event_active(d->start, EV_TIMEOUT, 0);
	return d;
}

void
apw_dial_why(const struct apw_dialled *end, const char *host, char *out,
    size_t size)
{
	switch (end->end) {
	case APW_DIAL_PORT:
		snprintf(out, size, "blocked port%s%s", end->why[0] != '\0' ?
		    ": " : "", end->why);
		break;
	case APW_DIAL_ADDRESS:
		snprintf(out, size, "blocked address: %s is %s", end->address,
		    end->why);
		break;
	case APW_DIAL_NAME:
		snprintf(out, size, "cannot resolve %s: %s", host, end->why);
		break;
	case APW_DIAL_TIME:
		snprintf(out, size, "no connection in time: %s", end->why);
		break;
	case APW_DIAL_UPSTREAM:
		snprintf(out, size, "proxy: %s", end->why);
		break;
	default:
		snprintf(out, size, "%s", end->why);
		break;
	}
}
