/* The HTTP server: what it takes, what it refuses before a body is read, and
 * whom it closes when there are too many. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "core/apw_clock.h"
#include "http/httpd_priv.h"

#define PATIENCE_MS	20000
#define BODY_MAX	((size_t)1 << 20)

struct ground {
	struct event_base	*base;
	struct apw_httpd_limits	 limits;
	struct apw_httpd	*httpd;
	int			 fd;
	struct sockaddr_in	 sin;
	/* what the handler saw */
	char			 path[256], query[256], method[32];
	struct apw_buf		 body;
	unsigned		 requests, uploads, whole, lost;
	int			 refuse_at;	/* bytes; then 507 */
};

/* PUT with ?key is taken; GET /file is 300 kB; all else by its path. */
static void
on_request(void *arg, const struct apw_httpd_request *rq,
    struct apw_httpd_answer *a)
{
	struct ground	*g = arg;
	FILE		*f;
	size_t		 i;

	g->requests++;
	snprintf(g->path, sizeof(g->path), "%.*s", (int)rq->path.n,
	    rq->path.p);
	snprintf(g->query, sizeof(g->query), "%.*s", (int)rq->query.n,
	    rq->query.p);
	snprintf(g->method, sizeof(g->method), "%.*s", (int)rq->method.n,
	    rq->method.p);
	a->known = apw_str_is(rq->query, "key");
	if (apw_str_is(rq->method, "PUT")) {
		if (!a->known) {
			a->status = 401;
			a->close = true;
			return;
		}
		apw_buf_reset(&g->body);
		g->uploads++;
		a->upload = g;
	} else if (apw_str_is(rq->path, "/file")) {
		f = tmpfile();
		for (i = 0; i < 300000; i++)
			fputc("0123456789"[i % 10], f);
		fflush(f);
		a->status = 200;
		a->fd = dup(fileno(f));
		a->fd_bytes = 300000;
		fclose(f);
	} else if (apw_str_is(rq->path, "/large")) {
		a->status = 200;
		for (i = 0; i < 20000; i++)
			apw_buf_puts(&a->body, "0123456789");
	} else if (rq->reads) {
		a->status = 200;
		apw_buf_puts(&a->body, "hello");
	}
}

static int
on_body(void *arg, void *upload, struct apw_str data)
{
	struct ground	*g = arg;

	assert_ptr_equal(upload, g);
	apw_buf_str(&g->body, data);
	return g->refuse_at > 0 && g->body.len > (size_t)g->refuse_at ?
	    507 : 0;
}

static void
on_whole(void *arg, void *upload, struct apw_httpd_answer *a)
{
	struct ground	*g = arg;

	(void)upload;
	g->whole++;
	a->status = 200;
	apw_buf_printf(&a->body, "got %zu", g->body.len);
}

static void
on_lost(void *arg, void *upload)
{
	struct ground	*g = arg;

	(void)upload;
	g->lost++;
}

static const struct apw_httpd_ops ops = {
	.on_request = on_request, .on_body = on_body, .on_whole = on_whole,
	.on_lost = on_lost,
};

static int
setup(void **state)
{
	struct ground	*g = calloc(1, sizeof(*g));
	socklen_t	 len = sizeof(g->sin);

	g->limits = (struct apw_httpd_limits){
		.conns = 8, .strangers = 4, .requests = 100,
		.head_bytes = 4096, .body_bytes = BODY_MAX,
		.out_bytes = 300000, .head_ms = 60000, .idle_ms = 60000,
		.stall_ms = 60000, .body_ms = 60000,
	};
	g->base = event_base_new();
	g->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	g->sin.sin_family = AF_INET;
	g->sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(g->fd, (struct sockaddr *)&g->sin, len), 0);
	assert_int_equal(listen(g->fd, 128), 0);
	getsockname(g->fd, (struct sockaddr *)&g->sin, &len);
	g->httpd = apw_httpd_new(g->base, &g->fd, 1, &g->limits, &ops, g,
	    NULL);
	assert_non_null(g->httpd);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	struct ground	*g = *state;

	apw_httpd_free(g->httpd);
	assert_int_equal(g->uploads, g->whole + g->lost);
	event_base_free(g->base);
	close(g->fd);
	apw_buf_free(&g->body);
	free(g);
	return 0;
}

static void
turn(struct ground *g)
{
	event_base_loop(g->base, EVLOOP_NONBLOCK);
	usleep(500);
}

static int
dial(struct ground *g)
{
	int	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&g->sin, sizeof(g->sin));
	turn(g);
	return fd;
}

