/*
 * Socket.IO server; see sio_server.h.  Room: link.
 *
 * Must never act on a packet of a namespace that was not joined, nor keep
 * more of attachments than one message may be.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "link/sio_server.h"
#include "link/sio_attach.h"
#include "proto/apw_eio.h"
#include "proto/apw_raw.h"

#define SIO_SERVER_MAGIC	0x53535631	/* SSV1 */
#define SIO_CONN_MAGIC		0x53434e31	/* SCN1 */

/* namespaces one connection may join */
#define NAMESPACES_MAX	8
#define NAMESPACE_BYTES	128

struct apw_sio_socket {
	LIST_ENTRY(apw_sio_socket) link;
	struct sio_conn		*conn;		/* borrowed */
	void			*data;		/* of the owner */
	char			 sid[APW_EIO_SID_BYTES];
	size_t			 nsp_bytes;
	char			 nsp[];		/* not NUL-terminated */
};

struct sio_conn {
	uint32_t		 magic;
	struct apw_sio_server	*server;	/* borrowed */
	struct apw_eio_session	*session;	/* borrowed; NULL: gone */
	LIST_HEAD(, apw_sio_socket) sockets;
	unsigned		 nsockets;
	struct event		*timer;		/* owned: connect timeout */
	struct apw_sio_attach	 attach;	/* packet that waits for bytes */
	unsigned		 depth;		/* callbacks under way */
	bool			 trusted;
};

struct apw_sio_server {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct apw_eio_server	*eio;		/* owned */
	struct apw_sio_server_conf conf;
	struct apw_sio_server_events ev;
	void			*arg;		/* borrowed */
	struct apw_buf		 head;		/* scratch: packet heads */
	bool			 dead;
	void			(*freed)(void *);
	void			*freed_arg;
};

/* --- life of a connection --- */

static void
conn_release(struct sio_conn *c)
{
	struct apw_sio_socket	*sock;

	if (c->session != NULL || c->depth > 0)
		return;
	while ((sock = LIST_FIRST(&c->sockets)) != NULL) {
		LIST_REMOVE(sock, link);
		free(sock);
	}
	apw_sio_attach_free(&c->attach);
	if (c->timer != NULL)
		event_free(c->timer);
	c->magic = 0;
	free(c);
}

/* Of strangers it is no news. */
static void
conn_violate(struct sio_conn *c, const char *what)
{
	apw_log(c->trusted ? APW_LOG_INFO : APW_LOG_DEBUG,
	    "socket.io connection broke the protocol",
	    APW_S("reason", what));
	if (c->session != NULL)
		apw_eio_session_fail(c->session, "parse error");
}

/* Close the connection without on_leave for any of its sockets. */
static void
conn_close(struct sio_conn *c)
{
	struct apw_eio_session	*session = c->session;

	if (session == NULL)
		return;
	c->session = NULL;
	if (c->timer != NULL)
		event_del(c->timer);
	apw_eio_session_close(session);
}

static void
conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sio_conn	*c;

	APW_CAST(c, arg, SIO_CONN_MAGIC);
	(void)fd;
	(void)what;
	conn_close(c);
	conn_release(c);
}

static size_t
attached_bytes(const struct apw_sio_server *s)
{
	return s->conf.max_attached_bytes != 0 ? s->conf.max_attached_bytes :
	    s->conf.eio.max_payload_bytes;
}

static void *
server_on_open(void *arg, struct apw_eio_session *session)
{
	struct apw_sio_server	*s;
	struct timeval		 tv;
	struct sio_conn		*c;

	APW_CAST(s, arg, SIO_SERVER_MAGIC);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		goto fail;
	c->magic = SIO_CONN_MAGIC;
	c->server = s;
	LIST_INIT(&c->sockets);
	c->trusted = s->conf.eio.max_early_bytes == 0;
	apw_sio_attach_init(&c->attach, c->trusted ? attached_bytes(s) :
	    s->conf.eio.max_early_bytes);
	c->timer = event_new(s->base, -1, 0, conn_on_timer, c);
	if (c->timer == NULL)
		goto fail;
	c->session = session;
	tv.tv_sec = s->conf.connect_timeout_ms / 1000;
	tv.tv_usec = s->conf.connect_timeout_ms % 1000 * 1000;
	event_add(c->timer, &tv);
	return c;
fail:
	free(c);
	apw_eio_session_close(session);
	return NULL;
}

