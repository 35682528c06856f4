/* A client of the proxy: from accept to its request, and its end.  Room:
 * egress. */
#include "egress/proxy_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_clock.h"
#include "proto/apw_base64.h"

void
egress_client_record(struct egress_client *c, enum apw_egress_verdict verdict)
{
	struct apw_egress_record	r = {
		.run = c->proxy->run[0] != '\0' ? c->proxy->run : NULL,
		.method = c->asked ? c->request.method : NULL,
		.host = c->asked ? c->request.host : NULL,
		.port = c->asked ? c->request.port : 0,
		.address = c->address[0] != '\0' ? c->address : NULL,
		.verdict = verdict,
		.why = c->why,
		.sent_bytes = c->up.bytes,
		.received_bytes = c->down.bytes,
		.ms = (apw_now_us() - c->began_us) / 1000,
	};

	if (!c->recorded && c->proxy->told != NULL)
		c->proxy->told(c->proxy->arg, &r);
	if (!c->recorded)
		apw_egress_books_enter(&c->proxy->books, &r);
	c->recorded = true;
}

void
egress_client_free(struct egress_client *c)
{
	struct apw_egress_proxy	*p = c->proxy;

	if (c->state == CLIENT_RELAY)
		egress_client_record(c, APW_EGRESS_ALLOWED);
	else if (c->state == CLIENT_DIAL)
		egress_client_record(c, APW_EGRESS_GONE);
	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->closed);
	event_del(&c->timer);
	if (c->server_fd != -1) {
		event_del(&c->server_readable);
		event_del(&c->server_writable);
		close(c->server_fd);
	}
	apw_dial_cancel(c->dial);
	egress_flow_free(&c->up, &p->pipes);
	egress_flow_free(&c->down, &p->pipes);
	apw_buf_free(&c->head);
	free(c->why);
	close(c->fd);
	TAILQ_REMOVE(&p->clients, c, link);
	c->magic = 0;
	free(c);
	egress_proxy_left(p);
}

void
egress_client_timer(struct egress_client *c, int64_t ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(&c->timer, &tv);
}

/* --- the request --- */

/* For a proxy: whose request it is, and where it is to go. */
static int
client_make_whole(struct egress_client *c, const char *user)
{
	bool		 v6 = strchr(c->request.host, ':') != NULL;
	struct apw_buf	*head = &c->up.stash, out = APW_BUF_INIT(head->max);
	char		 auth[512] = "";
	char		*path = memchr(head->data, ' ', head->len), *line;
	size_t		 n;

	line = path == NULL ? NULL : memmem(path, head->data + head->len -
	    path, "\r\n", 2);
	if (line == NULL)
		return -1;
	n = (size_t)(++path - head->data);
	line += 2;
	apw_buf_put(&out, head->data, n);
	apw_buf_printf(&out, v6 ? "http://[%s]" : "http://%s",
	    c->request.host);
	if (c->request.port != 80)
		apw_buf_printf(&out, ":%u", c->request.port);
	apw_buf_put(&out, path, (size_t)(line - path));
	if (user[0] != '\0') {
		apw_base64_encode(auth, user, strlen(user));
		apw_buf_printf(&out, "Proxy-Authorization: Basic %.*s\r\n",
		    (int)apw_base64_bytes(strlen(user)), auth);
		explicit_bzero(auth, sizeof(auth));
	}
	apw_buf_put(&out, line, head->len - (size_t)(line - head->data));
	apw_buf_free(head);
	*head = out;
	return out.failed ? -1 : 0;
}

