/* One connection of the HTTP server; see httpd.h.  Room: http.
 *
 *	head -> answer -> head ...
 *	head -> body -> answer -> head ...
 *	... answer -> linger, when the client still sends what nobody reads
 *
 * A step wants to read or to write, never both: who does not take his answer
 * is not read from. */
#include "http/httpd_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"

#define CONN_PART	((size_t)65536)	/* read or written at a time */
#define CONN_LINGER_MS	1000
#define CONN_LINGER_STRANGER	((uint64_t)256 << 10)
#define CONN_LINGER_KNOWN	((uint64_t)64 << 20)

/* Of all connections: it is empty again before a function returns. */
static char	part[CONN_PART];

static void	conn_head(struct httpd_conn *);
static void	conn_body(struct httpd_conn *);
static void	conn_write(struct httpd_conn *);
static void	conn_discard(struct httpd_conn *);

static const struct httpd_step step_head = {
	"head", EV_READ, conn_head
};
static const struct httpd_step step_body = {
	"body", EV_READ, conn_body
};
static const struct httpd_step step_answer = {
	"answer", EV_WRITE, conn_write
};
static const struct httpd_step step_linger = {
	"linger", EV_READ, conn_discard
};

static void
conn_lose_upload(struct httpd_conn *c)
{
	void	*upload = c->upload;

	c->upload = NULL;
	if (upload != NULL)
		c->httpd->ops->on_lost(c->httpd->arg, upload);
}

static void
conn_drop_answer(struct httpd_conn *c)
{
	c->httpd->pending -= c->out.len;
	apw_buf_free(&c->out);
	c->sent = 0;
	if (c->file != -1)
		close(c->file);
	c->file = -1;
}

void
httpd_conn_free(struct httpd_conn *c)
{
	struct apw_httpd	*httpd = c->httpd;

	TAILQ_REMOVE(&httpd->conns, c, entry);
	httpd->nconns--;
	httpd->nknown -= c->known;
	c->magic = 0;
	conn_lose_upload(c);
	conn_drop_answer(c);
	apw_buf_free(&c->in);
	event_free(c->read);
	event_free(c->write);
	event_free(c->deadline);
	close(c->fd);
	free(c);
	if (httpd->nconns == 0 && httpd->done != NULL)
		httpd->done(httpd->done_arg);
}

bool
httpd_conn_idle(const struct httpd_conn *c)
{
	return c->step == &step_head && c->in.len == 0;
}

/* Until the step is over, or for so long without a byte of it. */
static void
conn_wait(struct httpd_conn *c, int64_t stall_ms)
{
	int64_t		left = c->until_ms - apw_now_ms();
	struct timeval	tv;

	if (left > stall_ms)
		left = stall_ms;
	if (left < 1)
		left = 1;
	tv = (struct timeval){ left / 1000, (left % 1000) * 1000 };
	event_add(c->deadline, &tv);
}

static void
conn_go(struct httpd_conn *c, const struct httpd_step *step, int64_t ms,
    int64_t stall_ms)
{
	c->step = step;
	c->until_ms = apw_now_ms() + ms;
	c->late = false;
	conn_wait(c, stall_ms);
	event_del(step->wants == EV_READ ? c->write : c->read);
	event_add(step->wants == EV_READ ? c->read : c->write, NULL);
}

/* --- answers --- */

/* All that clients do not take is bounded together. */
static void
conn_make_room(struct httpd_conn *c)
{
	struct apw_httpd	*httpd = c->httpd;
	struct httpd_conn	*o, *next;

	for (o = TAILQ_FIRST(&httpd->conns); o != NULL &&
	    httpd->pending > httpd->limits->out_bytes; o = next) {
		next = TAILQ_NEXT(o, entry);
		if (o != c && o->out.len > 0)
			httpd_conn_free(o);
	}
}

