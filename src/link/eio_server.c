/*
 * Engine.IO server: life of the server, its listeners and its table of
 * sessions; see eio_server.h.  Room: link.
 *
 * Nothing is freed while a callback of the server is on the stack: the dead
 * go to a grave that apw_eio_server_leave() empties.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"

/* how long a listener rests when descriptors ran out */
#define RETRY_MS	100

static unsigned
bucket_of(const char *sid)
{
	/* session ids are random: any bytes of one will do */
	return ((unsigned char)sid[0] ^ ((unsigned)(unsigned char)sid[1] << 3)) %
	    EIO_BUCKETS;
}

struct apw_eio_server *
apw_eio_server_new(struct event_base *base,
    const struct apw_eio_server_conf *conf,
    const struct apw_eio_server_events *ev, void *arg, struct apw_err *err)
{
	struct apw_eio_server	*s;
	size_t			 i;

	s = calloc(1, sizeof(*s));
	if (s == NULL || asprintf(&s->path, "%s/", conf->path) == -1) {
		free(s);
		apw_err_set(err, ENOMEM, "engine.io server");
		return NULL;
	}
	s->magic = EIO_SERVER_MAGIC;
	s->base = base;
	s->conf = *conf;
	s->conf.path = s->path;
	s->ev = *ev;
	s->arg = arg;
	for (i = 0; i < EIO_BUCKETS; i++)
		TAILQ_INIT(&s->sessions[i]);
	TAILQ_INIT(&s->grave);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->conn_grave);
	TAILQ_INIT(&s->leaving.all);
	SLIST_INIT(&s->listeners);
	return s;
}

/* --- listening --- */

static void
server_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *sa, int len, void *arg)
{
	struct apw_eio_server	*s;

	APW_CAST(s, arg, EIO_SERVER_MAGIC);
	(void)listener;
	(void)sa;
	(void)len;
	apw_eio_server_enter(s);
	if (s->nconns >= s->conf.max_connections) {
		apw_warn("connection refused: too many",
		    APW_I("connections", s->nconns));
		evutil_closesocket(fd);
	} else
		eio_conn_new(s, fd);
	apw_eio_server_leave(s);
}

static void
server_on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct eio_listener	*l = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(l->listener);
}

static void
server_on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct timeval		 tv = { 0, RETRY_MS * 1000 };
	struct apw_eio_server	*s;
	struct eio_listener	*l;

	APW_CAST(s, arg, EIO_SERVER_MAGIC);
	apw_error("cannot accept a connection",
	    APW_S("error", strerror(errno)));
	SLIST_FOREACH(l, &s->listeners, link) {
		if (l->listener == listener) {
			evconnlistener_disable(listener);
			event_add(l->retry, &tv);
		}
	}
}

static int
parse_address(const char *address, uint16_t port,
    struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in	*in = (struct sockaddr_in *)ss;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*len = sizeof(*in);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*len = sizeof(*in6);
		return 0;
	}
	return -1;
}

static void
listener_free(struct eio_listener *l)
{
	if (l->listener != NULL)
		evconnlistener_free(l->listener);
	if (l->retry != NULL)
		event_free(l->retry);
	free(l);
}

/* Takes what evconnlistener_new*() gave, NULL too. */
static struct eio_listener *
listener_new(struct apw_eio_server *s, struct evconnlistener *listener)
{
	struct eio_listener	*l = calloc(1, sizeof(*l));

	if (l == NULL || listener == NULL) {
		if (listener != NULL)
			evconnlistener_free(listener);
		free(l);
		return NULL;
	}
	l->listener = listener;
	l->retry = event_new(s->base, -1, 0, server_on_retry, l);
	if (l->retry == NULL) {
		listener_free(l);
		return NULL;
	}
	evconnlistener_set_error_cb(listener, server_on_accept_error);
	SLIST_INSERT_HEAD(&s->listeners, l, link);
	return l;
}