static void
client_on_dial(void *arg, const struct apw_dialled *end)
{
	enum apw_egress_verdict	 verdict;
	struct egress_client	*c;
	char			 text[APW_HOST_SIZE + 64];

	APW_CAST(c, arg, CLIENT_MAGIC);
	c->dial = NULL;
	event_del(&c->closed);
	memcpy(c->address, end->address, sizeof(c->address));
	if (end->why[0] != '\0')
		c->why = strdup(end->why);
	c->server_fd = end->fd;
	verdict = apw_egress_verdict_of(end->end);
	switch (verdict) {
	case APW_EGRESS_ALLOWED:
		if (end->whole && client_make_whole(c, end->auth) == -1) {
			egress_client_free(c);
			return;
		}
		egress_relay_begin(c);
		return;
	case APW_EGRESS_ADDRESS:
		snprintf(text, sizeof(text), "Egress blocked: %s",
		    c->request.host);
		egress_answer(c, verdict, 403, text);
		return;
	case APW_EGRESS_PORT:
		snprintf(text, sizeof(text), "Egress blocked: %s port %u",
		    c->request.host, c->request.port);
		egress_answer(c, verdict, 403, text);
		return;
	case APW_EGRESS_NAME:
		snprintf(text, sizeof(text), "Name not found: %s",
		    c->request.host);
		break;
	case APW_EGRESS_TIME:
		snprintf(text, sizeof(text), "No connection in time: %s",
		    c->request.host);
		egress_answer(c, verdict, 504, text);
		return;
	default:
		snprintf(text, sizeof(text), "No connection: %s",
		    c->request.host);
		break;
	}
	egress_answer(c, verdict, 502, text);
}

/* The head is complete: n bytes of c->head; what follows is early. */
static void
client_dial(struct egress_client *c)
{
	const struct apw_egress_rules	*rules = c->proxy->rules;
	const struct apw_dial_rules	 checks = apw_egress_rules_dial(rules);
	const struct apw_dial_conf	 conf = {
		.host = c->request.host,
		.port = c->request.port,
		.timeout_ms = apw_egress_rules_limits(rules)->connect_ms,
		.rules = &checks,
		.whole = !c->request.connect && apw_egress_rules_whole(rules),
	};

	c->dial = apw_dial_new(c->proxy->base, c->proxy->resolver, &conf,
	    client_on_dial, c);
}

static void
client_asked(struct egress_client *c, size_t n)
{
	struct apw_egress_refusal	 no;
	struct apw_buf			 out = APW_BUF_INIT(2 *
					    APW_HTTP_HEAD_MAX);
	size_t				 early = c->head.len - n;
	ssize_t				 took = 0;

	if (apw_egress_request_read((struct apw_str){ c->head.data, n },
	    &c->request, &out, &no) == -1) {
		apw_buf_free(&out);
		egress_answer(c, APW_EGRESS_REQUEST, no.status, no.text);
		return;
	}
	c->asked = true;
	c->up.stash = out;		/* the origin's head goes first */
	c->up.stash.max = 4 * APW_HTTP_HEAD_MAX;
	if (c->request.connect)
		c->up.frame.frame = APW_EGRESS_UNTIL_END;
	else {
		c->up.frame = c->request.body;
		took = egress_flow_early(&c->up, c->head.data + n, early);
	}
	if (took != (ssize_t)early) {
		egress_answer(c, APW_EGRESS_REQUEST, 400, c->request.connect ?
		    "Bytes before the tunnel" : took == -1 ?
		    "Bad request: broken chunk" :
		    "Bad request: bytes behind it");
		return;
	}
	apw_buf_free(&c->head);
	event_del(&c->readable);
	event_del(&c->timer);
	if (c->proxy->spent) {
		egress_answer(c, APW_EGRESS_LIMIT, 403,
		    "Egress limit of this run reached");
		return;
	}
	c->state = CLIENT_DIAL;
	event_add(&c->closed, NULL);
	client_dial(c);
	if (c->dial == NULL)
		egress_answer(c, APW_EGRESS_CONNECT, 503, "Out of memory");
}

