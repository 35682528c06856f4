/* Writing lines of the log without ever waiting; see apw_log_priv.h.  Room:
 * any.
 *
 * What was opened here has a description of its own, which does not block.
 * Standard error is shared with who started us: made non-blocking it would be
 * so for them, too.  It is opened anew where the kernel lets us, and asked
 * before each write where not.  Only a file is written to as it is: the disk
 * answers, or nothing on this host does. */
#include "core/apw_log_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* What kind of thing the descriptor is. */
static void
out_know(struct log_out *o)
{
	struct stat	st;
	int		flags = fcntl(o->fd, F_GETFL);

	o->known = true;
	if (fstat(o->fd, &st) == -1)
		return;
	o->socket = S_ISSOCK(st.st_mode);
	o->file = S_ISREG(st.st_mode);
	o->ask = (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) &&
	    (flags == -1 || (flags & O_NONBLOCK) == 0);
}

static bool
out_ready(int fd)
{
	struct pollfd	p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

/* The kernel's own "not if you would have to wait"; where it does not know
 * that of this thing, a look beforehand.  A pipe that has room for one byte
 * has it for a line. */
static ssize_t
out_ask(int fd, const char *p, size_t n)
{
	const struct iovec	v = { (void *)(uintptr_t)p, n };
	ssize_t			put = pwritev2(fd, &v, 1, -1, RWF_NOWAIT);

	if (put != -1 || (errno != EOPNOTSUPP && errno != ENOSYS &&
	    errno != EINVAL && errno != ESPIPE && errno != EPERM))
		return put;
	if (!out_ready(fd)) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, p, n);
}

static ssize_t
out_put(const struct log_out *o, const char *p, size_t n)
{
	ssize_t	put;

	do
		put = o->socket ? send(o->fd, p, n, MSG_DONTWAIT |
		    MSG_NOSIGNAL) : o->ask ? out_ask(o->fd, p, n) :
		    write(o->fd, p, n);
	while (put == -1 && errno == EINTR);
	return put;
}

int
log_out_write(struct log_out *o, const char *p, size_t n)
{
	ssize_t	put;

	if (!o->known)
		out_know(o);
	if (o->torn && (put = out_put(o, "\n", 1)) != 1)
		return -1;
	o->torn = false;
	if ((put = out_put(o, p, n)) == (ssize_t)n)
		return 0;
	if (put >= 0) {
		o->torn = put > 0;
		errno = o->file ? ENOSPC : EAGAIN;
	}
	return -1;
}

/* Both ends of a FIFO are ours: it takes lines while nobody reads, as many as
 * it holds, and keeps them for a reader that comes, or comes back. */
static int
open_both_ends(const char *path)
{
	struct stat	st;
	int		fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY |
			    O_NONBLOCK);

	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int
open_failed(const char *path, int error, struct apw_err *err)
{
	struct stat	st;

	if (error == ENXIO && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		return apw_err_set(err, error, "cannot open log %s: it is a "
		    "FIFO that nobody reads, and we may not read it", path);
	if (error == ENXIO && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		return apw_err_set(err, error, "cannot open log %s: it is a "
		    "socket", path);
	return apw_err_set(err, error, "cannot open log %s", path);
}

int
log_out_open(struct log_out *o, const char *path, struct apw_err *err)
{
	struct stat	st;
	int		fd, both;

	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK, 0640);
	if (fd == -1 && errno != ENXIO)
		return open_failed(path, errno, err);
	if (fd == -1 || (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))) {
		if ((both = open_both_ends(path)) == -1 && fd == -1)
			return open_failed(path, ENXIO, err);
		if (both != -1 && fd != -1)
			close(fd);
		fd = both != -1 ? both : fd;
	}
	*o = (struct log_out){ .fd = fd };
	return 0;
}

void
log_out_std(struct log_out *o, int std)
{
	char		path[32];
	struct stat	st;
	int		fd;

	*o = (struct log_out){ .fd = std };
	if (fstat(std, &st) == -1 ||
	    !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", std);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK);
	if (fd > STDERR_FILENO)
		o->fd = fd;
	else if (fd != -1)
		close(fd);
}
