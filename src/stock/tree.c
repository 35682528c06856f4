/* Removal of a whole tree, never through a link.  Room: stock, keeper: it
 * may take long, so the slot must not call it. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define TREE_DEPTH_MAX	200	/* descriptors; deeper ones stay and are swept again */

static void tree_remove(int dir_fd, const char *name, unsigned depth);

static void
tree_empty(int fd, unsigned depth)
{
	DIR		*dir = fdopendir(fd);	/* takes the descriptor */
	struct dirent	*e;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			tree_remove(dirfd(dir), e->d_name, depth + 1);
	closedir(dir);
}

static void
tree_remove(int dir_fd, const char *name, unsigned depth)
{
	int	fd;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return;
	if (depth > TREE_DEPTH_MAX)
		return;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd == -1 && errno == EACCES &&
	    fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	if (fd == -1)
		return;
	fchmod(fd, 0700);	/* a package may have made it read-only */
	tree_empty(fd, depth);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void
stock_tree_remove(int dir_fd, const char *name)
{
	tree_remove(dir_fd, name, 0);
}
