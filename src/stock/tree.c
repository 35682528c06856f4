/* Removal of a whole tree, never through a link, however deep it is.  Room:
 * stock, in a process of its own: it may take long, so the slot must not call
 * it. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#define TREE_DEPTH_MAX	40	/* descriptors at once */

struct removal {
	int		top_fd;		/* owned; of the tree itself; -1: not yet */
	uint64_t	mark;		/* in names that nobody has guessed */
	unsigned	deep;		/* folders moved up, in all rounds */
};

static void tree_remove(struct removal *, int dir_fd, const char *name,
    unsigned depth);

static void
tree_empty(struct removal *r, int fd, unsigned depth)
{
	DIR		*dir = fdopendir(fd);	/* takes the descriptor */
	struct dirent	*e;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			tree_remove(r, dirfd(dir), e->d_name, depth + 1);
	closedir(dir);
}

/* What is too deep goes up to the tree's top, for the next round. */
static void
tree_lift(struct removal *r, int dir_fd, const char *name)
{
	char	to[64];

	snprintf(to, sizeof(to), ".deep-%016llx-%u",
	    (unsigned long long)r->mark, r->deep);
	if (fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == -1) {
		/* the next line will tell */
	}
	if (renameat(dir_fd, name, r->top_fd, to) == 0)
		r->deep++;
}

static void
tree_remove(struct removal *r, int dir_fd, const char *name, unsigned depth)
{
	int	fd;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return;
	if (depth > TREE_DEPTH_MAX) {
		tree_lift(r, dir_fd, name);
		return;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd == -1 && errno == EACCES &&
	    fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	/* fewer descriptors than that */
	if (fd == -1 && depth > 0 && (errno == EMFILE || errno == ENFILE))
		tree_lift(r, dir_fd, name);
	if (fd == -1)
		return;
	fchmod(fd, 0700);	/* a package may have made it read-only */
	if (depth == 0)
		r->top_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	tree_empty(r, fd, depth);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void
stock_tree_remove(int dir_fd, const char *name)
{
	struct removal	r = { .deep = 0 };
	unsigned	before;

	if (getrandom(&r.mark, sizeof(r.mark), 0) != sizeof(r.mark))
		r.mark = (uint64_t)getpid();
	/* each round takes so many levels off all that is there */
	do {
		before = r.deep;
		r.top_fd = -1;
		tree_remove(&r, dir_fd, name, 0);
		if (r.top_fd != -1)
			close(r.top_fd);
	} while (r.deep != before);
}

void
apw_stock_tree_remove(int dir_fd, const char *name)
{
	stock_tree_remove(dir_fd, name);
}
