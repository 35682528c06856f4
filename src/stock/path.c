/* Names from the wire and files below a directory descriptor.  Room: stock,
 * slot and keeper.  Every path is opened beneath the descriptor it is given;
 * nothing here may follow a link out of it. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "core/apw_auto.h"

bool
stock_is_step(const char *s)
{
	size_t	i;

	if (s == NULL || s[0] == '\0' || strlen(s) > 200)
		return false;
	for (i = 0; s[i] != '\0'; i++) {
		char c = s[i];

		if (!(c == '_' || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return true;
}

static bool
is_package_part(struct apw_str s)
{
	size_t	i;

	if (!apw_str_is_segment(s) || s.p[0] == '.')
		return false;
	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		    c == '.' || c == '~'))
			return false;
	}
	return true;
}

bool
stock_is_package(struct apw_str name)
{
	const char	*slash;
	size_t		 n;

	if (name.n == 0 || name.n > 214)	/* npm's limit */
		return false;
	if (name.p[0] != '@')
		return is_package_part(name);
	slash = memchr(name.p, '/', name.n);
	if (slash == NULL)
		return false;
	n = slash - name.p;
	return is_package_part((struct apw_str){ name.p + 1, n - 1 }) &&
	    is_package_part((struct apw_str){ slash + 1, name.n - n - 1 });
}

bool
stock_is_exact(const char *v)
{
	size_t	i = 0, part, from;

	if (v == NULL || strlen(v) > 64)
		return false;
	for (part = 0; part < 3; part++) {
		from = i;
		while (v[i] >= '0' && v[i] <= '9')
			i++;
		if (i == from || (part < 2 && v[i++] != '.'))
			return false;
	}
	if (v[i] == '\0')
		return true;
	if (v[i] != '-' && v[i] != '+')
		return false;
	for (; v[i] != '\0'; i++)
		if (!((v[i] >= '0' && v[i] <= '9') ||
		    (v[i] >= 'a' && v[i] <= 'z') ||
		    (v[i] >= 'A' && v[i] <= 'Z') || v[i] == '-' ||
		    v[i] == '+' || (v[i] == '.' && v[i + 1] != '.')))
			return false;
	return true;
}

static bool
has_dotdot(const char *rel)
{
	const char	*p = rel;

	if (rel[0] == '/')
		return true;
	while ((p = strstr(p, "..")) != NULL) {
		if ((p == rel || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
		p += 2;
	}
	return false;
}

int
stock_open(int dir_fd, const char *rel, int flags)
{
	struct open_how	how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int		fd, tries = 3;

	if (has_dotdot(rel)) {
		errno = EXDEV;
		return -1;
	}
	do {
		fd = syscall(SYS_openat2, dir_fd, rel, &how, sizeof(how));
	} while (fd == -1 && errno == EAGAIN && tries-- > 0);
	/* an old kernel or a container's filter: the segments were checked */
	if (fd == -1 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dir_fd, rel, flags | O_CLOEXEC);
	return fd;
}

bool
stock_exists(int dir_fd, const char *rel)
{
	apw_autofd int fd = stock_open(dir_fd, rel, O_PATH);

	return fd != -1;
}

int
stock_mkdirs(int dir_fd, const char *rel, struct apw_err *err)
{
	char		 segment[256];
	const char	*p = rel, *end;
	int		 fd, next, why;

	fd = openat(dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open the stock");
	for (; *p != '\0'; p = *end == '/' ? end + 1 : end) {
		end = strchrnul(p, '/');
		if (!apw_str_is_segment((struct apw_str){ p, end - p })) {
			close(fd);
			return apw_err_set(err, 0, "bad path %s", rel);
		}
		memcpy(segment, p, end - p);
		segment[end - p] = '\0';
		next = -1;
		why = mkdirat(fd, segment, 0755) == 0 ? 0 : errno;
		if (why == 0 || why == EEXIST || why == EROFS || why == EACCES)
			next = openat(fd, segment, (*end == '\0' ? O_RDONLY :
			    O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next == -1) {
			apw_err_set(err, errno == ENOENT ? why : errno,
			    "cannot make %s", rel);
			close(fd);
			return -1;
		}
		close(fd);
		fd = next;
	}
	return fd;
}

static int
write_all(int fd, struct apw_str data)
{
	size_t	done = 0;

	while (done < data.n) {
		ssize_t n = write(fd, data.p + done, data.n - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		done += n;
	}
	return 0;
}

int
stock_write(int dir_fd, const char *name, struct apw_str data,
    struct apw_err *err)
{
	apw_autofd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd == -1 || write_all(fd, data) == -1)
		return apw_err_set(err, errno, "cannot write %s", name);
	return 0;
}

int
stock_replace(int dir_fd, const char *name, struct apw_str data, bool sync,
    struct apw_err *err)
{
	static _Atomic unsigned	 serial;
	char			 temp[300];
	int			 saved;

	snprintf(temp, sizeof(temp), ".%.200s.%d.%u", name, (int)getpid(),
	    serial++);
	unlinkat(dir_fd, temp, 0);
	if (stock_write(dir_fd, temp, data, err) == 0 &&
	    (!sync || stock_sync(dir_fd, temp, err) == 0)) {
		if (renameat(dir_fd, temp, dir_fd, name) == 0)
			return 0;
		apw_err_set(err, errno, "cannot rename to %s", name);
	}
	saved = errno;
	unlinkat(dir_fd, temp, 0);
	errno = saved;
	return -1;
}

int
stock_read(int dir_fd, const char *rel, struct apw_buf *out,
    struct apw_err *err)
{
	apw_autofd int	fd = stock_open(dir_fd, rel,
	    O_RDONLY | O_NOCTTY | O_NONBLOCK);
	struct stat	st;
	ssize_t		n;

	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1 || fstat(fd, &st) == -1)
		return apw_err_set(err, errno, "cannot read %s", rel);
	if (!S_ISREG(st.st_mode))
		return apw_err_set(err, 0, "%s is no file", rel);
	if (apw_buf_reserve(out, st.st_size) == -1)
		return apw_err_set(err, EFBIG, "cannot read %s", rel);
	for (;;) {
		if (out->cap - out->len <= 1 && apw_buf_reserve(out, 1) == -1)
			return apw_err_set(err, EFBIG, "cannot read %s", rel);
		n = read(fd, out->data + out->len, out->cap - out->len - 1);
		if (n == 0)
			break;
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return apw_err_set(err, errno, "cannot read %s", rel);
		out->len += n;
		if (out->len >= (size_t)st.st_size)
			break;
	}
	out->data[out->len] = '\0';
	return 1;
}

int
stock_sync(int dir_fd, const char *rel, struct apw_err *err)
{
	apw_autofd int fd = stock_open(dir_fd, rel, O_RDONLY);

	if (fd == -1 || fsync(fd) == -1)
		return apw_err_set(err, errno, "cannot sync %s", rel);
	return 0;
}

void
stock_stamp(const struct stat *st, struct stock_stamp *stamp)
{
	*stamp = (struct stock_stamp){
		.dev = st->st_dev, .ino = st->st_ino, .size = st->st_size,
		.mtime_ns = st->st_mtim.tv_sec * INT64_C(1000000000) +
		    st->st_mtim.tv_nsec,
	};
}

bool
stock_stamp_eq(const struct stock_stamp *a, const struct stock_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime_ns == b->mtime_ns;
}
