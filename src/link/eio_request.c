/*
 * Engine.IO server: what HTTP requests mean, in the order the reference
 * server checks them.  Room: link.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <string.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"
#include "proto/apw_raw.h"
#include "proto/apw_ws.h"

/* what a request's query says */
struct request {
	char	transport[16];
	char	eio[8];
	char	sid[APW_EIO_SID_MAX + 1];
	bool	has_sid;
	bool	websocket;
	bool	upgrade;
	struct apw_eio_session *session;
};

static void
answer_text(struct eio_conn *c, const char *status, const char *text)
{
	eio_conn_answer(c, status, "text/plain; charset=UTF-8", text,
	    strlen(text));
}

/* The reference answers failed upgrades in plain text and hangs up. */
static void
refuse_upgrade(struct eio_conn *c, enum eio_error code)
{
	static const char *const	texts[] = { "Transport unknown",
	    "Session ID unknown", "Bad handshake method", "Bad request",
	    "Forbidden", "Unsupported protocol version" };

	c->keep_alive = false;
	eio_conn_answer(c, "400 Bad Request", "text/html", texts[code],
	    strlen(texts[code]));
}

static void
refuse(struct eio_conn *c, const struct request *r, enum eio_error code)
{
	if (r->upgrade)
		refuse_upgrade(c, code);
	else
		eio_conn_error(c, code);
}

/* CORS preflight */
static void
answer_options(struct eio_conn *c, const struct apw_http_head *head)
{
	struct apw_str	 wanted = apw_http_header(head,
	    "access-control-request-headers");
	struct evbuffer	*out = bufferevent_get_output(c->bev);

	evbuffer_add_printf(out, "HTTP/1.1 204 No Content\r\n"
	    "Access-Control-Allow-Origin: *\r\n"
	    "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n"
	    "Vary: Access-Control-Request-Headers\r\n");
	if (wanted.p != NULL)
		evbuffer_add_printf(out,
		    "Access-Control-Allow-Headers: %.*s\r\n", (int)wanted.n,
		    wanted.p);
	evbuffer_add_printf(out, "Content-Length: 0\r\nConnection: %s\r\n\r\n",
	    c->keep_alive ? "keep-alive" : "close");
	eio_conn_answer_end(c);
}

/* -1: answered with an error. */
static int
check(struct eio_conn *c, const struct apw_http_head *head,
    struct request *r)
{
	int	got;

	if (apw_http_query(head->query, "transport", r->transport,
	    sizeof(r->transport)) != 1 ||
	    (strcmp(r->transport, "polling") != 0 &&
	    strcmp(r->transport, "websocket") != 0)) {
		refuse(c, r, EIO_ERROR_TRANSPORT);
		return -1;
	}
	r->websocket = strcmp(r->transport, "websocket") == 0;
	got = apw_http_query(head->query, "EIO", r->eio, sizeof(r->eio));
	if (got != 1)
		r->eio[0] = '\0';
	got = apw_http_query(head->query, "sid", r->sid, sizeof(r->sid));
	r->has_sid = got != 0;
	if (r->has_sid) {
		if (got == 1)
			r->session = eio_server_find(c->server, r->sid);
		if (r->session == NULL) {
			refuse(c, r, EIO_ERROR_SID);
			return -1;
		}
		if ((!r->upgrade && (r->websocket || r->session->ws != NULL)) ||
		    strcmp(r->eio, "4") != 0) {
			refuse(c, r, EIO_ERROR_REQUEST);
			return -1;
		}
		return 0;
	}
	if (!apw_str_is(head->method, "GET")) {
		refuse(c, r, EIO_ERROR_METHOD);
		return -1;
	}
	if (r->websocket && !r->upgrade) {
		refuse(c, r, EIO_ERROR_REQUEST);
		return -1;
	}
	if (strcmp(r->eio, "4") != 0) {
		refuse(c, r, EIO_ERROR_VERSION);
		return -1;
	}
	return 0;
}

static void
handshake_polling(struct eio_conn *c)
{
	struct apw_eio_session	*s = eio_session_new(c->server, false,
				     c->own);

	if (s == NULL) {
		c->keep_alive = false;
		answer_text(c, "503 Service Unavailable", "too many sessions");
		return;
	}
	/* the open packet is queued: the ordinary way answers with it */
	eio_polling_get(s, c);
	eio_session_open(s);
}

