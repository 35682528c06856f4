/* The bytes of one connection of the proxy, both ways.  Room: egress.
 *
 *	CONNECT		200, then everything as it comes
 *	forward		the request with its body; the answer's head, read
 *			and written anew; its body */
#include "egress/proxy_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_clock.h"

static void
relay_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct egress_client	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CLIENT_MAGIC);
	if (c->state == CLIENT_RELAY)
		egress_relay_step(c);
}

/* The server has nothing more to say, or must not. */
static void
relay_hang_up(struct egress_client *c)
{
	event_del(&c->server_readable);
	event_del(&c->server_writable);
	close(c->server_fd);
	c->server_fd = -1;
}

static void
relay_fail(struct egress_client *c, enum apw_egress_verdict verdict,
    int status, const char *text)
{
	relay_hang_up(c);
	if (c->why == NULL)
		c->why = strdup(text);
	egress_answer(c, verdict, status, text);
}

/* --- the answer's head --- */

/* 1: read, and down has it; 0: not all of it is here; -1: c is over. */
static int
relay_head_done(struct egress_client *c, size_t n)
{
	struct apw_egress_framing	 body;
	struct apw_err			 err = APW_ERR_NONE;
	int				 rc;

	rc = apw_egress_answer_read((struct apw_str){ c->head.data, n },
	    &c->request, &c->down.stash, &body, &err);
	if (rc == -1) {
		relay_fail(c, APW_EGRESS_CONNECT, 502,
		    "Bad answer of the server");
		return -1;
	}
	apw_buf_drain(&c->head, n);
	if (rc == 1)
		return 0;		/* an interim answer */
	c->answered = true;
	c->down.frame = body;
	if (egress_flow_early(&c->down, c->head.data, c->head.len) == -1) {
		c->down.stash.len = 0;
		relay_fail(c, APW_EGRESS_CONNECT, 502,
		    "Bad answer of the server");
		return -1;
	}
	apw_buf_free(&c->head);
	return 1;
}

static int
relay_head(struct egress_client *c)
{
	ssize_t	n;
	int	rc;

	if (apw_buf_reserve(&c->head, APW_HTTP_HEAD_MAX) == -1)
		n = 0;
	else
		n = recv(c->server_fd, c->head.data + c->head.len,
		    APW_HTTP_HEAD_MAX, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		relay_fail(c, APW_EGRESS_CONNECT, 502,
		    "The server closed the connection");
		return -1;
	}
	c->head.len += (size_t)n;
	c->head.data[c->head.len] = '\0';
	for (;;) {
		if (c->head.len == 0)
			return 0;
		n = apw_http_head_length(apw_buf_view(&c->head));
		if (n == 0)
			return 0;
		if (n == -1) {
			relay_fail(c, APW_EGRESS_CONNECT, 502,
			    "Bad answer of the server");
			return -1;
		}
		rc = relay_head_done(c, (size_t)n);
		if (rc != 0)
			return rc;
	}
}

/* --- steps --- */

static void
relay_want(struct event *ev, bool wanted)
{
	bool	now = event_pending(ev, EV_READ | EV_WRITE, NULL) != 0;

	if (wanted && !now)
		event_add(ev, NULL);
	else if (!wanted && now)
		event_del(ev);
}

/* The request is out; the client has nothing to do but to wait.  True: it
 * does not any more, and c is over. */
static bool
relay_client_left(struct egress_client *c)
{
	char	byte;
	ssize_t	n;

	if (c->request.connect || !c->up.ended)
		return false;
	n = recv(c->fd, &byte, 1, MSG_PEEK);
	if (n == 1)		/* another request: nobody will read it */
		event_del(&c->readable);
	if (n == 1 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		return false;
	if (c->why == NULL)
		c->why = strdup("the client left");
	egress_client_free(c);
	return true;
}

static void
relay_broken(struct egress_client *c, enum egress_flow_wait up)
{
	if (!c->request.connect && !c->answered && c->down.bytes == 0 &&
	    up == EGRESS_FLOW_BROKEN && c->head.len == 0)
		relay_fail(c, APW_EGRESS_REQUEST, 400,
		    "The request broke off");
	else
		egress_client_free(c);
}

/* True: c is over. */
static bool
relay_count(struct egress_client *c)
{
	uint64_t	bytes = c->up.bytes + c->down.bytes;

	if (bytes != c->counted)
		c->active_ms = apw_now_ms();
	if (!egress_proxy_spend(c->proxy, bytes - c->counted)) {
		c->counted = bytes;
		return false;
	}
	egress_client_record(c, APW_EGRESS_LIMIT);
	egress_client_free(c);
	return true;
}

void
egress_relay_step(struct egress_client *c)
{
	enum egress_flow_wait	up, down;

	up = egress_flow_step(&c->up, &c->proxy->pipes);
	if (!c->answered && relay_head(c) == -1)
		return;
	/* interim answers are in down's stash before there is an answer */
	down = c->answered ? egress_flow_step(&c->down, &c->proxy->pipes) :
	    egress_flow_flush(&c->down, &c->proxy->pipes);
	if (relay_count(c))
		return;
	if (down == EGRESS_FLOW_END && !c->request.connect) {
		egress_client_record(c, APW_EGRESS_ALLOWED);
		relay_hang_up(c);
		egress_linger(c);
		return;
	}
	/* an answer may come before the request is out, and end it */
	if (down == EGRESS_FLOW_BROKEN || (up == EGRESS_FLOW_BROKEN &&
	    (c->request.connect || !c->answered))) {
		relay_broken(c, up);
		return;
	}
	if (up == EGRESS_FLOW_END && down == EGRESS_FLOW_END) {
		egress_client_free(c);
		return;
	}
	if (relay_client_left(c))
		return;
	relay_want(&c->readable, up == EGRESS_FLOW_READ ||
	    (up == EGRESS_FLOW_END && !c->request.connect));
	relay_want(&c->server_writable, up == EGRESS_FLOW_WRITE);
	relay_want(&c->server_readable, down == EGRESS_FLOW_READ);
	relay_want(&c->writable, down == EGRESS_FLOW_WRITE);
}

void
egress_relay_begin(struct egress_client *c)
{
	static const char	hello[] =
				    "HTTP/1.1 200 Connection Established\r\n\r\n";
	struct event_base	*base = c->proxy->base;

	c->state = CLIENT_RELAY;
	c->active_ms = apw_now_ms();
	c->up.out_fd = c->down.in_fd = c->server_fd;
	event_assign(&c->server_readable, base, c->server_fd, EV_READ |
	    EV_PERSIST, relay_on_io, c);
	event_assign(&c->server_writable, base, c->server_fd, EV_WRITE |
	    EV_PERSIST, relay_on_io, c);
	if (c->request.connect) {
		c->answered = true;
		c->down.frame.frame = APW_EGRESS_UNTIL_END;
		apw_buf_put(&c->down.stash, hello, sizeof(hello) - 1);
	}
	egress_client_timer(c,
	    apw_egress_rules_limits(c->proxy->rules)->idle_ms);
	egress_relay_step(c);
}
