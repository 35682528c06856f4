/* What the kernel counts for each user, bounded box by box.  Room: broker,
 * before and after clone.
 *
 * Instances of inotify and their like are counted in each user namespace and
 * in all those around it, there as of whoever made it.  So a box gets a bound
 * of its own, written by its first process while that has the privilege, and
 * as root it is made by its own uid (user_clone_as), so that the host counts
 * for that, not for root.  As an ordinary user all boxes count as that user:
 * together they may use a half of what it has, the daemon and other programs
 * keep the other.
 *
 * A box that has a network of its own, but no control group for its memory,
 * holds less in the sockets of its loopback, too: no limit counts that.
 *
 * Descriptors that are on their way through sockets are counted per user, too,
 * and held against the limit of descriptors of whoever sends one more: who
 * shares our uid has fewer descriptors than we have, so that slots and brokers
 * can go on sending theirs.
 *
 * Where /proc/sys cannot be written boxes go without: the doctor says so. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"
#include "core/apw_auto.h"

#define COUNTS_SYS		"/proc/sys/"
#define COUNTS_MOST		64	/* instances; enough for any engine */
#define COUNTS_SHARE_ROOT	4	/* of a uid that only this box has */
#define COUNTS_SOCKET_BYTES	212992	/* the kernel's usual */
#define COUNTS_FILES_SENT	272	/* of one message, and some more */
#define COUNTS_FILES_LEAST	256	/* descriptors; node takes some 30 */

/* For boxes of which kind. */
enum counts_when {
	COUNTS_USER	= 1 << 0,	/* a user namespace of its own */
	COUNTS_WALLS	= 1 << 1,	/* and not the host's files */
	COUNTS_NET	= 1 << 2,	/* a network of its own */
	COUNTS_NO_GROUP	= 1 << 3,	/* and nothing that holds its memory */
};

struct counts_row {
	const char	*path;
	unsigned	 when;
	const char	*limit;		/* the host's; NULL: value is set */
	const char	*value;
};

static const struct counts_row counts_rows[BROKER_COUNTS] = {
	{ COUNTS_SYS "user/max_inotify_instances", COUNTS_USER,
	    COUNTS_SYS "fs/inotify/max_user_instances", NULL },
	{ COUNTS_SYS "user/max_inotify_watches", COUNTS_USER,
	    COUNTS_SYS "fs/inotify/max_user_watches", NULL },
	{ COUNTS_SYS "user/max_fanotify_groups", COUNTS_USER,
	    COUNTS_SYS "fs/fanotify/max_user_groups", NULL },
	{ COUNTS_SYS "user/max_fanotify_marks", COUNTS_USER,
	    COUNTS_SYS "fs/fanotify/max_user_marks", NULL },
	/* the filter refuses them, too */
	{ COUNTS_SYS "user/max_user_namespaces", COUNTS_USER | COUNTS_WALLS,
	    NULL, "0" },
	/* what waits to be accepted is held by no descriptor */
	{ COUNTS_SYS "net/core/somaxconn", COUNTS_NET | COUNTS_NO_GROUP,
	    NULL, "128" },
	{ COUNTS_SYS "net/ipv4/tcp_wmem", COUNTS_NET | COUNTS_NO_GROUP,
	    NULL, "4096 16384 131072" },
	{ COUNTS_SYS "net/ipv4/tcp_rmem", COUNTS_NET | COUNTS_NO_GROUP,
	    NULL, "4096 65536 131072" },
};

static uint64_t
counts_read(const char *path, uint64_t otherwise)
{
	char		text[32];
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t		n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return otherwise;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

/* Of what the host gives one user: how much is this box's.  Boxes that could
 * not have one each have none. */
static uint64_t
counts_share(const struct broker *b, uint64_t all)
{
	unsigned	boxes = b->conf->boxes == 0 ? 1 : b->conf->boxes;

	return b->root ? all / COUNTS_SHARE_ROOT : all / 2 / boxes;
}

static void
counts_compose(const struct broker *b, const struct counts_row *row,
    char text[BROKER_COUNT_BYTES])
{
	uint64_t	all, n;

	text[0] = '\0';
	if (row->limit == NULL) {
		snprintf(text, BROKER_COUNT_BYTES, "%s", row->value);
		return;
	}
	/* an older kernel does not count this */
	if ((all = counts_read(row->limit, 0)) == 0)
		return;
	n = counts_share(b, all);
	/* watches and marks come by the thousand */
	if (n > COUNTS_MOST && all < 4096)
		n = COUNTS_MOST;
	snprintf(text, BROKER_COUNT_BYTES, "%llu", (unsigned long long)n);
}

void
counts_open(struct broker *b)
{
	struct rlimit	files;
	size_t		i;

	b->files_most = ~0U;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
	    files.rlim_cur < b->files_most)
		b->files_most = (unsigned)files.rlim_cur;
	if (b->files_most > 2 * COUNTS_FILES_SENT)
		b->files_most -= COUNTS_FILES_SENT;
	for (i = 0; i < BROKER_COUNTS; i++)
		counts_compose(b, &counts_rows[i], b->counts[i]);
	b->socket_bytes = counts_read(COUNTS_SYS "net/core/wmem_default",
	    COUNTS_SOCKET_BYTES);
	if (b->socket_bytes == 0)
		b->socket_bytes = COUNTS_SOCKET_BYTES;
}

static int
counts_write(const char *path, const char *text)
{
	int	fd = (int)CALL(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	long	n;

	/* an older kernel does not count this */
	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	n = CALL(write, fd, text, strlen(text));
	CALL(close, fd);
	return n == -1 ? -1 : 0;
}

int
counts_enter(const struct broker *b, unsigned flags)
{
	unsigned	is = 0;
	size_t		i;
	int		rc = 0;

	if (user_own(b, flags))
		is |= COUNTS_USER;
	if ((flags & APW_BOX_HOST_FILES) == 0)
		is |= COUNTS_WALLS;
	if ((flags & APW_BOX_OWN_NET) != 0)
		is |= COUNTS_NET;
	if (!cgroup_holds(b->cgroup, "memory"))
		is |= COUNTS_NO_GROUP;
	for (i = 0; i < BROKER_COUNTS; i++)
		if (b->counts[i][0] != '\0' &&
		    (counts_rows[i].when & ~is) == 0 &&
		    counts_write(counts_rows[i].path, b->counts[i]) == -1)
			rc = -1;
	return rc;
}

unsigned
counts_files(const struct broker *b, unsigned files, uint64_t memory_bytes)
{
	uint64_t	n = memory_bytes / 2 / b->socket_bytes;

	if (!b->root && files > b->files_most)
		files = b->files_most;
	if (memory_bytes == 0 || cgroup_holds(b->cgroup, "memory"))
		return files;
	if (n < COUNTS_FILES_LEAST)
		n = COUNTS_FILES_LEAST;
	return files < n ? files : (unsigned)n;
}