static void
server_on_closed(void *data, const char *reason)
{
	struct apw_sio_socket	*sock;
	struct apw_sio_server	*s;
	struct sio_conn		*c;

	APW_CAST(c, data, SIO_CONN_MAGIC);
	s = c->server;
	c->session = NULL;
	event_del(c->timer);
	c->depth++;
	while ((sock = LIST_FIRST(&c->sockets)) != NULL) {
		LIST_REMOVE(sock, link);
		if (!s->dead)
			s->ev.on_leave(s->arg, sock, reason);
		free(sock);
	}
	c->depth--;
	conn_release(c);
}

static void
server_on_upgraded(void *data)
{
	struct apw_sio_socket	*sock;
	struct sio_conn		*c;

	APW_CAST(c, data, SIO_CONN_MAGIC);
	sock = LIST_FIRST(&c->sockets);
	if (sock != NULL && c->server->ev.on_upgraded != NULL)
		c->server->ev.on_upgraded(c->server->arg, sock);
}

static void
server_on_turned_away(void *arg, unsigned n)
{
	struct apw_sio_server	*s;

	APW_CAST(s, arg, SIO_SERVER_MAGIC);
	if (!s->dead && s->ev.on_turned_away != NULL)
		s->ev.on_turned_away(s->arg, n);
}

/* --- sending --- */

static int
conn_send(struct sio_conn *c, const struct apw_sio_packet *pkt,
    const struct apw_str *parts, size_t nparts, const struct apw_str *binary)
{
	struct apw_buf	*head = &c->server->head;
	struct apw_str	 all[APW_SIO_PARTS_MAX + 1];
	size_t		 i;

	if (c->session == NULL || nparts > APW_SIO_PARTS_MAX)
		return -1;
	apw_buf_reset(head);
	if (apw_sio_head(head, pkt) == -1)
		return -1;
	all[0] = apw_buf_view(head);
	for (i = 0; i < nparts; i++)
		all[i + 1] = parts[i];
	if (apw_eio_session_send(c->session, false, all, nparts + 1) == -1)
		return -1;
	for (i = 0; i < pkt->attachments; i++)
		if (c->session == NULL || apw_eio_session_send(c->session,
		    true, &binary[i], 1) == -1)
			return -1;
	return 0;
}

int
apw_sio_socket_emit(struct apw_sio_socket *sock, const uint64_t *id,
    const struct apw_str *parts, size_t nparts, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_sio_packet	pkt = {
		.type = nbinary > 0 ? APW_SIO_BINARY_EVENT : APW_SIO_EVENT,
		.nsp = apw_sio_socket_nsp(sock),
		.attachments = (unsigned)nbinary,
		.has_id = id != NULL,
		.id = id != NULL ? *id : 0,
	};

	return conn_send(sock->conn, &pkt, parts, nparts, binary);
}

int
apw_sio_socket_ack(struct apw_sio_socket *sock, uint64_t id,
    const struct apw_str *parts, size_t nparts, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_sio_packet	pkt = {
		.type = nbinary > 0 ? APW_SIO_BINARY_ACK : APW_SIO_ACK,
		.nsp = apw_sio_socket_nsp(sock),
		.attachments = (unsigned)nbinary,
		.has_id = true,
		.id = id,
	};

	return conn_send(sock->conn, &pkt, parts, nparts, binary);
}

void
apw_sio_socket_kick(struct apw_sio_socket *sock)
{
	struct apw_sio_packet	 pkt = { .type = APW_SIO_DISCONNECT,
	    .nsp = apw_sio_socket_nsp(sock) };
	struct sio_conn		*c = sock->conn;

	conn_send(c, &pkt, NULL, 0, NULL);
	conn_close(c);
	conn_release(c);
}

