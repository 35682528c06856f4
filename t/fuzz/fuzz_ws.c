/*
 * The server as a stranger meets it: bytes of a connection (HTTP, polling,
 * upgrade, frames) into the Socket.IO server.  Also both sides of the opening
 * handshake.
 *
 * The first byte tells how it is fed: bits 0 and 1 whole, byte by byte, in
 * sevens, in larger pieces; bit 7 to a server of its own, which is freed with
 * all that is still open.  Else one server serves all inputs and is emptied
 * behind each: making one costs more than most inputs do.
 */
#include "config.h"

#include "fuzz_main.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"
#include "link/sio_server.h"
#include "proto/apw_ws.h"

#define PIECES	512

static const char *
on_connect(void *arg, struct apw_sio_socket *sock, struct apw_str nsp,
    struct apw_str auth)
{
	(void)arg;
	(void)sock;
	(void)auth;
	return apw_str_is(nsp, "/") ? NULL : "Invalid namespace";
}

static void
on_join(void *arg, struct apw_sio_socket *sock, struct apw_str auth)
{
	(void)arg;
	(void)sock;
	(void)auth;
}

static void
on_event(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_str	parts[3] = { APW_STR("["), pkt->args, APW_STR("]") };

	(void)arg;
	if (pkt->has_id)
		apw_sio_socket_ack(sock, pkt->id, parts, 3, binary, nbinary);
	else if (pkt->args.n == 0)
		apw_sio_socket_kick(sock);
}

static void
on_ack(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	(void)arg;
	(void)sock;
	(void)pkt;
	(void)binary;
	(void)nbinary;
}

static void
on_leave(void *arg, struct apw_sio_socket *sock, const char *reason)
{
	(void)arg;
	(void)sock;
	(void)reason;
}

static struct apw_sio_server *
server(struct event_base *base)
{
	static const struct apw_sio_server_events	ev = { on_connect,
	    on_join, on_event, on_ack, on_leave };
	static const struct apw_sio_server_conf		conf = {
		.eio = { .path = "/s", .max_payload_bytes = 4096,
		    .max_output_bytes = 16384, .max_sessions = 8,
		    .max_connections = 8, .ping_interval_ms = 10000,
		    .ping_timeout_ms = 10000, .upgrade_timeout_ms = 10000,
		    .head_timeout_ms = 10000, .body_timeout_ms = 10000 },
		.connect_timeout_ms = 10000,
	};

	return apw_sio_server_new(base, &conf, &ev, NULL, NULL);
}

/* The bytes "SID!" stand for the id of the newest session. */
static void
put_sid(struct apw_eio_server *eio, uint8_t *data, size_t n)
{
	struct apw_eio_session	*s;
	char			*at;
	size_t			 i;

	for (i = 0; i < EIO_BUCKETS; i++) {
		s = TAILQ_FIRST(&eio->sessions[i]);
		if (s == NULL)
			continue;
		while ((at = memmem(data, n, "SSSSSSSSSSSSSSSSSSSS", 20)) !=
		    NULL)
			memcpy(at, s->sid, 20);
	}
}

static void
drain(int fd)
{
	char	sink[65536];

	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void
feed(struct event_base *base, int fd, const uint8_t *data, size_t n,
    size_t step)
{
	size_t	i, now;

	for (i = 0; i < n; i += now) {
		now = n - i < step ? n - i : step;
		if (send(fd, data + i, now, MSG_NOSIGNAL) <= 0)
			break;
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		/* answers are small: they need not be read each time */
		if (i / 512 != (i + now) / 512)
			drain(fd);
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
	drain(fd);
}

/* All that is open in it ends, as when it is freed. */
static void
empty(struct event_base *base, struct apw_eio_server *eio)
{
	struct apw_eio_session	*s;
	struct apw_link_ws	*ws;
	size_t			 i;

	apw_eio_server_enter(eio);
	for (i = 0; i < EIO_BUCKETS; i++)
		while ((s = TAILQ_FIRST(&eio->sessions[i])) != NULL)
			eio_session_end(s, "end of input");
	while (!TAILQ_EMPTY(&eio->conns))
		eio_conn_bury(TAILQ_FIRST(&eio->conns));
	apw_eio_server_leave(eio);
	while ((ws = TAILQ_FIRST(&eio->leaving.all)) != NULL)
		apw_link_ws_free(ws);
	event_base_loop(base, EVLOOP_NONBLOCK);
	FUZZ_CHECK(eio->nsessions == 0 && eio->nconns == 0 &&
	    eio->depth == 0);
}

static void
talk(const uint8_t *input, size_t n, size_t step, bool fresh)
{
	static struct event_base	*base;
	static struct apw_sio_server	*kept;
	struct apw_sio_server		*sio;
	uint8_t				*data = malloc(n + 1), *p = data, *at;
	int				 fd[2];

	if (base == NULL)
		base = event_base_new();
	if (kept == NULL)
		kept = server(base);
	sio = fresh ? server(base) : kept;
	memcpy(data, input, n);
	/* connections are separated by 0xff 0xff */
	while (n > 0) {
		at = memmem(p, n, "\xff\xff", 2);
		if (at == NULL)
			at = p + n;
		put_sid(apw_sio_server_eio(sio), p, (size_t)(at - p));
		FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		    fd) == 0);
		apw_eio_server_enter(apw_sio_server_eio(sio));
		eio_conn_new(apw_sio_server_eio(sio), fd[0], false);
		apw_eio_server_leave(apw_sio_server_eio(sio));
		feed(base, fd[1], p, (size_t)(at - p), step);
		close(fd[1]);
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (at + 2 > p + n)
			break;
		n -= (size_t)(at + 2 - p);
		p = at + 2;
	}
	if (fresh)
		apw_sio_server_free(sio, NULL, NULL);
	else
		empty(base, apw_sio_server_eio(sio));
	event_base_loop(base, EVLOOP_NONBLOCK);
	free(data);
}

static void
handshake(struct apw_str text)
{
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	struct apw_str		key;
	char			accept[APW_WS_ACCEPT_BYTES];
	ssize_t			n = apw_http_head_length(text);

	if (n <= 0)
		return;
	text.n = (size_t)n;
	if (apw_http_request(text, &head, &err) == 0 &&
	    apw_ws_request_check(&head, &key, &err) == 0)
		FUZZ_CHECK(apw_ws_accept(key, accept) == 0);
	if (apw_http_response(text, &head, &err) == 0)
		apw_ws_response_check(&head, "dGhlIHNhbXBsZSBub25jZQ==",
		    &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t	steps[4] = { 65536, 1, 7, 61 };
	static bool		quiet;
	size_t			step;

	if (n < 2)
		return 0;
	if (!quiet)
		quiet = apw_log_open("/dev/null", APW_LOG_ALERT, APW_LOG_TEXT,
		    NULL) == 0;
	handshake((struct apw_str){ (const char *)data + 1, n - 1 });
	step = steps[data[0] & 3];
	/* three calls of the kernel a piece: a long input has larger ones */
	if (n / step > PIECES)
		step = n / PIECES + 1;
	talk(data + 1, n - 1, step, (data[0] & 0x80) != 0);
	return 0;
}
