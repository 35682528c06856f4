/*
 * Reaching a server; see link_dial.h.  Room: link.
 *
 * Resolve, connect to one address after the other, ask a proxy for a tunnel,
 * shake hands in TLS: a chain of callbacks, each of which starts the next or
 * ends the dial.  The overall time limit is the caller's.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "core/apw_log.h"
#include "link/link_dial.h"
#include "proto/apw_eio.h"
#include "proto/apw_http.h"

#define LINK_DIAL_MAGIC	0x4c444c31	/* LDL1 */

/* one address of several may not eat up the whole time */
#define ATTEMPT_MS	5000

struct apw_link_dial {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct evdns_base	*dns;		/* own_dns, or borrowed */
	struct evdns_base	*own_dns;	/* owned */
	struct apw_link_dial_conf conf;
	apw_link_dial_fn	*done;
	void			*arg;		/* borrowed */
	struct evdns_getaddrinfo_request *lookup;	/* evdns' own */
	struct evutil_addrinfo	*found;		/* owned */
	struct evutil_addrinfo	*next;		/* of found */
	struct bufferevent	*bev;		/* owned */
	struct event		*timer;		/* owned: one attempt */
	struct event		*start;		/* owned: first step */
	bool			*gone;		/* set when freed; or NULL */
	char			 error[256];	/* of the last attempt */
};

static void	dial_attempt(struct apw_link_dial *);

void
apw_link_dial_free(struct apw_link_dial *d)
{
	if (d == NULL)
		return;
	if (d->lookup != NULL)
		evdns_getaddrinfo_cancel(d->lookup);
	if (d->bev != NULL)
		bufferevent_free(d->bev);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->start != NULL)
		event_free(d->start);
	if (d->found != NULL)
		evutil_freeaddrinfo(d->found);
	if (d->own_dns != NULL)
		evdns_base_free(d->own_dns, 1);
	if (d->conf.connected)
		evutil_closesocket(d->conf.fd);
	if (d->gone != NULL)
		*d->gone = true;
	d->magic = 0;
	free(d);
}

static void
dial_done(struct apw_link_dial *d)
{
	struct bufferevent	*bev = d->bev;

	d->bev = NULL;
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	d->done(d->arg, bev, NULL);
	apw_link_dial_free(d);
}

static void
dial_fail(struct apw_link_dial *d)
{
	d->done(d->arg, NULL, d->error);
	apw_link_dial_free(d);
}

/* This address is no good: the next, if there is one. */
static void
dial_next(struct apw_link_dial *d)
{
	if (d->bev != NULL)
		bufferevent_free(d->bev);
	d->bev = NULL;
	event_del(d->timer);
	dial_attempt(d);
}

/* --- TLS --- */

static void
tls_error(struct apw_link_dial *d)
{
	SSL		*ssl = bufferevent_openssl_get_ssl(d->bev);
	long		 verify = SSL_get_verify_result(ssl);
	unsigned long	 code = bufferevent_get_openssl_error(d->bev);

	if (verify != X509_V_OK && !d->conf.insecure)
		snprintf(d->error, sizeof(d->error), "certificate refused: %s",
		    X509_verify_cert_error_string(verify));
	else if (code != 0)
		snprintf(d->error, sizeof(d->error), "TLS: %s",
		    ERR_reason_error_string(code));
	else
		snprintf(d->error, sizeof(d->error),
		    "TLS: connection closed during the handshake");
}

static void
tls_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_link_dial	*d;

	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	(void)bev;
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		dial_done(d);
		return;
	}
	tls_error(d);
	dial_next(d);
}

static SSL *
tls_session(struct apw_link_dial *d)
{
	unsigned char	 address[sizeof(struct in6_addr)];
	const char	*host = d->conf.host;
	bool		 numeric;
	SSL		*ssl = SSL_new(d->conf.tls);

	if (ssl == NULL)
		return NULL;
	numeric = evutil_inet_pton(AF_INET, host, address) == 1 ||
	    evutil_inet_pton(AF_INET6, host, address) == 1;
	/* SNI is for names only */
	if (!numeric && SSL_set_tlsext_host_name(ssl, host) != 1)
		goto fail;
	if (!d->conf.insecure && (numeric ?
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) :
	    SSL_set1_host(ssl, host)) != 1)
		goto fail;
	return ssl;
fail:
	SSL_free(ssl);
	return NULL;
}