/* --- receiving --- */

static struct apw_sio_socket *
conn_find(const struct sio_conn *c, struct apw_str nsp)
{
	struct apw_sio_socket	*sock;

	LIST_FOREACH(sock, &c->sockets, link)
		if (apw_str_eq(apw_sio_socket_nsp(sock), nsp))
			return sock;
	return NULL;
}

static void
refuse(struct sio_conn *c, struct apw_str nsp, const char *why)
{
	struct apw_sio_packet	pkt = { .type = APW_SIO_CONNECT_ERROR,
	    .nsp = nsp };
	struct apw_str		parts[3] = { APW_STR("{\"message\":\""),
	    apw_str_c(why), APW_STR("\"}") };

	conn_send(c, &pkt, parts, 3, NULL);
	if (c->server->conf.close_refused)
		conn_close(c);
}

static struct apw_sio_socket *
socket_new(struct sio_conn *c, struct apw_str nsp)
{
	struct apw_sio_socket	*sock;

	if (nsp.n > NAMESPACE_BYTES || c->nsockets >= NAMESPACES_MAX)
		return NULL;
	sock = calloc(1, sizeof(*sock) + nsp.n);
	if (sock == NULL || apw_eio_sid(sock->sid) == -1) {
		free(sock);
		return NULL;
	}
	sock->conn = c;
	sock->nsp_bytes = nsp.n;
	memcpy(sock->nsp, nsp.p, nsp.n);
	return sock;
}

static void
take_connect(struct sio_conn *c, const struct apw_sio_packet *pkt)
{
	struct apw_sio_packet	 reply = { .type = APW_SIO_CONNECT,
	    .nsp = pkt->nsp };
	struct apw_sio_server	*s = c->server;
	struct apw_sio_socket	*sock;
	struct apw_str		 parts[3];
	const char		*why;

	if (conn_find(c, pkt->nsp) != NULL) {
		conn_violate(c, "CONNECT to a namespace already joined");
		return;
	}
	sock = socket_new(c, pkt->nsp);
	if (sock == NULL) {
		conn_violate(c, "too many namespaces");
		return;
	}
	why = s->ev.on_connect(s->arg, sock, pkt->nsp, pkt->data);
	if (s->dead || c->session == NULL || why != NULL) {
		free(sock);
		if (!s->dead && why != NULL)
			refuse(c, pkt->nsp, why);
		return;
	}
	LIST_INSERT_HEAD(&c->sockets, sock, link);
	c->nsockets++;
	event_del(c->timer);
	parts[0] = APW_STR("{\"sid\":\"");
	parts[1] = apw_str_c(sock->sid);
	parts[2] = APW_STR("\"}");
	if (conn_send(c, &reply, parts, 3, NULL) == 0)
		s->ev.on_join(s->arg, sock, pkt->data);
}

static void
take_disconnect(struct sio_conn *c, struct apw_sio_socket *sock)
{
	struct apw_sio_server	*s = c->server;

	/* the transport stays: other namespaces may live on it */
	LIST_REMOVE(sock, link);
	c->nsockets--;
	s->ev.on_leave(s->arg, sock, "client namespace disconnect");
	free(sock);
}

/* A packet with all its attachments. */
static void
take_packet(struct sio_conn *c, const struct apw_sio_packet *pkt,
    const struct apw_str *binary, size_t nbinary)
{
	struct apw_sio_server	*s = c->server;
	struct apw_sio_socket	*sock;

	if (pkt->type == APW_SIO_CONNECT) {
		take_connect(c, pkt);
		return;
	}
	sock = conn_find(c, pkt->nsp);
	if (sock == NULL) {
		conn_violate(c, "packet for a namespace not joined");
		return;
	}
	switch (pkt->type) {
	case APW_SIO_DISCONNECT:
		take_disconnect(c, sock);
		break;
	case APW_SIO_EVENT:
	case APW_SIO_BINARY_EVENT:
		s->ev.on_event(s->arg, sock, pkt, binary, nbinary);
		break;
	case APW_SIO_ACK:
	case APW_SIO_BINARY_ACK:
		s->ev.on_ack(s->arg, sock, pkt, binary, nbinary);
		break;
	default:
		conn_violate(c, "CONNECT_ERROR from a client");
		break;
	}
}