static void
conn_answer(struct httpd_conn *c, struct apw_httpd_answer *a, bool with_body)
{
	const struct apw_httpd_limits	*l = c->httpd->limits;

	c->last |= a->close || c->requests >= l->requests ||
	    c->httpd->done != NULL;
	httpd_answer_put(&c->out, a, with_body, !c->last);
	c->httpd->pending += c->out.len;
	c->file = a->fd;
	c->file_at = 0;
	c->file_end = a->fd != -1 && with_body ? a->fd_bytes : 0;
	if (c->out.failed) {
		apw_error_often("an answer is too large: connection closed",
		    APW_I("status", a->status));
		httpd_conn_free(c);
		return;
	}
	conn_make_room(c);
	conn_go(c, &step_answer, l->body_ms, l->stall_ms);
}

/* What comes behind it is not read any more. */
static void
conn_refuse(struct httpd_conn *c, int status)
{
	struct apw_httpd_answer	a = { .status = status, .fd = -1,
				    .close = true };

	c->unread = true;
	conn_answer(c, &a, true);
}

static void
conn_end(struct httpd_conn *c)
{
	if (!c->unread && c->in.len == 0) {
		httpd_conn_free(c);
		return;
	}
	/* to close now would take the answer away from who still sends */
	apw_buf_free(&c->in);
	shutdown(c->fd, SHUT_WR);
	conn_go(c, &step_linger, CONN_LINGER_MS, CONN_LINGER_MS);
}

static void
conn_next(struct httpd_conn *c)
{
	const struct apw_httpd_limits	*l = c->httpd->limits;

	conn_drop_answer(c);
	if (c->last || c->httpd->done != NULL) {
		conn_end(c);
		return;
	}
	conn_go(c, &step_head, c->in.len > 0 ? l->head_ms : l->idle_ms,
	    l->idle_ms);
	if (c->in.len > 0)		/* the next one is here already */
		event_active(c->read, EV_READ, 0);
	else
		apw_buf_free(&c->in);
}

