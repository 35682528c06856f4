/* A tunnel through an upstream proxy; see tunnel.h.  Room: dial.
 *
 * The answer's head is peeked at and taken off the socket exactly: what
 * follows it belongs to the tunnel. */
#include "dial/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "proto/apw_base64.h"
#include "proto/apw_http.h"

#define TUNNEL_MAGIC	0x54554e4e

struct apw_tunnel {
	uint32_t		 magic;
	int			 fd;		/* borrowed */
	struct event		*readable;	/* owned */
	size_t			 seen;		/* bytes of the head so far */
	apw_tunnel_fn	*fn;
	void			*arg;		/* borrowed */
	char			 text[128];
};

void
apw_tunnel_cancel(struct apw_tunnel *t)
{
	if (t == NULL)
		return;
	if (t->readable != NULL)
		event_free(t->readable);
	t->magic = 0;
	free(t);
}

/* What was only peeked at would wake us again and again: wait for more. */
static void
tunnel_low_mark(struct apw_tunnel *t, int bytes)
{
	setsockopt(t->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

static void
tunnel_done(struct apw_tunnel *t, const char *error)
{
	apw_tunnel_fn	*fn = t->fn;
	void			*arg = t->arg;
	char			 text[sizeof(t->text)];

	snprintf(text, sizeof(text), "%s", error != NULL ? error : "");
	tunnel_low_mark(t, 1);
	apw_tunnel_cancel(t);
	fn(arg, error != NULL ? text : NULL);
}

static void
tunnel_head(struct apw_tunnel *t, struct apw_str text)
{
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	ssize_t			n = apw_http_answer(text, &head, &err);
	char			taken[APW_HTTP_HEAD_MAX];

	if (n == 0) {
		t->seen = text.n;
		tunnel_low_mark(t, (int)text.n + 1);
	} else if (n == -1 || recv(t->fd, taken, (size_t)n, 0) != n)
		tunnel_done(t, "no HTTP answer");
	else if (head.status / 100 != 2) {
		snprintf(t->text, sizeof(t->text), "HTTP status %d",
		    head.status);
		tunnel_done(t, t->text);
	} else
		tunnel_done(t, NULL);
}

static void
tunnel_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct apw_tunnel	*t;
	char			 text[APW_HTTP_HEAD_MAX];
	ssize_t			 n;

	APW_CAST(t, arg, TUNNEL_MAGIC);
	if ((what & EV_READ) == 0) {
		tunnel_done(t, "it was not asked");
		return;
	}
	n = recv(fd, text, sizeof(text), MSG_PEEK);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n == t->seen) {
		tunnel_done(t, "connection closed");
		return;
	}
	tunnel_head(t, (struct apw_str){ text, (size_t)n });
}

static int
tunnel_ask(struct apw_tunnel *t, const struct apw_upstream *up,
    const char *host, uint16_t port)
{
	bool		v6 = strchr(host, ':') != NULL;
	struct apw_buf	b = APW_BUF_INIT(4096);
	char		auth[512];
	ssize_t		n;

	apw_buf_printf(&b, v6 ? "CONNECT [%s]:%u HTTP/1.1\r\nHost: [%s]:%u\r\n"
	    : "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n", host, port, host,
	    port);
	if (up->auth[0] != '\0') {
		memset(auth, 0, sizeof(auth));
		apw_base64_encode(auth, up->auth, strlen(up->auth));
		apw_buf_printf(&b, "Proxy-Authorization: Basic %.*s\r\n",
		    (int)apw_base64_bytes(strlen(up->auth)), auth);
		explicit_bzero(auth, sizeof(auth));
	}
	apw_buf_puts(&b, "\r\n");
	/* a fresh socket takes so little at once */
	n = b.failed ? -1 : send(t->fd, b.data, b.len, MSG_NOSIGNAL);
	n = n == (ssize_t)b.len ? 0 : -1;
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	apw_buf_free(&b);
	return (int)n;
}

struct apw_tunnel *
apw_tunnel_new(struct event_base *base, int fd,
    const struct apw_upstream *up, const char *host, uint16_t port,
    apw_tunnel_fn *fn, void *arg)
{
	struct apw_tunnel	*t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->magic = TUNNEL_MAGIC;
	t->fd = fd;
	t->fn = fn;
	t->arg = arg;
	t->readable = event_new(base, fd, EV_READ | EV_PERSIST,
	    tunnel_on_read, t);
	if (t->readable == NULL || event_add(t->readable, NULL) == -1) {
		apw_tunnel_cancel(t);
		return NULL;
	}
	if (tunnel_ask(t, up, host, port) == -1)
		event_active(t->readable, EV_TIMEOUT, 0);
	return t;
}
