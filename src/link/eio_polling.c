/*
 * Engine.IO server: a session's traffic over HTTP long-polling.  Room: link.
 *
 * Must never answer a GET twice, nor hold one while there is something to
 * send.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"
#include "proto/apw_base64.h"
#include "proto/apw_raw.h"

#define TEXT_TYPE	"text/plain; charset=UTF-8"

int
eio_polling_queue(struct apw_eio_session *s, char type,
    const struct apw_str *parts, size_t nparts)
{
	struct eio_out	*o;
	size_t		 n = 0, i;

	for (i = 0; i < nparts; i++)
		n += parts[i].n;
	o = malloc(sizeof(*o) + n);
	if (o == NULL)
		return -1;
	o->type = type;
	o->n = 0;
	for (i = 0; i < nparts; i++) {
		if (parts[i].n == 0)
			continue;
		memcpy(o->data + o->n, parts[i].p, parts[i].n);
		o->n += parts[i].n;
	}
	STAILQ_INSERT_TAIL(&s->out, o, link);
	s->out_bytes += n + sizeof(*o);
	return 0;
}

/* The first one of the queue is done with. */
static void
queue_remove(struct apw_eio_session *s, struct eio_out *o)
{
	STAILQ_REMOVE_HEAD(&s->out, link);
	s->out_bytes -= o->n + sizeof(*o);
	free(o);
}

void
eio_polling_drop(struct apw_eio_session *s)
{
	struct eio_out	*o;

	while ((o = STAILQ_FIRST(&s->out)) != NULL)
		queue_remove(s, o);
}

static size_t
wire_bytes(const struct eio_out *o)
{
	return 1 + (o->type == APW_EIO_BINARY ? apw_base64_bytes(o->n) :
	    o->n);
}

static int
put_base64(struct evbuffer *out, const struct eio_out *o)
{
	struct evbuffer_iovec	v;
	size_t			n = apw_base64_bytes(o->n);

	if (n == 0)
		return 0;
	if (evbuffer_reserve_space(out, (ev_ssize_t)n, &v, 1) != 1)
		return -1;
	apw_base64_encode(v.iov_base, o->data, o->n);
	v.iov_len = n;
	return evbuffer_commit_space(out, &v, 1);
}

/* All that is queued goes into the answer of the parked GET. */
void
eio_polling_flush(struct apw_eio_session *s)
{
	struct eio_conn	*c = s->poll;
	struct eio_out	*o;
	struct evbuffer	*out;
	size_t		 n = 0;
	bool		 first = true;
	int		 bad = 0;

	/*
	 * The end of the session goes alone: the reference client forgets the
	 * messages of an answer with a close packet in it, a Socket.IO
	 * DISCONNECT among them.
	 */
	STAILQ_FOREACH(o, &s->out, link) {
		if (o->type == APW_EIO_CLOSE && n > 0)
			break;
		n += wire_bytes(o) + 1;
	}
	out = eio_conn_answer_begin(c, "200 OK", TEXT_TYPE, n - 1);
	while ((o = STAILQ_FIRST(&s->out)) != NULL &&
	    (first || o->type != APW_EIO_CLOSE)) {
		if (!first)
			bad |= evbuffer_add(out, "\x1e", 1);
		bad |= evbuffer_add(out, &o->type, 1);
		if (o->type == APW_EIO_BINARY)
			bad |= put_base64(out, o);
		else if (o->n > 0)
			bad |= evbuffer_add(out, o->data, o->n);
		first = false;
		queue_remove(s, o);
	}
	if (bad != 0) {
		/* half an answer: nothing after it could be understood */
		eio_conn_bury(c);
		eio_session_end(s, "transport error: out of memory");
		return;
	}
	eio_conn_answer_end(c);
	if (s->closing && STAILQ_EMPTY(&s->out))
		eio_session_end(s, "closed");
}

void
eio_polling_noop(struct apw_eio_session *s, char type)
{
	if (s->poll != NULL)
		eio_conn_answer(s->poll, "200 OK", TEXT_TYPE, &type, 1);
}

void
eio_polling_get(struct apw_eio_session *s, struct eio_conn *c)
{
	if (s->poll != NULL) {
		/* the first learns that the session is over, then this one */
		eio_polling_noop(s, APW_EIO_CLOSE);
		c->keep_alive = false;
		eio_conn_error(c, EIO_ERROR_REQUEST);
		eio_session_end(s, "transport error: overlapping requests");
		return;
	}
	s->poll = c;
	c->session = s;
	c->state = EIO_CONN_POLL;
	if (!STAILQ_EMPTY(&s->out))
		eio_polling_flush(s);
	else if (s->probed)
		/* the client wants to leave polling */
		eio_polling_noop(s, APW_EIO_NOOP);
}

/* One after the other; -1 on the first that cannot be. */
static int
take_packets(struct apw_eio_session *s, struct apw_str payload)
{
	struct apw_buf		bytes = APW_BUF_INIT(payload.n + 1);
	struct apw_eio_packet	pkt;
	int			r;

	if (payload.n == 0 || !apw_raw_utf8(payload))
		return -1;
	while (!s->closed && (r = apw_eio_next(&payload, &pkt)) != 0) {
		if (r == -1)
			return -1;
		if (pkt.type != APW_EIO_BINARY) {
			eio_session_packet(s, &pkt);
			continue;
		}
		r = apw_base64_decode(&bytes, pkt.data);
		if (r == 0)
			eio_session_binary(s, apw_buf_view(&bytes));
		apw_buf_free(&bytes);
		if (r == -1)
			return -1;
	}
	return 0;
}

void
eio_polling_post(struct apw_eio_session *s, struct eio_conn *c)
{
	struct apw_buf	body = c->body;

	/* the session may end, and the connection with it, on the way */
	c->body = (struct apw_buf){ .max = body.max };
	if (take_packets(s, apw_buf_view(&body)) == -1) {
		c->keep_alive = false;
		eio_conn_error(c, EIO_ERROR_REQUEST);
		eio_session_end(s, "parse error");
	} else
		eio_conn_answer(c, "200 OK", "text/html", "ok", 2);
	apw_buf_free(&body);
}