/* Send all of it, as fast as it is taken; false: the other side closed. */
static bool
say(struct ground *g, int fd, const char *p, size_t n)
{
	int64_t	end = apw_now_ms() + PATIENCE_MS;
	ssize_t	w;

	while (n > 0 && apw_now_ms() < end) {
		w = send(fd, p, n, MSG_NOSIGNAL);
		if (w == -1 && errno != EAGAIN)
			return false;
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
		turn(g);
	}
	return n == 0;
}

static bool
say_text(struct ground *g, int fd, const char *text)
{
	return say(g, fd, text, strlen(text));
}

/* What comes until `until` is in it, or the other side closes.  */
static char *
hear(struct ground *g, int fd, const char *until, bool *closed)
{
	static char	text[1 << 20];
	int64_t		end = apw_now_ms() + PATIENCE_MS;
	size_t		n = 0;
	ssize_t		got;

	*closed = false;
	text[0] = '\0';
	while (apw_now_ms() < end && n < sizeof(text) - 1 &&
	    (until == NULL || strstr(text, until) == NULL)) {
		got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (got == 0 || (got == -1 && errno != EAGAIN)) {
			*closed = true;
			break;
		}
		if (got > 0)
			n += (size_t)got;
		text[n] = '\0';
		turn(g);
	}
	return text;
}

static int
ask(struct ground *g, const char *request, bool *closed)
{
	int	fd = dial(g), status = 0;
	char	*text;

	say(g, fd, request, strlen(request));
	text = hear(g, fd, "\r\n\r\n", closed);
	sscanf(text, "HTTP/1.1 %d", &status);
	if (strstr(text, "Connection: close") != NULL && !*closed)
		hear(g, fd, NULL, closed);
	close(fd);
	turn(g);
	return status;
}

static void
test_targets(void **state)
{
	static const struct { const char *target, *path, *query; int status; }
	cases[] = {
		{ "/a", "/a", "", 200 },
		{ "/a?b=c?d", "/a", "b=c?d", 200 },
		{ "/%61%2f%2B?%61", "/a/+", "%61", 200 },
		{ "http://x", "/", "", 200 },
		{ "http://x?q", "/", "q", 200 },
		{ "HTTP://x:1/a?q", "/a", "q", 200 },
		{ "/..//./a", "/..//./a", "", 200 },
		{ "/a%", NULL, NULL, 400 },
		{ "/a%0g", NULL, NULL, 400 },
		{ "/%00", NULL, NULL, 400 },
		{ "/a#b", NULL, NULL, 400 },
		{ "a", NULL, NULL, 400 },
		{ "*", NULL, NULL, 400 },
		{ "http://", NULL, NULL, 400 },
		{ "http:///a", NULL, NULL, 400 },
		{ "http://u@x/a", NULL, NULL, 400 },
		{ "https://x/a", NULL, NULL, 400 },
		{ "x:80", NULL, NULL, 400 },
	};
	struct ground	*g = *state;
	char		 text[256];
	size_t		 i;
	bool		 closed;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n"
		    "Connection: close\r\n\r\n", cases[i].target);
		assert_int_equal(ask(g, text, &closed), cases[i].status);
		assert_true(closed);
		if (cases[i].path != NULL) {
			assert_string_equal(g->path, cases[i].path);
			assert_string_equal(g->query, cases[i].query);
		}
	}
}

#define PUT "PUT /f?key HTTP/1.1\r\nHost: x\r\n"

static void
test_bodies(void **state)
{
	static const struct { const char *request, *body; int status; }
	cases[] = {
		{ PUT "Content-Length: 5\r\n\r\nhello", "hello", 200 },
		{ PUT "Content-Length: 0\r\n\r\n", "", 200 },
		{ PUT "\r\n", "", 200 },
		{ PUT "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
		    "2;x=y\r\nlo\r\n0\r\nT: r\r\n\r\n", "hello", 200 },
		{ PUT "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
		    "ab", 200 },
		{ PUT "Transfer-Encoding: chunked\r\n\r\nx\r\n", NULL, 400 },
		{ PUT "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", NULL,
		    400 },
		{ PUT "Content-Length: 2000000\r\n\r\n", NULL, 413 },
		{ PUT "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		    NULL, 400 },
		{ PUT "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
		    "\r\nhello", NULL, 400 },
		{ "GET /?key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
		    "hello", NULL, 413 },
		{ "POST /?key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
		    "\r\nhello", NULL, 404 },
	};
	struct ground	*g = *state;
	size_t		 i;
	bool		 closed;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ask(g, cases[i].request, &closed),
		    cases[i].status);
		if (cases[i].body != NULL)
			assert_string_equal(apw_buf_view(&g->body).p,
			    cases[i].body);
		else
			assert_true(closed);
	}
}