static void
client_read_head(struct egress_client *c)
{
	size_t	room;
	ssize_t	n;

	/* a head, and a first bit of what follows */
	if (apw_buf_reserve(&c->head, c->head.len < 1024 ? 2048 :
	    APW_HTTP_HEAD_MAX + 1024 - c->head.len) == -1) {
		egress_client_free(c);
		return;
	}
	room = c->head.cap - c->head.len - 1;
	if (room > APW_HTTP_HEAD_MAX + 1024 - c->head.len)
		room = APW_HTTP_HEAD_MAX + 1024 - c->head.len;
	n = recv(c->fd, c->head.data + c->head.len, room, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		egress_client_free(c);	/* it asked for nothing */
		return;
	}
	c->head.len += (size_t)n;
	c->head.data[c->head.len] = '\0';
	n = apw_http_head_length(apw_buf_view(&c->head));
	if (n > 0)
		client_asked(c, (size_t)n);
	else if (n == -1)
		egress_answer(c, APW_EGRESS_REQUEST,
		    c->head.len >= APW_HTTP_HEAD_MAX ? 431 : 400,
		    c->head.len >= APW_HTTP_HEAD_MAX ? "Head is too large" :
		    "Bad request: not HTTP");
}

/* --- events --- */

static void
client_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct egress_client	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CLIENT_MAGIC);
	switch (c->state) {
	case CLIENT_HEAD:
		client_read_head(c);
		break;
	case CLIENT_DIAL:
		break;
	case CLIENT_RELAY:
		egress_relay_step(c);
		break;
	case CLIENT_LINGER:
		egress_linger_read(c);
		break;
	}
}

/* Nobody waits for the connection any more. */
static void
client_on_closed(evutil_socket_t fd, short what, void *arg)
{
	struct egress_client	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CLIENT_MAGIC);
	if (c->state == CLIENT_DIAL)
		egress_client_free(c);
}

static void
client_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct egress_client	*c;
	int64_t			 left;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CLIENT_MAGIC);
	if (c->state == CLIENT_HEAD) {
		egress_answer(c, APW_EGRESS_REQUEST, 408,
		    "No request in time");
		return;
	}
	left = c->active_ms + apw_egress_rules_limits(c->proxy->rules)->idle_ms
	    - apw_now_ms();
	if (c->state == CLIENT_RELAY && left > 0) {
		egress_client_timer(c, left);
		return;
	}
	if (c->state == CLIENT_RELAY && c->why == NULL)
		c->why = strdup("idle");
	egress_client_free(c);
}

void
egress_client_new(struct apw_egress_proxy *p, int fd)
{
	const struct apw_egress_limits	*limits;
	struct egress_client		*c = calloc(1, sizeof(*c));
	int				 on = 1;

	if (c == NULL) {
		close(fd);
		return;
	}
	limits = apw_egress_rules_limits(p->rules);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->magic = CLIENT_MAGIC;
	c->proxy = p;
	c->fd = fd;
	c->server_fd = -1;
	c->began_us = apw_now_us();
	c->head.max = 2 * APW_HTTP_HEAD_MAX;
	egress_flow_init(&c->up, fd, -1);
	egress_flow_init(&c->down, -1, fd);
	event_assign(&c->readable, p->base, fd, EV_READ | EV_PERSIST,
	    client_on_io, c);
	event_assign(&c->writable, p->base, fd, EV_WRITE | EV_PERSIST,
	    client_on_io, c);
	event_assign(&c->closed, p->base, fd, EV_CLOSED, client_on_closed, c);
	event_assign(&c->timer, p->base, -1, 0, client_on_timer, c);
	TAILQ_INSERT_TAIL(&p->clients, c, link);
	p->n++;
	if (p->n > limits->connections) {
		egress_answer(c, APW_EGRESS_LIMIT, 503,
		    "Too many connections");
		return;
	}
	egress_client_timer(c, limits->head_ms);
	event_add(&c->readable, NULL);
	/* the request is mostly there already */
	client_read_head(c);
}