/* 1: some of it went; 0: not now; -1: the client is gone. */
static int
conn_send(struct httpd_conn *c, const char *p, size_t n, size_t *went)
{
	ssize_t	rc = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (rc == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	*went = (size_t)rc;
	return 1;
}

static int
conn_send_some(struct httpd_conn *c)
{
	size_t	went = 0, n;
	ssize_t	got;
	int	rc;

	if (c->sent < c->out.len) {
		rc = conn_send(c, c->out.data + c->sent, c->out.len - c->sent,
		    &went);
		c->sent += went;
		return rc;
	}
	n = c->file_end - c->file_at < sizeof(part) ?
	    (size_t)(c->file_end - c->file_at) : sizeof(part);
	got = pread(c->file, part, n, (off_t)c->file_at);
	if (got <= 0)			/* shorter than it was told */
		return -1;
	rc = conn_send(c, part, (size_t)got, &went);
	c->file_at += went;
	return rc;
}

static void
conn_write(struct httpd_conn *c)
{
	int	rc;

	if (c->sent < c->out.len || c->file_at < c->file_end) {
		if ((rc = conn_send_some(c)) == -1) {
			httpd_conn_free(c);
			return;
		}
		if (rc == 1)
			conn_wait(c, c->httpd->limits->stall_ms);
	}
	if (c->sent == c->out.len && c->file_at == c->file_end)
		conn_next(c);
}

/* --- input --- */

/* Up to n bytes: how many; 0: none now; -1: the client is gone, and so is
 * the connection. */
static ssize_t
conn_recv(struct httpd_conn *c, size_t n)
{
	ssize_t	got = recv(c->fd, part, n, MSG_DONTWAIT);

	if (got > 0)
		return got;
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	httpd_conn_free(c);
	return -1;
}

static void
conn_discard(struct httpd_conn *c)
{
	ssize_t	n = conn_recv(c, sizeof(part));

	if (n <= 0)
		return;
	c->lingered += (uint64_t)n;
	if (c->lingered > (c->known ? CONN_LINGER_KNOWN :
	    CONN_LINGER_STRANGER))
		httpd_conn_free(c);
}

static void
conn_whole(struct httpd_conn *c)
{
	struct apw_httpd_answer	 a = { .status = 404, .fd = -1 };
	void			*upload = c->upload;

	c->upload = NULL;
	c->httpd->ops->on_whole(c->httpd->arg, upload, &a);
	conn_answer(c, &a, true);
}

/* Hand bytes of the body on, as far as `in` has any. */
static int
conn_give(struct httpd_conn *c, struct apw_str data)
{
	struct apw_httpd	*httpd = c->httpd;

	c->got += data.n;
	if (c->got > httpd->limits->body_bytes)
		return 413;
	return httpd->ops->on_body(httpd->arg, c->upload, data);
}

/* The body's part of *p, *n.  1: it is whole; 0: more is to come; else the
 * status to refuse it with. */
static int
conn_take(struct httpd_conn *c, const char **p, size_t *n)
{
	enum apw_chunk_got	got;
	struct apw_str		data;
	int			rc = 0;

	if (!c->chunked) {
		data = (struct apw_str){ *p, *n < c->left ? *n :
		    (size_t)c->left };
		*p += data.n;
		*n -= data.n;
		c->left -= data.n;
		if (data.n > 0)
			rc = conn_give(c, data);
		return rc != 0 ? rc : c->left == 0;
	}
	while ((got = apw_chunk_read(&c->chunk, p, n, &data)) ==
	    APW_CHUNK_DATA)
		if ((rc = conn_give(c, data)) != 0)
			return rc;
	return got == APW_CHUNK_BROKEN ? 400 : got == APW_CHUNK_END;
}

/* What came, p of n bytes that are not in `in`. */
static void
conn_feed(struct httpd_conn *c, const char *p, size_t n)
{
	int	rc = conn_take(c, &p, &n);

	if (rc == 0) {
		conn_wait(c, c->httpd->limits->stall_ms);
		return;
	}
	/* what is left is the next request's */
	if (apw_buf_put(&c->in, p, n) == -1) {
		httpd_conn_free(c);
		return;
	}
	if (rc == 1) {
		conn_whole(c);
		return;
	}
	conn_lose_upload(c);
	conn_refuse(c, rc);
}

static void
conn_body(struct httpd_conn *c)
{
	ssize_t	n = conn_recv(c, sizeof(part));

	if (n > 0)
		conn_feed(c, part, (size_t)n);
}

static void
conn_upload_begin(struct httpd_conn *c, const struct apw_httpd_request *rq)
{
	static const char	go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct apw_buf		had = c->in;

	c->got = 0;
	c->chunk = (struct apw_chunk){ 0 };
	c->chunked = rq->body_bytes == -1;
	c->left = c->chunked ? 0 : (uint64_t)rq->body_bytes;
	/* so short a text always finds room in a socket that owes nothing */
	if (rq->expects && had.len == 0 && send(c->fd, go_on,
	    sizeof(go_on) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(go_on) - 1) {
		httpd_conn_free(c);
		return;
	}
	conn_go(c, &step_body, c->httpd->limits->body_ms,
	    c->httpd->limits->stall_ms);
	c->in = (struct apw_buf)APW_BUF_INIT(CONN_PART * 2);
	conn_feed(c, had.len > 0 ? had.data : "", had.len);
	apw_buf_free(&had);
}

static void
conn_vouch(struct httpd_conn *c, bool known)
{
	if (known)
		c->httpd->nknown++;
	else
		c->httpd->nknown--;
	c->known = known;
}

/* A whole head, which is the first n bytes of `in`. */
static void
conn_request(struct httpd_conn *c, const struct apw_httpd_request *rq,
    size_t n)
{
	struct apw_httpd_answer	a = { .status = 404, .fd = -1 };
	bool			head = apw_str_is(rq->method, "HEAD");

	c->requests++;
	c->last = !rq->head.keep_alive;
	c->httpd->ops->on_request(c->httpd->arg, rq, &a);
	if (a.known != c->known)
		conn_vouch(c, a.known);
	c->upload = a.upload;
	apw_buf_drain(&c->in, n);
	if (a.upload != NULL && rq->body_bytes != -1 &&
	    (uint64_t)rq->body_bytes > c->httpd->limits->body_bytes) {
		conn_lose_upload(c);
		conn_refuse(c, 413);
	} else if (a.upload != NULL) {
		conn_upload_begin(c, rq);
	} else {
		/* a body that nobody wants is not read either */
		if (rq->body_bytes != 0) {
			a.close = c->unread = true;
			if (a.status == 200)
				a.status = 413;
		}
		conn_answer(c, &a, !head);
	}
}

static void
conn_head(struct httpd_conn *c)
{
	const struct apw_httpd_limits	*l = c->httpd->limits;
	struct apw_httpd_request	 rq;
	size_t				 room;
	ssize_t				 n;
	int				 status;

	if (c->in.len == 0 && c->requests > 0)
		c->until_ms = apw_now_ms() + l->head_ms;
	/* what is behind a body may be here already, and more than a head */
	room = c->in.len < l->head_bytes ? l->head_bytes - c->in.len : 0;
	if (room > 0 && (n = conn_recv(c, room)) != 0) {
		if (n == -1)
			return;
		if (apw_buf_put(&c->in, part, (size_t)n) == -1) {
			httpd_conn_free(c);
			return;
		}
	}
	n = httpd_request_read(apw_buf_view(&c->in), l->head_bytes, &rq,
	    &status);
	if (n > 0)
		conn_request(c, &rq, (size_t)n);
	else if (n == -1)
		conn_refuse(c, status);
	else
		conn_wait(c, c->in.len > 0 ? l->head_ms : l->idle_ms);
}

/* --- events --- */

static void
conn_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct httpd_conn	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, HTTPD_CONN_MAGIC);
	c->step->go(c);
}