/* Two bodies and a page, in one piece and byte by byte. */
static void
test_pipeline(void **state)
{
	static const char	text[] = PUT "Content-Length: 5\r\n\r\nhello"
	    PUT "Transfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n0\r\n\r\n"
	    "HEAD /large HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct ground		*g = *state;
	const char		*p;
	char			*all;
	int			 fd, round;
	bool			 closed;

	for (round = 0; round < 2; round++) {
		fd = dial(g);
		if (round == 0)
			assert_true(say(g, fd, text, sizeof(text) - 1));
		for (p = text; round == 1 && *p != '\0'; p++)
			assert_true(say(g, fd, p, 1));
		all = hear(g, fd, NULL, &closed);
		assert_true(closed);
		assert_non_null(strstr(all, "got 5HTTP/1.1"));
		assert_non_null(strstr(all, "got 4HTTP/1.1"));
		assert_non_null(strstr(all, "Content-Length: 200000\r\n"));
		assert_non_null(strstr(all, "close\r\n\r\nhello"));
		close(fd);
	}
	assert_int_equal(g->whole, 4);
}

/* Who is not known sends his body to nobody, and still hears why. */
static void
test_no_body_of_strangers(void **state)
{
	static const char	head[] = "PUT /f HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 1000000\r\n\r\n";
	static char		body[100000];
	struct ground		*g = *state;
	int			 fd = dial(g);
	bool			 closed;

	assert_true(say(g, fd, head, sizeof(head) - 1));
	say(g, fd, body, sizeof(body));
	assert_non_null(strstr(hear(g, fd, "\r\n\r\n", &closed), " 401 "));
	hear(g, fd, NULL, &closed);
	assert_true(closed);
	assert_int_equal(g->uploads, 0);
	close(fd);
}

static void
test_continue(void **state)
{
	struct ground	*g = *state;
	int		 fd = dial(g);
	bool		 closed;

	assert_true(say_text(g, fd, PUT "Expect: 100-continue\r\n"
	    "Content-Length: 3\r\n\r\n"));
	assert_string_equal(hear(g, fd, "\r\n\r\n", &closed),
	    "HTTP/1.1 100 Continue\r\n\r\n");
	assert_true(say_text(g, fd, "abc"));
	assert_non_null(strstr(hear(g, fd, "got 3", &closed), " 200 OK"));
	close(fd);
}

/* A body that is refused half way, and one whose sender goes. */
static void
test_lost(void **state)
{
	static char	part[60000];
	struct ground	*g = *state;
	int		 fd = dial(g);
	bool		 closed;

	g->refuse_at = 50000;
	assert_true(say_text(g, fd, PUT "Content-Length: 900000\r\n\r\n"));
	say(g, fd, part, sizeof(part));
	say(g, fd, part, sizeof(part));
	assert_non_null(strstr(hear(g, fd, "\r\n\r\n", &closed), " 507 "));
	assert_int_equal(g->lost, 1);
	close(fd);
	g->refuse_at = 0;
	fd = dial(g);
	assert_true(say_text(g, fd, PUT "Content-Length: 9\r\n\r\nabc"));
	assert_int_equal(g->uploads, 2);
	close(fd);
	while (g->lost < 2)
		turn(g);
	/* chunks have no length to be refused by */
	fd = dial(g);
	assert_true(say_text(g, fd, PUT "Transfer-Encoding: chunked\r\n\r\n"
	    "1000000000\r\n"));
	while (say(g, fd, part, sizeof(part)) && g->lost < 3)
		;
	assert_non_null(strstr(hear(g, fd, "\r\n\r\n", &closed), " 413 "));
	close(fd);
}

static void
test_file(void **state)
{
	struct ground	*g = *state;
	int		 fd = dial(g);
	char		*text;
	bool		 closed;

	assert_true(say_text(g, fd, "GET /file HTTP/1.0\r\n\r\n"));
	text = hear(g, fd, NULL, &closed);
	text = strstr(text, "\r\n\r\n");
	assert_non_null(text);
	assert_int_equal(strlen(text + 4), 300000);
	assert_memory_equal(text + 4 + 299990, "0123456789", 10);
	close(fd);
}

