/* Listening sockets; see listen.h.  Room: master.  A name that is listened
 * on by somebody else is never taken away from him: a socket file is removed
 * only when nobody answers behind it. */
#include "master/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "core/apw_unix.h"
#include "master/dirs.h"

#define LISTEN_BACKLOG	128
#define MASK_USER	0117	/* its user's and group's */
#define MASK_OWN	0177	/* whose the master is, alone */

/* A socket file without a listener is left from an earlier life. */
static int
clear_stale(const char *path, const struct sockaddr_un *sun,
    struct apw_err *err)
{
	struct stat	st;
	apw_autofd int	fd = -1;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : apw_err_set(err, errno, "%s",
		    path);
	if (!S_ISSOCK(st.st_mode))
		return apw_err_set(err, 0, "%s is there and not a socket",
		    path);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) == -1)
		return apw_err_set(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	    errno == EAGAIN)
		return apw_err_set(err, EADDRINUSE, "%s", path);
	if (unlink(path) == -1 && errno != ENOENT)
		return apw_err_set(err, errno, "%s", path);
	return 0;
}

static int
bind_unix(const char *path, mode_t mask, struct apw_err *err)
{
	struct sockaddr_un	sun;
	apw_autofd int		fd = -1, dir_fd = -1;
	mode_t			before;
	int			rc;

	if (apw_dir_parent(path, err) == -1 ||
	    apw_unix_address(path, &sun, &dir_fd, err) == -1 ||
	    clear_stale(path, &sun, err) == -1)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) == -1)
		return apw_err_set(err, errno, "socket");
	before = umask(mask);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(before);
	if (rc == -1 || listen(fd, LISTEN_BACKLOG) == -1)
		return apw_err_set(err, errno, "%s", path);
	return apw_take_fd(&fd);
}

static int
bind_unix_for_user(const char *path, const struct apw_main_conf *main,
    struct apw_err *err)
{
	apw_autofd int	fd = bind_unix(path, MASK_USER, err);

	if (fd == -1)
		return -1;
	if (getuid() == 0 && main->user != NULL &&
	    lchown(path, main->uid, main->gid) == -1)
		return apw_err_set(err, errno, "%s", path);
	return apw_take_fd(&fd);
}

/* "ADDR:PORT" or "[V6]:PORT"; "*" is every address. */
static int
split_name(const char *name, char host[64], char port[16],
    struct apw_err *err)
{
	const char	*colon = strrchr(name, ':'), *from = name;
	size_t		 n;

	if (colon == NULL)
		return apw_err_set(err, 0, "%s: expected ADDRESS:PORT, "
		    "[ADDRESS]:PORT or unix:PATH", name);
	n = colon - name;
	if (n >= 2 && name[0] == '[' && name[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (n >= 64 || strlen(colon + 1) >= 16)
		return apw_err_set(err, 0, "%s is too long", name);
	memcpy(host, from, n);
	host[n] = '\0';
	strcpy(port, colon + 1);
	return 0;
}

static int
bind_inet(const char *name, struct apw_err *err)
{
	struct addrinfo	 hints = { .ai_socktype = SOCK_STREAM,
			     .ai_flags = AI_PASSIVE | AI_NUMERICHOST |
			     AI_NUMERICSERV }, *ai;
	char		 host[64], port[16];
	apw_autofd int	 fd = -1;
	int		 rc, on = 1;
	bool		 any;

	if (split_name(name, host, port, err) == -1)
		return -1;
	any = host[0] == '\0' || strcmp(host, "*") == 0;
	if ((rc = getaddrinfo(any ? NULL : strcmp(host, "localhost") == 0 ?
	    "127.0.0.1" : host, port, &hints, &ai)) != 0)
		return apw_err_set(err, 0, "%s: %s", name, gai_strerror(rc));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd != -1) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (ai->ai_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
			    sizeof(on));
	}
	if (fd == -1 || bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(fd, LISTEN_BACKLOG) == -1) {
		rc = errno;
		freeaddrinfo(ai);
		return apw_err_set(err, rc, "%s", name);
	}
	freeaddrinfo(ai);
	return apw_take_fd(&fd);
}

int
apw_listen_try(const char *name, struct apw_err *err)
{
	int	fd = bind_inet(name, err);

	if (fd != -1)
		close(fd);
	return fd == -1 ? -1 : 0;
}

static int
find(const struct apw_listeners *l, const char *name)
{
	size_t	i;

	for (i = 0; l != NULL && i < l->n; i++)
		if (strcmp(l->names[i], name) == 0)
			return l->fds[i];
	return -1;
}

static int
listen_on(const char *name, const struct apw_main_conf *main,
    struct apw_err *err)
{
	const char	*path = apw_unix_path(name);

	return path != NULL ? bind_unix_for_user(path, main, err) :
	    bind_inet(name, err);
}

static void
add(struct apw_listeners *l, const char *name, int fd)
{
	l->fds[l->n] = fd;
	if ((l->names[l->n] = strdup(name)) == NULL)
		abort();
	l->n++;
}

/* Where it cannot be the daemon does its work without. */
static void
add_control(struct apw_listeners *l, const struct apw_listeners *now,
    const struct apw_main_conf *main)
{
	apw_autofree char	*name = NULL;
	struct apw_err		 err = APW_ERR_NONE;
	int			 fd;

	if (asprintf(&name, APW_UNIX_PREFIX "%s/" APW_CONTROL_SOCKET,
	    main->state_path) == -1)
		abort();
	if (find(l, name) != -1)	/* listened on for the monitor */
		return;
	if ((fd = find(now, name)) == -1 && (fd = bind_unix(
	    apw_unix_path(name), MASK_OWN, &err)) == -1)
		apw_warn("no control socket: apworkerctl reaches this daemon "
		    "only where its monitor listens", APW_S("socket", name),
		    APW_E(&err));
	else
		add(l, name, fd);
}

int
apw_listeners_open(struct apw_listeners *next, const struct apw_listeners *now,
    const struct apw_strlist *names, const struct apw_main_conf *main,
    struct apw_err *err)
{
	struct apw_listeners	l = { 0 };
	int			fd;

	if (names->n > APW_LISTEN_MAX - 1)
		return apw_err_set(err, 0, "%zu addresses to listen on; "
		    "expected %d at most", names->n, APW_LISTEN_MAX - 1);
	l.fds = calloc(APW_LISTEN_MAX, sizeof(*l.fds));
	l.names = calloc(APW_LISTEN_MAX, sizeof(*l.names));
	if (l.fds == NULL || l.names == NULL) {
		free(l.fds);
		free(l.names);
		return apw_err_set(err, ENOMEM, "listeners");
	}
	while (l.n < names->n) {
		if ((fd = find(now, names->v[l.n])) == -1)
			fd = listen_on(names->v[l.n], main, err);
		if (fd == -1) {
			apw_err_wrap(err, "cannot listen on %s",
			    names->v[l.n]);
			apw_listeners_close(&l, now, true);
			return -1;
		}
		add(&l, names->v[l.n], fd);
	}
	add_control(&l, now, main);
	*next = l;
	return 0;
}

void
apw_listeners_close(struct apw_listeners *l, const struct apw_listeners *keep,
    bool unlink_paths)
{
	const char	*path;
	size_t		 i;

	for (i = 0; i < l->n; i++) {
		if (find(keep, l->names[i]) == -1) {
			path = apw_unix_path(l->names[i]);
			close(l->fds[i]);
			if (unlink_paths && path != NULL)
				unlink(path);
		}
		free(l->names[i]);
	}
	free(l->fds);
	free(l->names);
	*l = (struct apw_listeners){ 0 };
}
