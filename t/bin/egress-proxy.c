/* The egress proxy alone, on a loopback listener, for tests and benches:
 *
 *	egress-proxy [-a API_URL] [-l ALLOW]... [-p PORT] -c FILE
 *
 * FILE has a network { } block; -l are entries of the app's allow list.  Says
 * "ready PORT" on stdout, then obeys lines on stdin:
 *
 *	begin RUN	a run begins
 *	end		it ends: prints its account as JSON
 *	count		prints how many connections are open
 *	post URL	a POST of the daemon's own: prints its status or error
 *	fetch URL	a GET of what the app names: prints its body or error
 *	put URL		a PUT likewise
 *	rules		prints the rules
 *
 * The end of stdin ends it.  The log is on stderr. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_conf.h"
#include "core/apw_log.h"
#include "dial/resolver.h"
#include "egress/fetch.h"
#include "egress/post.h"
#include "egress/proxy.h"

struct tool {
	struct event_base		*base;
	struct apw_cycle		*cycle;
	struct apw_egress_rules		*rules;
	struct apw_resolver		*resolver;
	struct apw_egress_proxy		*proxy;
	struct apw_poster		*poster;
	struct apw_fetcher		*fetcher;
	struct event			*input;
	struct apw_buf			 line;
};

static int
listen_on(uint16_t *port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_port = htons(*port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		size = sizeof(a);
	int			on = 1;
	int			fd = socket(AF_INET, SOCK_STREAM |
				    SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 512) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) == -1) {
		perror("listen");
		exit(71);
	}
	*port = ntohs(a.sin_port);
	return fd;
}

static void
on_post(void *arg, int status, const char *error)
{
	(void)arg;
	if (status == -1)
		printf("post: %s\n", error);
	else
		printf("post: %d\n", status);
	fflush(stdout);
}

static void
post(struct tool *t, const char *url)
{
	struct apw_post_order	o = { .url = url, .body = APW_STR("{}"),
				    .timeout_ms = 10000, .what = "test" };

	if (apw_post(t->poster, &o, on_post, NULL) == NULL)
		printf("post: out of memory\n");
}

static void
on_fetch(void *arg, const struct apw_fetched *end)
{
	(void)arg;
	if (end->error != NULL)
		printf("fetch failed: %s\n", end->error);
	else
		printf("fetch: %zu %.*s\n", end->body.n,
		    (int)(end->body.n < 40 ? end->body.n : 40), end->body.p);
	fflush(stdout);
}

static void
fetch(struct tool *t, const char *url, bool put)
{
	struct apw_fetch_order	o = { .url = url, .put = put,
				    .body = APW_STR("what is put"),
				    .max_bytes = 100000, .timeout_ms = 5000 };

	if (apw_fetch(t->fetcher, &o, on_fetch, NULL) == NULL)
		printf("fetch failed: out of memory\n");
}

static void
obey(struct tool *t, char *line)
{
	struct apw_egress_account	sum;
	struct apw_buf			b = APW_BUF_INIT(0);

	if (strncmp(line, "begin ", 6) == 0) {
		apw_egress_proxy_begin(t->proxy, line + 6);
		printf("begun\n");
	} else if (strcmp(line, "end") == 0) {
		apw_egress_proxy_end(t->proxy, &sum);
		apw_egress_account_json(&sum, &b);
		printf("%s\n", b.data);
	} else if (strcmp(line, "count") == 0)
		printf("%u\n", apw_egress_proxy_connections(t->proxy));
	else if (strcmp(line, "rules") == 0)
		printf("%s\n", apw_egress_rules_text(t->rules));
	else if (strncmp(line, "post ", 5) == 0)
		post(t, line + 5);
	else if (strncmp(line, "fetch ", 6) == 0)
		fetch(t, line + 6, false);
	else if (strncmp(line, "put ", 4) == 0)
		fetch(t, line + 4, true);
	fflush(stdout);
	apw_buf_free(&b);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct tool	*t = arg;
	char		 text[1024], *end;
	ssize_t		 n = read(fd, text, sizeof(text));

	(void)what;
	if (n <= 0) {
		event_base_loopbreak(t->base);
		return;
	}
	apw_buf_put(&t->line, text, (size_t)n);
	while (t->line.len > 0 &&
	    (end = memchr(t->line.data, '\n', t->line.len)) != NULL) {
		*end = '\0';
		obey(t, t->line.data);
		apw_buf_drain(&t->line, (size_t)(end + 1 - t->line.data));
	}
}

static int
start(struct tool *t, const char *api, const struct apw_strlist *app,
    uint16_t port, struct apw_err *err)
{
	struct apw_egress_rules_conf	rc = { &t->cycle->network, app, api };
	struct apw_egress_proxy_conf	pc = { .listen_fd = -1 };

	t->base = event_base_new();
	t->rules = apw_egress_rules_new(&rc, err);
	if (t->rules == NULL)
		return -1;
	t->resolver = apw_resolver_new(t->base,
	    apw_egress_rules_resolver(t->rules), err);
	if (t->resolver == NULL)
		return -1;
	pc.listen_fd = listen_on(&port);
	pc.rules = t->rules;
	pc.resolver = t->resolver;
	t->proxy = apw_egress_proxy_new(t->base, &pc, err);
	if (t->proxy == NULL)
		return -1;
	t->poster = apw_poster_new(t->base, t->rules, t->resolver,
	    NULL);
	t->fetcher = apw_fetcher_new(t->base, t->rules, t->resolver);
	t->input = event_new(t->base, 0, EV_READ | EV_PERSIST, on_input, t);
	if (t->poster == NULL || t->fetcher == NULL || t->input == NULL)
		return apw_err_set(err, ENOMEM, "tool");
	event_add(t->input, NULL);
	printf("ready %u\n", port);
	fflush(stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	/* any file does for what this tool does not use */
	struct apw_conf_options	 o = { .cycle = 1, .globals =
	    "engine { bundle /proc/self/exe; node /proc/self/exe; } "
	    "stock { bundler_path /proc/self/exe; "
	    "installer_path /proc/self/exe; }" };
	char			*allow[64];
	struct apw_strlist	 app = { .v = allow };
	struct apw_err		 err = APW_ERR_NONE;
	struct tool		 t = { .base = NULL };
	const char		*api = NULL;
	uint16_t		 port = 0;
	int			 c;

	while ((c = getopt(argc, argv, "a:c:l:p:")) != -1) {
		if (c == 'a')
			api = optarg;
		else if (c == 'c')
			o.file = optarg;
		else if (c == 'l' && app.n < 63)
			allow[app.n++] = optarg;
		else if (c == 'p')
			port = (uint16_t)atoi(optarg);
		else
			return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	setenv("AP_FRONTEND_URL", "http://127.0.0.1:1", 1);
	setenv("AP_WORKER_TOKEN", "none", 1);
	t.cycle = apw_conf_read(&o, stderr);
	if (t.cycle == NULL)
		return 1;
	apw_log_open("stderr", t.cycle->main.log_level, APW_LOG_TEXT, NULL);
	apw_log_room("egress");
	if (start(&t, api, &app, port, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	event_base_dispatch(t.base);
	apw_poster_free(t.poster);
	apw_fetcher_free(t.fetcher);
	apw_egress_proxy_free(t.proxy);
	/* what was cancelled has its last word now */
	event_base_loop(t.base, EVLOOP_NONBLOCK);
	apw_resolver_free(t.resolver);
	event_base_loop(t.base, EVLOOP_NONBLOCK);
	event_free(t.input);
	apw_egress_rules_unref(t.rules);
	event_base_free(t.base);
	apw_buf_free(&t.line);
	apw_cycle_free(t.cycle);
	return 0;
}