static void
server_on_message(void *data, bool binary, struct apw_str text)
{
	struct apw_sio_packet	 pkt;
	struct apw_err		 err;	/* large, and set on failure */
	struct apw_str		 parts[APW_SIO_ATTACHMENTS_MAX];
	struct sio_conn		*c;
	size_t			 nparts = 0;

	APW_CAST(c, data, SIO_CONN_MAGIC);
	c->depth++;
	switch (apw_sio_attach_take(&c->attach, binary, text, &pkt, parts,
	    &nparts, &err)) {
	case -1:
		conn_violate(c, err.text);
		break;
	case 1:
		take_packet(c, &pkt, parts, nparts);
		apw_sio_attach_done(&c->attach);
		break;
	default:
		break;		/* more attachments to come */
	}
	c->depth--;
	conn_release(c);
}

/* --- life of the server --- */

struct apw_sio_server *
apw_sio_server_new(struct event_base *base,
    const struct apw_sio_server_conf *conf,
    const struct apw_sio_server_events *ev, void *arg, struct apw_err *err)
{
	static const struct apw_eio_server_events	eio = {
		.on_open = server_on_open,
		.on_message = server_on_message,
		.on_closed = server_on_closed,
		.on_upgraded = server_on_upgraded,
		.on_turned_away = server_on_turned_away,
	};
	struct apw_sio_server				*s;

	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		apw_err_set(err, ENOMEM, "socket.io server");
		return NULL;
	}
	s->magic = SIO_SERVER_MAGIC;
	s->base = base;
	s->conf = *conf;
	s->ev = *ev;
	s->arg = arg;
	s->head.max = 4096;
	s->eio = apw_eio_server_new(base, &conf->eio, &eio, s, err);
	if (s->eio == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

int
apw_sio_server_listen(struct apw_sio_server *s, const char *address,
    uint16_t port, struct apw_err *err)
{
	return apw_eio_server_listen(s->eio, address, port, err);
}

struct apw_eio_server *
apw_sio_server_eio(struct apw_sio_server *s)
{
	return s->eio;
}

static void
server_freed(void *arg)
{
	struct apw_sio_server	*s = arg;
	void			(*freed)(void *) = s->freed;
	void			*freed_arg = s->freed_arg;

	apw_buf_free(&s->head);
	s->magic = 0;
	free(s);
	if (freed != NULL)
		freed(freed_arg);
}

void
apw_sio_server_free(struct apw_sio_server *s, void (*freed)(void *),
    void *arg)
{
	s->dead = true;
	s->freed = freed;
	s->freed_arg = arg;
	apw_eio_server_free(s->eio, server_freed, s);
}

void
apw_sio_socket_set(struct apw_sio_socket *sock, void *data)
{
	sock->data = data;
}

void *
apw_sio_socket_get(const struct apw_sio_socket *sock)
{
	return sock->data;
}

void
apw_sio_socket_trust(struct apw_sio_socket *sock)
{
	struct sio_conn	*c = sock->conn;

	c->trusted = true;
	apw_sio_attach_allow(&c->attach, attached_bytes(c->server));
	if (c->session != NULL)
		apw_eio_session_trust(c->session);
}

const struct apw_eio_session *
apw_sio_socket_session(const struct apw_sio_socket *sock)
{
	return sock->conn->session;
}

struct apw_str
apw_sio_socket_nsp(const struct apw_sio_socket *sock)
{
	return (struct apw_str){ sock->nsp, sock->nsp_bytes };
}