/* The TCP stream (or tunnel) stands: TLS on it, if wanted. */
static void
dial_stream(struct apw_link_dial *d)
{
	evutil_socket_t	 fd = bufferevent_getfd(d->bev);
	SSL		*ssl;

	event_del(d->timer);
	if (d->conf.tls == NULL) {
		dial_done(d);
		return;
	}
	ssl = tls_session(d);
	if (ssl == NULL) {
		snprintf(d->error, sizeof(d->error), "TLS: bad host name");
		dial_next(d);
		return;
	}
	/* the plain bufferevent lets go of the descriptor */
	bufferevent_setfd(d->bev, -1);
	bufferevent_free(d->bev);
	d->bev = bufferevent_openssl_socket_new(d->base, fd, ssl,
	    BUFFEREVENT_SSL_CONNECTING,
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (d->bev == NULL) {
		SSL_free(ssl);
		evutil_closesocket(fd);
		snprintf(d->error, sizeof(d->error), "TLS: out of memory");
		dial_next(d);
		return;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(d->bev, 1);
	bufferevent_setcb(d->bev, NULL, NULL, tls_on_event, d);
	bufferevent_enable(d->bev, EV_READ | EV_WRITE);
}

/* --- proxy --- */

struct apw_str
apw_link_head(struct evbuffer *in)
{
	size_t		 n = evbuffer_get_length(in);
	const char	*p;

	if (n > APW_HTTP_HEAD_MAX)
		n = APW_HTTP_HEAD_MAX;
	p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
	return p == NULL ? APW_STR("") : (struct apw_str){ p, n };
}

static void
proxy_ask(struct apw_link_dial *d)
{
	struct evbuffer	*out = bufferevent_get_output(d->bev);
	bool		 v6 = strchr(d->conf.host, ':') != NULL;
	size_t		 n;
	char		*auth;

	evbuffer_add_printf(out, "CONNECT %s%s%s:%u HTTP/1.1\r\n"
	    "Host: %s%s%s:%u\r\n", v6 ? "[" : "", d->conf.host, v6 ? "]" : "",
	    d->conf.port, v6 ? "[" : "", d->conf.host, v6 ? "]" : "",
	    d->conf.port);
	if (d->conf.proxy_auth != NULL) {
		n = apw_eio_base64_bytes(strlen(d->conf.proxy_auth));
		auth = malloc(n + 1);
		if (auth != NULL) {
			apw_eio_base64_encode(auth, d->conf.proxy_auth,
			    strlen(d->conf.proxy_auth));
			evbuffer_add_printf(out,
			    "Proxy-Authorization: Basic %.*s\r\n", (int)n,
			    auth);
			explicit_bzero(auth, n);
			free(auth);
		}
	}
	evbuffer_add_printf(out, "\r\n");
}

static void
proxy_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer		*in = bufferevent_get_input(bev);
	struct apw_http_head	 head;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_link_dial	*d;
	ssize_t			 n;

	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	n = apw_http_answer(apw_link_head(in), &head, &err);
	if (n == 0)
		return;
	if (n == -1)
		snprintf(d->error, sizeof(d->error),
		    "proxy: not an HTTP answer");
	else if (head.status / 100 != 2)
		snprintf(d->error, sizeof(d->error), "proxy: HTTP status %d",
		    head.status);
	else if (evbuffer_get_length(in) > (size_t)n)
		snprintf(d->error, sizeof(d->error),
		    "proxy: bytes before ours");
	else {
		evbuffer_drain(in, (size_t)n);
		dial_stream(d);
		return;
	}
	dial_next(d);
}

/* --- TCP --- */

static void
dial_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_link_dial	*d;
	int			 on = 1;

	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	if ((what & BEV_EVENT_CONNECTED) == 0) {
		snprintf(d->error, sizeof(d->error), "%s",
		    (what & BEV_EVENT_EOF) != 0 ? "connection closed" :
		    evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
		dial_next(d);
		return;
	}
	setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	if (d->conf.proxy_host == NULL) {
		dial_stream(d);
		return;
	}
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	proxy_ask(d);
}

static void
dial_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_dial	*d;

	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	(void)fd;
	(void)what;
	snprintf(d->error, sizeof(d->error), "no connection in time");
	dial_next(d);
}

