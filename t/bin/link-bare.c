/*
 * What no server can do without, for contrib/bench/link.js: wait, read, take
 * the mask off, write.  One connection at a time, which is believed all it
 * says: it is the floor beside which the others are measured, no server.
 *
 *	link-bare
 *
 * Says "port N" when it listens; ends with who started it.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/apw_http.h"
#include "proto/apw_ws.h"
#include "proto/apw_ws_frame.h"

#define BYTES	131072

static char	in[BYTES], out[BYTES];
static size_t	have;

static int
listen_on(int *port)
{
	struct sockaddr_in	sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		n = sizeof(sin);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, n) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &n) == -1)
		return -1;
	*port = ntohs(sin.sin_port);
	return fd;
}

/* The handshake, and a packet that looks like Engine.IO's first. */
static int
greet(int fd)
{
	struct apw_http_head	 head;
	struct apw_str		 key;
	char			 accept[APW_WS_ACCEPT_BYTES];
	ssize_t			 n;
	int			 on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	n = recv(fd, in, sizeof(in), 0);
	if (n <= 0 || apw_http_request((struct apw_str){ in, (size_t)n },
	    &head, NULL) == -1 ||
	    apw_ws_request_check(&head, &key, NULL) == -1 ||
	    apw_ws_accept(key, accept) == -1)
		return -1;
	n = snprintf(out, sizeof(out), "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x03""0{}", accept);
	return send(fd, out, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

/* Frames that are here completely, without their masks; length of it all. */
static size_t
unmask(void)
{
	uint8_t	key[APW_WS_MASK_BYTES];
	size_t	at = 0, put = 0, head, n;

	while (have - at >= 2) {
		n = (uint8_t)in[at + 1] & 0x7f;
		head = n == 126 ? 4 : 2;
		if (have - at < head)
			break;
		if (n == 126)
			n = (size_t)(uint8_t)in[at + 2] << 8 |
			    (uint8_t)in[at + 3];
		if (have - at < head + sizeof(key) + n)
			break;
		memcpy(out + put, in + at, head);
		out[put + 1] &= 0x7f;
		memcpy(key, in + at + head, sizeof(key));
		apw_ws_mask((uint8_t *)out + put + head,
		    in + at + head + sizeof(key), n, key);
		at += head + sizeof(key) + n;
		put += head + n;
	}
	memmove(in, in + at, have - at);
	have -= at;
	return put;
}

static int
write_all(int fd, const char *p, size_t n)
{
	ssize_t	r;

	for (; n > 0; p += r, n -= (size_t)r)
		if ((r = send(fd, p, n, MSG_NOSIGNAL)) <= 0)
			return -1;
	return 0;
}

static void
echo(int fd)
{
	struct epoll_event	ev = { .events = EPOLLIN };
	int			ep = epoll_create1(0);
	ssize_t			n;

	have = 0;
	if (ep == -1 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1)
		exit(1);
	while (epoll_wait(ep, &ev, 1, -1) == 1) {
		n = recv(fd, in + have, sizeof(in) - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
		if (write_all(fd, out, unmask()) == -1)
			break;
	}
	close(ep);
}

int
main(void)
{
	int	port, fd, s = listen_on(&port);

	if (s == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return 1;
	printf("port %d\n", port);
	fflush(stdout);
	while ((fd = accept(s, NULL, NULL)) != -1) {
		if (greet(fd) == 0)
			echo(fd);
		close(fd);
	}
	return 0;
}