static bool
conn_ready(const struct httpd_conn *c)
{
	struct pollfd	p = { .fd = c->fd, .events = c->step->wants == EV_READ ?
			    POLLIN : POLLOUT };

	return poll(&p, 1, 0) == 1;
}

/* It may be we who are late, held up by a slow disk: what has come meanwhile
 * is taken, once more after the step's time is over. */
static void
conn_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct httpd_conn	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, HTTPD_CONN_MAGIC);
	if (c->late || !conn_ready(c)) {
		httpd_conn_free(c);
		return;
	}
	c->late = apw_now_ms() >= c->until_ms;
	conn_wait(c, c->httpd->limits->stall_ms);
	c->step->go(c);
}

void
httpd_conn_hear(struct httpd_conn *c)
{
	if (c->step->wants == EV_READ)
		c->step->go(c);
}

void
httpd_conn_new(struct apw_httpd *httpd, int fd)
{
	const struct apw_httpd_limits	*l = httpd->limits;
	struct httpd_conn		*c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	c->magic = HTTPD_CONN_MAGIC;
	c->httpd = httpd;
	c->fd = fd;
	c->file = -1;
	c->in = (struct apw_buf)APW_BUF_INIT(CONN_PART * 2);
	c->read = event_new(httpd->base, fd, EV_READ | EV_PERSIST, conn_on_io,
	    c);
	c->write = event_new(httpd->base, fd, EV_WRITE | EV_PERSIST,
	    conn_on_io, c);
	c->deadline = evtimer_new(httpd->base, conn_on_deadline, c);
	APW_ASSERT(c->read != NULL && c->write != NULL && c->deadline != NULL);
	TAILQ_INSERT_TAIL(&httpd->conns, c, entry);
	httpd->nconns++;
	conn_go(c, &step_head, l->head_ms, l->head_ms);
	/* most send their head with the connection: heard at once nobody
	 * that comes behind them can take their place */
	conn_head(c);
}