int
apw_eio_server_listen(struct apw_eio_server *s, const char *address,
    uint16_t port, struct apw_err *err)
{
	struct sockaddr_storage	 ss;
	struct eio_listener	*l;
	socklen_t		 len;

	if (parse_address(address, port, &ss, &len) == -1)
		return apw_err_set(err, 0, "\"%s\" is not a numeric address",
		    address);
	l = listener_new(s, evconnlistener_new_bind(s->base, server_on_accept,
	    s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
	    LEV_OPT_REUSEABLE, 512, (struct sockaddr *)&ss, (int)len));
	if (l == NULL || getsockname(evconnlistener_get_fd(l->listener),
	    (struct sockaddr *)&ss, &len) == -1)
		return apw_err_set(err, errno, "cannot listen on %s port %u",
		    address, port);
	return ntohs(ss.ss_family == AF_INET ?
	    ((struct sockaddr_in *)&ss)->sin_port :
	    ((struct sockaddr_in6 *)&ss)->sin6_port);
}

int
apw_eio_server_adopt(struct apw_eio_server *s, int fd, struct apw_err *err)
{
	struct evconnlistener	*listener;

	/* backlog 0: it listens already */
	listener = evconnlistener_new(s->base, server_on_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listener == NULL)
		close(fd);
	return listener_new(s, listener) != NULL ? 0 :
	    apw_err_set(err, errno, "cannot take a listener over");
}

void
apw_eio_server_deafen(struct apw_eio_server *s)
{
	struct eio_listener	*l;

	while ((l = SLIST_FIRST(&s->listeners)) != NULL) {
		SLIST_REMOVE_HEAD(&s->listeners, link);
		listener_free(l);
	}
}

/* --- sessions --- */

struct apw_eio_session *
eio_server_find(struct apw_eio_server *s, const char *sid)
{
	struct apw_eio_session	*one;

	TAILQ_FOREACH(one, &s->sessions[bucket_of(sid)], link)
		if (strcmp(one->sid, sid) == 0)
			break;
	if (one != NULL && eio_session_expired(one)) {
		/* its timer is only a matter of the loop's next turn */
		eio_session_end(one, "ping timeout");
		return NULL;
	}
	return one;
}

void
eio_server_add(struct apw_eio_server *s, struct apw_eio_session *one)
{
	TAILQ_INSERT_HEAD(&s->sessions[bucket_of(one->sid)], one, link);
	s->nsessions++;
}

void
eio_server_bury(struct apw_eio_server *s, struct apw_eio_session *one)
{
	TAILQ_REMOVE(&s->sessions[bucket_of(one->sid)], one, link);
	TAILQ_INSERT_TAIL(&s->grave, one, link);
	s->nsessions--;
}

/* --- life --- */

void
apw_eio_server_chain(struct apw_eio_server *s, struct apw_eio_server *next)
{
	s->next = next;
}

void
apw_eio_server_enter(struct apw_eio_server *s)
{
	s->depth++;
}

static void
server_destroy(struct apw_eio_server *s)
{
	struct apw_link_ws	*ws;
	void			(*freed)(void *) = s->freed;
	void			*arg = s->freed_arg;

	while ((ws = TAILQ_FIRST(&s->leaving.all)) != NULL)
		apw_link_ws_free(ws);
	free(s->path);
	s->magic = 0;
	free(s);
	if (freed != NULL)
		freed(arg);
}

void
apw_eio_server_leave(struct apw_eio_server *s)
{
	struct apw_eio_session	*one;
	struct eio_conn		*conn;

	APW_ASSERT(s->depth > 0);
	if (s->depth > 1) {
		s->depth--;
		return;
	}
	while ((one = TAILQ_FIRST(&s->grave)) != NULL) {
		TAILQ_REMOVE(&s->grave, one, link);
		eio_session_destroy(one);
	}
	while ((conn = TAILQ_FIRST(&s->conn_grave)) != NULL) {
		TAILQ_REMOVE(&s->conn_grave, conn, link);
		eio_conn_destroy(conn);
	}
	s->depth = 0;
	if (s->dead)
		server_destroy(s);
}

void
apw_eio_server_free(struct apw_eio_server *s, void (*freed)(void *),
    void *arg)
{
	struct apw_eio_session	*one;
	size_t			 i;

	apw_eio_server_enter(s);
	s->dead = true;
	s->freed = freed;
	s->freed_arg = arg;
	apw_eio_server_deafen(s);
	for (i = 0; i < EIO_BUCKETS; i++) {
		while ((one = TAILQ_FIRST(&s->sessions[i])) != NULL)
			eio_session_end(one, "server closed");
	}
	while (!TAILQ_EMPTY(&s->conns))
		eio_conn_bury(TAILQ_FIRST(&s->conns));
	apw_eio_server_leave(s);
}
