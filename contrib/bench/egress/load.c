/* Load for contrib/bench/egress/bench.js, in C so that the proxies are what
 * is measured:
 *
 *	load serve			prints its port; a first byte 'S' of a
 *					connection: takes all, then says 1 byte;
 *					'E': echoes
 *	load send PROXY PORT BYTES	seconds for so many bytes in writes of
 *					64 KiB, the answer included
 *	load connect PROXY PORT N	microseconds for a connection, one byte
 *					there and back: the median of N
 *	load hold PROXY PORT N		N connections, 64 KiB through each; says
 *					"held" and waits for the end of stdin
 *
 *	load relay PORT			prints its port; the least that a proxy can
 *				do: its connections, one at a time, go to
 *				PORT by splice(2) and nothing else
 *
 * PROXY is the port of a proxy on 127.0.0.1, 0 for none, -PORT of a relay
 * (send only). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	65536

static char	block[BLOCK];

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now(void)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
put(int fd, const char *p, size_t n)
{
	ssize_t	w;

	for (; n > 0; p += w, n -= (size_t)w)
		if ((w = write(fd, p, n)) <= 0)
			die("write");
}

static void *
serve_one(void *arg)
{
	int	fd = (int)(long)arg;
	char	*b = malloc(4 * BLOCK), kind;
	ssize_t	n;

	if (b == NULL || read(fd, &kind, 1) != 1)
		kind = 0;
	while (kind != 0 && (n = read(fd, b, 4 * BLOCK)) > 0)
		if (kind == 'E')
			put(fd, b, (size_t)n);
	if (kind == 'S')
		put(fd, "k", 1);
	close(fd);
	free(b);
	return NULL;
}

/* Says where it listens. */
static int
listener(void)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		size = sizeof(a);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, size) == -1 ||
	    listen(fd, 1024) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) == -1)
		die("listen");
	printf("ready %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static void
serve(void)
{
	pthread_attr_t		attr;
	pthread_t		thread;
	int			fd = listener(), c, on = 1;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 65536);
	while ((c = accept(fd, NULL, NULL)) != -1) {
		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (pthread_create(&thread, &attr, serve_one,
		    (void *)(long)c) != 0)
			die("thread");
	}
}

static int
reach(int proxy, int port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char			text[256];
	size_t			n = 0;
	int			fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	a.sin_port = htons((uint16_t)(proxy != 0 ? proxy : port));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		die("connect");
	if (proxy == 0)
		return fd;
	snprintf(text, sizeof(text), "CONNECT 127.0.0.1:%d HTTP/1.1\r\n"
	    "Host: 127.0.0.1:%d\r\n\r\n", port, port);
	put(fd, text, strlen(text));
	do {
		if (read(fd, text + n, 1) != 1)
			die("the proxy");
		n++;
	} while (n < 4 || (n < sizeof(text) - 1 &&
	    memcmp(text + n - 4, "\r\n\r\n", 4) != 0));
	if (strncmp(text + 8, " 200", 4) != 0)
		die("the proxy says no");
	return fd;
}

/* proxy < 0: one that needs no telling where to. */
static void
send_bytes(int proxy, int port, long long bytes)
{
	int	fd = proxy < 0 ? reach(0, -proxy) : reach(proxy, port);
	double	from = now();
	char	c;

	put(fd, "S", 1);
	for (; bytes > 0; bytes -= BLOCK)
		put(fd, block, BLOCK);
	shutdown(fd, SHUT_WR);
	if (read(fd, &c, 1) != 1)
		die("answer");
	printf("%.6f\n", now() - from);
}

/* One direction, and the answer's byte. */
static void
relay_one(int from, int to)
{
	int	p[2];
	ssize_t	n, w;
	char	c;

	if (pipe(p) == -1)
		die("pipe");
	fcntl(p[0], F_SETPIPE_SZ, 1 << 20);
	while ((n = splice(from, NULL, p[1], NULL, 1 << 20, 0)) > 0)
		for (; n > 0; n -= w)
			if ((w = splice(p[0], NULL, to, NULL, (size_t)n,
			    0)) <= 0)
				die("splice");
	shutdown(to, SHUT_WR);
	if (read(to, &c, 1) == 1)
		put(from, &c, 1);
	close(p[0]);
	close(p[1]);
	close(to);
	close(from);
}

static void
relay(int port)
{
	int	fd = listener(), c;

	while ((c = accept(fd, NULL, NULL)) != -1)
		relay_one(c, reach(0, port));
}

static int
by_size(const void *a, const void *b)
{
	double	x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
connect_times(int proxy, int port, int n)
{
	double	*took = calloc((size_t)n, sizeof(*took)), from;
	char	c;
	int	i, fd;

	for (i = 0; i < n; i++) {
		from = now();
		fd = reach(proxy, port);
		put(fd, "Ex", 2);
		if (read(fd, &c, 1) != 1)
			die("echo");
		took[i] = now() - from;
		close(fd);
	}
	qsort(took, (size_t)n, sizeof(*took), by_size);
	printf("%.1f\n", took[n / 2] * 1e6);
	free(took);
}

static void
hold(int proxy, int port, int n)
{
	struct rlimit	files = { 8192, 8192 };
	char		got[BLOCK];
	ssize_t		r, have;
	int		i, *fds = calloc((size_t)n, sizeof(*fds));

	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < n; i++) {
		fds[i] = reach(proxy, port);
		put(fds[i], "E", 1);
	}
	for (i = 0; i < n; i++) {
		put(fds[i], block, BLOCK);
		for (have = 0; have < BLOCK; have += r)
			if ((r = read(fds[i], got, sizeof(got))) <= 0)
				die("echo");
	}
	printf("held\n");
	fflush(stdout);
	while (read(0, got, sizeof(got)) > 0)
		continue;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		serve();
	else if (argc == 3 && strcmp(argv[1], "relay") == 0)
		relay(atoi(argv[2]));
	else if (argc == 5 && strcmp(argv[1], "send") == 0)
		send_bytes(atoi(argv[2]), atoi(argv[3]), atoll(argv[4]));
	else if (argc == 5 && strcmp(argv[1], "connect") == 0)
		connect_times(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	else if (argc == 5 && strcmp(argv[1], "hold") == 0)
		hold(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	else
		return 1;
	return 0;
}