/* However many strangers there are: one who is known stays, and one more
 * request is answered. */
static void
test_strangers(void **state)
{
	struct ground	*g = *state;
	int		 known = dial(g), fds[50], i;
	bool		 closed;

	assert_true(say_text(g, known, "GET /?key HTTP/1.1\r\nHost: x\r\n\r\n"));
	hear(g, known, "hello", &closed);
	for (i = 0; i < 50; i++) {
		fds[i] = dial(g);
		say_text(g, fds[i], "GET / HT");
		assert_true(g->httpd->nconns <= 5);
	}
	assert_int_equal(g->httpd->nknown, 1);
	assert_int_equal(ask(g, "GET /?key HTTP/1.0\r\n\r\n", &closed), 200);
	assert_true(say_text(g, known, "GET /?key HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_non_null(strstr(hear(g, known, "hello", &closed), " 200 "));
	apw_httpd_forget(g->httpd);
	assert_int_equal(g->httpd->nknown, 0);
	for (i = 0; i < 50; i++)
		close(fds[i]);
	close(known);
}

/* A head that is there when its connection is to make room is heard first. */
static void
test_last_look(void **state)
{
	static const char	request[] =
				"GET /?key HTTP/1.1\r\nHost: x\r\n\r\n";
	struct ground		*g = *state;
	int			 fds[10], i;
	bool			 closed;

	for (i = 0; i < 4; i++)
		fds[i] = dial(g);
	send(fds[0], request, sizeof(request) - 1, 0);
	for (i = 4; i < 10; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&g->sin,
		    sizeof(g->sin)), 0);
	}
	assert_non_null(strstr(hear(g, fds[0], "hello", &closed), " 200 "));
	for (i = 0; i < 10; i++)
		close(fds[i]);
}

/* Answers that nobody takes are bounded together. */
static void
test_deaf(void **state)
{
	struct ground	*g = *state;
	int		 fds[4], i;

	for (i = 0; i < 4; i++) {
		int	small = 4096;

		fds[i] = dial(g);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof(small));
		say_text(g, fds[i], "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
		    "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
		    "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_true(g->httpd->pending <= 300000);
	}
	for (i = 0; i < 4; i++)
		close(fds[i]);
}

static void
test_deadlines(void **state)
{
	struct ground	*g = *state;
	int		 fd;
	bool		 closed;

	g->limits.head_ms = 50;
	fd = dial(g);
	say_text(g, fd, "GET / HT");
	hear(g, fd, NULL, &closed);
	assert_true(closed);
	close(fd);
	g->limits.head_ms = 60000;
	g->limits.stall_ms = 50;
	fd = dial(g);
	assert_true(say_text(g, fd, PUT "Content-Length: 9\r\n\r\nabc"));
	hear(g, fd, NULL, &closed);
	assert_true(closed);
	assert_int_equal(g->lost, 1);
	close(fd);
	g->limits.idle_ms = 50;
	fd = dial(g);
	say_text(g, fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(g, fd, NULL, &closed);
	assert_true(closed);
	close(fd);
}

static void
test_forget(void **state)
{
	struct ground	*g = *state;
	int		 fd = dial(g);
	bool		 closed;

	assert_true(say_text(g, fd, PUT "Content-Length: 9\r\n\r\nabc"));
	assert_int_equal(g->uploads, 1);
	apw_httpd_forget(g->httpd);
	assert_int_equal(g->lost, 1);
	hear(g, fd, NULL, &closed);
	assert_true(closed);
	close(fd);
}

static void
on_drained(void *arg)
{
	*(bool *)arg = true;
}

static void
test_drain(void **state)
{
	struct ground	*g = *state;
	int		 idle = dial(g), busy = dial(g);
	bool		 closed, done = false;

	say_text(g, idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(g, idle, "hello", &closed);
	say_text(g, busy, "GET / HTTP/1.1\r\n");
	apw_httpd_drain(g->httpd, on_drained, &done);
	assert_false(done);
	say_text(g, busy, "Host: x\r\n\r\n");
	assert_non_null(strstr(hear(g, busy, NULL, &closed),
	    "Connection: close"));
	while (!done)
		turn(g);
	close(idle);
	close(busy);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(test_targets), TEST(test_bodies), TEST(test_pipeline),
		TEST(test_no_body_of_strangers), TEST(test_continue),
		TEST(test_lost), TEST(test_file), TEST(test_strangers),
		TEST(test_last_look), TEST(test_deaf), TEST(test_deadlines),
		TEST(test_forget), TEST(test_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
