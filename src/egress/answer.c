/* What the proxy says itself, and how it takes leave.  Room: egress. */
#include "egress/proxy_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/apw_auto.h"

#define LINGER_BYTES	(256 * 1024)

static const char *
reason_of(int status)
{
	static const struct { int status; const char *reason; } table[] = {
		{ 400, "Bad Request" }, { 403, "Forbidden" },
		{ 408, "Request Timeout" },
		{ 431, "Request Header Fields Too Large" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};
	size_t	i;

	for (i = 0; i < APW_COUNT(table); i++)
		if (table[i].status == status)
			return table[i].reason;
	return "Error";
}

void
egress_answer(struct egress_client *c, enum apw_egress_verdict verdict,
    int status, const char *text)
{
	struct apw_buf	b = APW_BUF_INIT(2048);

	if (c->why == NULL && !c->asked)
		c->why = strdup(text);
	egress_client_record(c, verdict);
	apw_buf_printf(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
	    reason_of(status), strlen(text), text);
	/* so little fits into a socket that got nothing yet */
	if (!b.failed)
		(void)!send(c->fd, b.data, b.len, MSG_NOSIGNAL);
	apw_buf_free(&b);
	egress_linger(c);
}

/* Closing while the client still sends would reset the connection, and take
 * our last word from it. */
void
egress_linger(struct egress_client *c)
{
	c->state = CLIENT_LINGER;
	shutdown(c->fd, SHUT_WR);
	event_del(&c->writable);
	event_add(&c->readable, NULL);
	egress_client_timer(c, LINGER_MS);
	c->counted = 0;		/* from now on: bytes thrown away */
}

void
egress_linger_read(struct egress_client *c)
{
	char	junk[4096];
	ssize_t	n;

	do {
		n = recv(c->fd, junk, sizeof(junk), 0);
		if (n > 0)
			c->counted += (uint64_t)n;
	} while (n > 0 && c->counted < LINGER_BYTES);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	egress_client_free(c);
}