static void
dial_attempt(struct apw_link_dial *d)
{
	struct timeval		 tv = { ATTEMPT_MS / 1000, 0 };
	struct evutil_addrinfo	*ai;

	while ((ai = d->next) != NULL) {
		d->next = ai->ai_next;
		d->bev = bufferevent_socket_new(d->base, -1,
		    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
		if (d->bev == NULL) {
			snprintf(d->error, sizeof(d->error), "out of memory");
			continue;
		}
		bufferevent_setcb(d->bev, d->conf.proxy_host != NULL ?
		    proxy_on_read : NULL, NULL, dial_on_event, d);
		if (d->next != NULL)
			event_add(d->timer, &tv);
		if (bufferevent_socket_connect(d->bev, ai->ai_addr,
		    (int)ai->ai_addrlen) == 0)
			return;
		snprintf(d->error, sizeof(d->error), "%s", strerror(errno));
		bufferevent_free(d->bev);
		d->bev = NULL;
	}
	dial_fail(d);
}

/* --- names --- */

static void
dial_on_lookup(int error, struct evutil_addrinfo *found, void *arg)
{
	struct apw_link_dial	*d = arg;

	if (error == EVUTIL_EAI_CANCEL)
		return;			/* d may be gone */
	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	d->lookup = NULL;
	if (error != 0 || found == NULL) {
		snprintf(d->error, sizeof(d->error), "cannot resolve %s: %s",
		    d->conf.proxy_host != NULL ? d->conf.proxy_host :
		    d->conf.host, evutil_gai_strerror(error));
		dial_fail(d);
		return;
	}
	d->found = d->next = found;
	dial_attempt(d);
}

/* The system's servers and hosts file, as they are now. */
static int
dns_open(struct apw_link_dial *d)
{
	d->own_dns = evdns_base_new(d->base,
	    EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (d->own_dns == NULL)
		return -1;
	evdns_base_resolv_conf_parse(d->own_dns, DNS_OPTIONS_ALL,
	    "/etc/resolv.conf");
	if (evdns_base_count_nameservers(d->own_dns) == 0)
		evdns_base_nameserver_ip_add(d->own_dns, "127.0.0.1");
	d->dns = d->own_dns;
	return 0;
}

/* Somebody else has connected it. */
static void
dial_adopt(struct apw_link_dial *d)
{
	d->bev = bufferevent_socket_new(d->base, d->conf.fd,
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (d->bev == NULL) {
		snprintf(d->error, sizeof(d->error), "out of memory");
		dial_fail(d);
		return;
	}
	d->conf.connected = false;	/* the bufferevent closes it */
	dial_stream(d);
}

static void
dial_on_start(evutil_socket_t fd, short what, void *arg)
{
	struct evutil_addrinfo	 hints = { .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP,
	    .ai_flags = EVUTIL_AI_NUMERICHOST };
	struct evdns_getaddrinfo_request *lookup;
	struct apw_link_dial	*d;
	const char		*host;
	char			 port[8];
	bool			 gone = false;

	APW_CAST(d, arg, LINK_DIAL_MAGIC);
	(void)fd;
	(void)what;
	if (d->conf.connected) {
		dial_adopt(d);
		return;
	}
	host = d->conf.proxy_host != NULL ? d->conf.proxy_host : d->conf.host;
	snprintf(port, sizeof(port), "%u", d->conf.proxy_host != NULL ?
	    d->conf.proxy_port : d->conf.port);
	/* an address needs no resolver, and this does not block */
	if (evutil_getaddrinfo(host, port, &hints, &d->found) == 0) {
		d->next = d->found;
		dial_attempt(d);
		return;
	}
	d->found = NULL;
	hints.ai_flags = EVUTIL_AI_ADDRCONFIG;
	if (d->dns == NULL && dns_open(d) == -1) {
		snprintf(d->error, sizeof(d->error), "no resolver");
		dial_fail(d);
		return;
	}
	d->gone = &gone;
	lookup = evdns_getaddrinfo(d->dns, host, port, &hints,
	    dial_on_lookup, d);
	if (gone)
		return;			/* the hosts file knew the answer */
	d->gone = NULL;
	d->lookup = lookup;
}

struct apw_link_dial *
apw_link_dial_new(struct event_base *base, struct evdns_base *dns,
    const struct apw_link_dial_conf *conf, apw_link_dial_fn *done, void *arg,
    struct apw_err *err)
{
	struct timeval		 now = { 0, 0 };
	struct apw_link_dial	*d;

	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		if (conf->connected)
			evutil_closesocket(conf->fd);
		apw_err_set(err, ENOMEM, "dial");
		return NULL;
	}
	d->magic = LINK_DIAL_MAGIC;
	d->base = base;
	d->dns = dns;
	d->conf = *conf;
	d->done = done;
	d->arg = arg;
	snprintf(d->error, sizeof(d->error), "no address");
	d->timer = event_new(base, -1, 0, dial_on_timer, d);
	d->start = event_new(base, -1, 0, dial_on_start, d);
	if (d->timer == NULL || d->start == NULL ||
	    event_add(d->start, &now) == -1) {
		apw_err_set(err, ENOMEM, "dial");
		apw_link_dial_free(d);
		return NULL;
	}
	return d;
}