static void
accept_websocket(struct eio_conn *c, const struct apw_http_head *head,
    struct request *r)
{
	struct apw_eio_server	*server = c->server;
	struct apw_eio_session	*s = r->session;
	struct bufferevent	*bev;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_str		 key;
	char			 accept[APW_WS_ACCEPT_BYTES];

	if (!r->websocket ||
	    apw_ws_request_check(head, &key, &err) == -1 ||
	    apw_ws_accept(key, accept) == -1) {
		refuse_upgrade(c, EIO_ERROR_REQUEST);
		return;
	}
	if (s == NULL && (s = eio_session_new(server, true,
	    c->own)) == NULL) {
		c->keep_alive = false;
		answer_text(c, "503 Service Unavailable", "too many sessions");
		return;
	}
	bev = eio_conn_take(c);
	evbuffer_add_printf(bufferevent_get_output(bev),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	    "Access-Control-Allow-Origin: *\r\n\r\n", accept);
	if (r->session == NULL)
		eio_upgrade_direct(s, bev);
	else if (s->ws != NULL || s->probe != NULL || s->closing)
		eio_upgrade_refuse(server, bev);
	else
		eio_upgrade_probe(s, bev);
}

/* The head of a POST with a good session: wait for its body. */
static void
start_post(struct eio_conn *c, const struct apw_http_head *head,
    struct apw_eio_session *s)
{
	struct apw_str	type = apw_http_header(head, "content-type");

	if (s->post != NULL) {
		c->keep_alive = false;
		eio_conn_error(c, EIO_ERROR_REQUEST);
		eio_session_end(s, "transport error: overlapping requests");
		return;
	}
	if (type.p != NULL &&
	    apw_str_is(type, "application/octet-stream")) {
		c->keep_alive = false;
		eio_conn_error(c, EIO_ERROR_REQUEST);
		eio_session_end(s, "transport error: binary request body");
		return;
	}
	if (head->content_length == -1 && !head->chunked) {
		c->keep_alive = false;
		answer_text(c, "411 Length Required", "");
		return;
	}
	c->session = s;
	s->post = c;
	if (!head->chunked && (uint64_t)head->content_length >
	    eio_session_max_bytes(s)) {
		eio_request_broken(c, true);
		return;
	}
	c->keep_alive = head->keep_alive;
	eio_conn_begin_body(c, s, head->chunked,
	    (size_t)head->content_length);
}

static bool
path_is_ours(const struct apw_eio_server *s, struct apw_str path)
{
	size_t	n = strlen(s->path);

	return path.n >= n && memcmp(path.p, s->path, n) == 0;
}

void
eio_request(struct eio_conn *c, const struct apw_http_head *head)
{
	struct request	r = { .upgrade = apw_ws_wanted(head) };

	/* a body that nobody reads would be taken for the next request */
	if (head->chunked || head->content_length > 0)
		c->keep_alive = false;
	if (c->server->next != NULL && !path_is_ours(c->server, head->path) &&
	    path_is_ours(c->server->next, head->path))
		eio_conn_move(c, c->server->next);
	if (!path_is_ours(c->server, head->path)) {
		answer_text(c, "404 Not Found", "not found");
		return;
	}
	if (apw_str_is(head->method, "OPTIONS")) {
		answer_options(c, head);
		return;
	}
	if (check(c, head, &r) == -1)
		return;
	if (r.upgrade)
		accept_websocket(c, head, &r);
	else if (r.session == NULL)
		handshake_polling(c);
	else if (apw_str_is(head->method, "GET"))
		eio_polling_get(r.session, c);
	else if (apw_str_is(head->method, "POST"))
		start_post(c, head, r.session);
	else
		eio_conn_error(c, EIO_ERROR_REQUEST);
}

void
eio_request_broken(struct eio_conn *c, bool large)
{
	struct apw_eio_session	*s = c->session;

	/* where the next request would begin is not known */
	c->keep_alive = false;
	if (large)
		answer_text(c, "413 Payload Too Large", "");
	else
		eio_conn_error(c, EIO_ERROR_REQUEST);
	/* the reference client gives up on a 413 as well */
	if (s != NULL)
		eio_session_end(s, large ?
		    "transport error: message too large" :
		    "transport error: broken request body");
}

void
eio_request_body(struct eio_conn *c)
{
	struct apw_eio_session	*s = c->session;

	if (s == NULL) {
		eio_conn_error(c, EIO_ERROR_SID);
		return;
	}
	if (s->ws != NULL) {
		/* upgraded while the body was on its way */
		eio_conn_error(c, EIO_ERROR_REQUEST);
		return;
	}
	eio_polling_post(s, c);
}
