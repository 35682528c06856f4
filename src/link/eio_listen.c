/*
 * Engine.IO server: listeners, and who is let in.  Room: link.
 *
 * A process of this host may come as often as it likes, and costs us a few
 * microseconds each time: nobody's turn of the loop is longer for it than a
 * batch takes, and nothing of a stranger's stays.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"

/* how long a listener rests when descriptors ran out */
#define EMPTY_MS	100
/* and where nobody waits for those who come */
#define REST_MS		20
/* as many as the kernel lets wait by default */
#define BACKLOG		4096

static void
listener_rest(struct eio_listener *l, unsigned ms)
{
	struct timeval	tv = { 0, (suseconds_t)ms * 1000 };

	event_del(l->acceptable);
	event_add(l->resume, &tv);
}

static void
listener_on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct eio_listener	*l = arg;

	(void)fd;
	(void)what;
	event_add(l->acceptable, NULL);
}

/* How many came. */
static size_t
listener_take(struct eio_listener *l, int *fds)
{
	size_t	n = 0;

	while (n < APW_PEER_BATCH) {
		fds[n] = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK |
		    SOCK_CLOEXEC);
		if (fds[n] != -1)
			n++;
		else if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
	if (n < APW_PEER_BATCH && errno != EAGAIN) {
		apw_error_often("cannot accept a connection",
		    APW_K("error", strerror(errno)));
		listener_rest(l, EMPTY_MS);
	} else if (n > 0 && l->server->rests)
		listener_rest(l, REST_MS);
	return n;
}

static void
door_ask(const struct apw_eio_server *s, const int *fds,
    enum apw_peer *whose, size_t n)
{
	static const enum apw_peer	all[] = {
		[APW_EIO_DOOR_OPEN] = APW_PEER_UNKNOWN,
		[APW_EIO_DOOR_OWN] = APW_PEER_OWN,
		[APW_EIO_DOOR_SHUT] = APW_PEER_STRANGER,
	};
	size_t				i;

	if (s->door == APW_EIO_DOOR_KNOWN) {
		apw_peer_ask(&s->who, fds, whose, n);
		return;
	}
	for (i = 0; i < n; i++)
		whose[i] = all[s->door];
}

static void
listener_on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct eio_listener	*l = arg;
	struct apw_eio_server	*s = l->server;
	int			 fds[APW_PEER_BATCH];
	enum apw_peer		 whose[APW_PEER_BATCH];
	unsigned		 away = 0;
	size_t			 n, i;

	(void)fd;
	(void)what;
	apw_eio_server_enter(s);
	n = listener_take(l, fds);
	door_ask(s, fds, whose, n);
	for (i = 0; i < n; i++) {
		if (whose[i] == APW_PEER_STRANGER || !eio_server_room(s)) {
			apw_peer_turn_away(fds[i]);
			away++;
		} else
			eio_conn_new(s, fds[i], whose[i] == APW_PEER_OWN);
	}
	if (away > 0 && !s->dead && s->ev.on_turned_away != NULL)
		s->ev.on_turned_away(s->arg, away);
	apw_eio_server_leave(s);
}

static void
listener_free(struct eio_listener *l)
{
	if (l->acceptable != NULL)
		event_free(l->acceptable);
	if (l->resume != NULL)
		event_free(l->resume);
	close(l->fd);
	free(l);
}

/* Takes the descriptor over. */
static int
listener_new(struct apw_eio_server *s, int fd)
{
	struct eio_listener	*l = calloc(1, sizeof(*l));

	if (l == NULL) {
		close(fd);
		return -1;
	}
	l->server = s;
	l->fd = fd;
	l->acceptable = event_new(s->base, fd, EV_READ | EV_PERSIST,
	    listener_on_accept, l);
	l->resume = event_new(s->base, -1, 0, listener_on_resume, l);
	if (l->acceptable == NULL || l->resume == NULL ||
	    evutil_make_socket_nonblocking(fd) == -1 ||
	    event_add(l->acceptable, NULL) == -1) {
		listener_free(l);
		return -1;
	}
	SLIST_INSERT_HEAD(&s->listeners, l, link);
	return 0;
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

/* A socket that listens there, and where that is; -1 with errno. */
static int
bind_and_listen(struct sockaddr_storage *ss, socklen_t *len)
{
	int	fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
	int	on = 1, error;

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)ss, *len) == 0 &&
	    listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)ss, len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
apw_eio_server_listen(struct apw_eio_server *s, const char *address,
    uint16_t port, struct apw_err *err)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd;

	if (parse_address(address, port, &ss, &len) == -1)
		return apw_err_set(err, 0, "\"%s\" is not a numeric address",
		    address);
	fd = bind_and_listen(&ss, &len);
	if (fd == -1 || listener_new(s, fd) == -1)
		return apw_err_set(err, errno, "cannot listen on %s port %u",
		    address, port);
	return ntohs(ss.ss_family == AF_INET ?
	    ((struct sockaddr_in *)&ss)->sin_port :
	    ((struct sockaddr_in6 *)&ss)->sin6_port);
}

int
apw_eio_server_adopt(struct apw_eio_server *s, int fd, struct apw_err *err)
{
	return listener_new(s, fd) == 0 ? 0 :
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

void
apw_eio_server_door(struct apw_eio_server *s, enum apw_eio_door door,
    const struct apw_peer_who *who, bool rest)
{
	struct eio_listener	*l;

	s->door = door;
	s->rests = rest;
	if (who != NULL)
		s->who = *who;
	if (rest)
		return;
	SLIST_FOREACH(l, &s->listeners, link) {
		event_del(l->resume);
		event_add(l->acceptable, NULL);
	}
}
