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
#include <sys/un.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "master/dirs.h"

#define LISTEN_BACKLOG	128
#define UNIX_PREFIX	"unix:"

static const char *
unix_path(const char *name)
{
	return strncmp(name, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0 ?
	    name + sizeof(UNIX_PREFIX) - 1 : NULL;
}

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
bind_unix(const char *path, const struct apw_main_conf *main,
    struct apw_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	apw_autofd int	   fd = -1;
	mode_t		   mask;
	int		   rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return apw_err_set(err, ENAMETOOLONG, "%s", path);
	strcpy(sun.sun_path, path);
	if (apw_dir_parent(path, err) == -1 ||
	    clear_stale(path, &sun, err) == -1)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0)) == -1)
		return apw_err_set(err, errno, "socket");
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (rc == -1 || listen(fd, LISTEN_BACKLOG) == -1)
		return apw_err_set(err, errno, "%s", path);
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

static int
find(const struct apw_listeners *l, const char *name)
{
	size_t	i;

	for (i = 0; l != NULL && i < l->n; i++)
		if (strcmp(l->names[i], name) == 0)
			return l->fds[i];
	return -1;
}

int
apw_listeners_open(struct apw_listeners *next, const struct apw_listeners *now,
    const struct apw_strlist *names, const struct apw_main_conf *main,
    struct apw_err *err)
{
	struct apw_listeners l = { 0 };
	const char	*path;
	int		 fd;

	if (names->n > APW_LISTEN_MAX)
		return apw_err_set(err, 0, "%zu addresses to listen on; "
		    "expected %d at most", names->n, APW_LISTEN_MAX);
	l.fds = calloc(names->n + 1, sizeof(*l.fds));
	l.names = calloc(names->n + 1, sizeof(*l.names));
	if (l.fds == NULL || l.names == NULL) {
		free(l.fds);
		free(l.names);
		return apw_err_set(err, ENOMEM, "listeners");
	}
	for (; l.n < names->n; l.n++) {
		path = unix_path(names->v[l.n]);
		if ((fd = find(now, names->v[l.n])) == -1)
			fd = path != NULL ? bind_unix(path, main, err) :
			    bind_inet(names->v[l.n], err);
		if (fd == -1) {
			apw_err_wrap(err, "cannot listen on %s",
			    names->v[l.n]);
			apw_listeners_close(&l, now, true);
			return -1;
		}
		l.fds[l.n] = fd;
		if ((l.names[l.n] = strdup(names->v[l.n])) == NULL)
			abort();
	}
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
			path = unix_path(l->names[i]);
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
