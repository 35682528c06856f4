/* Asking the monitor; see ask.h.  Room: ctl.  Blocking, with one deadline
 * for all of it.  First by the control socket, which each daemon has, then
 * where the configuration has it listen. */
#include "ctl/ask.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_unix.h"
#include "proto/apw_http.h"

#define ASK_BYTES	((size_t)8 << 20)

static int
ask_wait(int fd, short events, int64_t until_ms)
{
	struct pollfd	p = { .fd = fd, .events = events };
	int64_t		left;
	int		rc;

	while ((left = until_ms - apw_now_ms()) > 0) {
		if ((rc = poll(&p, 1, (int)left)) > 0)
			return 0;
		if (rc == -1 && errno != EINTR)
			return -1;
	}
	errno = ETIMEDOUT;
	return -1;
}

static int
ask_connect_to(const struct sockaddr *sa, socklen_t n, int64_t until_ms)
{
	apw_autofd int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	socklen_t	size = sizeof(int);
	int		error = 0;

	if (fd == -1)
		return -1;
	if (connect(fd, sa, n) == -1) {
		if (errno != EINPROGRESS ||
		    ask_wait(fd, POLLOUT, until_ms) == -1)
			return -1;
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error != 0) {
			errno = error;
			return -1;
		}
	}
	return apw_take_fd(&fd);
}

static int
ask_connect_unix(const char *path, int64_t until_ms)
{
	struct sockaddr_un	sun;
	struct apw_err		err = APW_ERR_NONE;
	apw_autofd int		dir_fd = -1;

	if (apw_unix_address(path, &sun, &dir_fd, &err) == -1) {
		errno = err.code != 0 ? err.code : ENAMETOOLONG;
		return -1;
	}
	return ask_connect_to((struct sockaddr *)&sun, sizeof(sun), until_ms);
}

/* "ADDR:PORT": what listens everywhere is asked on the loopback. */
static int
ask_connect_inet(const char *name, int64_t until_ms)
{
	struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM,
			     .ai_flags = AI_NUMERICSERV }, *ai;
	const char	*colon = strrchr(name, ':'), *to;
	char		 host[256];
	size_t		 n = colon == NULL ? 0 : (size_t)(colon - name);
	int		 fd;

	if (colon == NULL || n >= sizeof(host)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(host, name, n);
	host[n] = '\0';
	to = host;
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		to++;
	}
	if (*to == '\0' || strcmp(to, "*") == 0 || strcmp(to, "0.0.0.0") == 0)
		to = "127.0.0.1";
	else if (strcmp(to, "::") == 0)
		to = "::1";
	if (getaddrinfo(to, colon + 1, &hints, &ai) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	fd = ask_connect_to(ai->ai_addr, ai->ai_addrlen, until_ms);
	freeaddrinfo(ai);
	return fd;
}

static int
ask_connect(const char *name, int64_t until_ms)
{
	const char	*path = apw_unix_path(name);

	return path != NULL ? ask_connect_unix(path, until_ms) :
	    ask_connect_inet(name, until_ms);
}

/* The whole answer: the other side closes. */
static int
ask_exchange(int fd, const char *path, int64_t until_ms, struct apw_buf *all,
    struct apw_err *err)
{
	struct apw_buf	request = APW_BUF_INIT(4096);
	char		part[16384];
	ssize_t		n;
	int		rc;

	apw_buf_printf(&request, "GET %s HTTP/1.1\r\nHost: apworkerd\r\n"
	    "Connection: close\r\n\r\n", path);
	n = request.failed ? -1 : send(fd, request.data, request.len,
	    MSG_NOSIGNAL);
	rc = n == (ssize_t)request.len ? 0 : -1;
	apw_buf_free(&request);
	if (rc == -1)
		return apw_err_set(err, errno, "cannot ask");
	for (;;) {
		n = recv(fd, part, sizeof(part), 0);
		if (n == 0)
			return 0;
		if (n > 0 && apw_buf_put(all, part, n) == -1)
			return apw_err_set(err, 0, "the answer is too long");
		if (n == -1 && errno == EAGAIN) {
			if (ask_wait(fd, POLLIN, until_ms) == -1)
				return apw_err_set(err, errno, "no answer");
		} else if (n == -1 && errno != EINTR)
			return apw_err_set(err, errno, "no answer");
	}
}

static int
ask_parse(struct apw_str all, struct apw_buf *out, struct apw_err *err)
{
	struct apw_http_head	head;
	ssize_t			n = apw_http_answer(all, &head, err);

	if (n == 0)
		return apw_err_set(err, 0, "the answer is no HTTP");
	if (n == -1)
		return -1;
	if (head.content_length >= 0 &&
	    (size_t)head.content_length != all.n - n)
		return apw_err_set(err, 0, "the answer is cut short");
	apw_buf_put(out, all.p + n, all.n - n);
	return out->failed ? apw_err_set(err, 0, "out of memory") :
	    head.status;
}

/* Where somebody answers: *name is it, in control or the configuration. */
static int
ask_any(const struct apw_cycle *cycle, const char *control, int64_t until_ms,
    const char **name, struct apw_err *err)
{
	const struct apw_strlist *listen = &cycle->monitor.listen;
	size_t		i;
	int		fd;

	*name = control;
	if ((fd = ask_connect(control, until_ms)) != -1)
		return fd;
	apw_err_set(err, errno, "cannot reach the monitor on %s", control);
	for (i = 0; i < listen->n; i++) {
		*name = listen->v[i];
		if ((fd = ask_connect(*name, until_ms)) != -1)
			return fd;
	}
	if (i > 0)
		apw_err_set(err, errno, "cannot reach the monitor on %s, nor "
		    "on %s", control, *name);
	return -1;
}

int
ctl_ask(const struct apw_cycle *cycle, const char *path, int timeout_ms,
    struct apw_buf *out, struct apw_err *err)
{
	apw_autofree char *control = NULL;
	int64_t		until_ms = apw_now_ms() + timeout_ms;
	struct apw_buf	all = APW_BUF_INIT(ASK_BYTES);
	apw_autofd int	fd = -1;
	const char	*name;
	int		rc = -1;

	if (asprintf(&control, APW_UNIX_PREFIX "%s/" APW_CONTROL_SOCKET,
	    cycle->main.state_path) == -1) {
		control = NULL;
		return apw_err_set(err, 0, "out of memory");
	}
	if ((fd = ask_any(cycle, control, until_ms, &name, err)) == -1)
		return -1;
	if (ask_exchange(fd, path, until_ms, &all, err) == 0)
		rc = ask_parse(apw_buf_view(&all), out, err);
	apw_buf_free(&all);
	return rc == -1 ? apw_err_wrap(err, "monitor on %s", name) : rc;
}
