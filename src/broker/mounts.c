/* The kernel's mount API in the few shapes that boxes need.  Room: broker.
 * Trees are cloned detached, made harmless, and only then attached. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

int
mounts_clone(int dir_fd, const char *path, bool recursive)
{
	unsigned	flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

	if (recursive)
		flags |= AT_RECURSIVE;
	if (*path == '\0')
		flags |= AT_EMPTY_PATH;
	return open_tree(dir_fd, path, flags);
}

int
mounts_protect(int fd, bool recursive, uint64_t attrs)
{
	struct mount_attr	a = { .attr_set = attrs };

	return mount_setattr(fd, "", AT_EMPTY_PATH |
	    (recursive ? AT_RECURSIVE : 0), &a, sizeof(a));
}

int
mounts_propagate(int fd, uint64_t kind)
{
	struct mount_attr	a = { .propagation = kind };

	return mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a,
	    sizeof(a));
}

int
mounts_attach(int fd, int dir_fd, const char *path)
{
	return move_mount(fd, "", dir_fd, path, MOVE_MOUNT_F_EMPTY_PATH |
	    (*path == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0));
}

int
mounts_tmpfs(const char *size, const char *files, const char *mode)
{
	apw_autofd int	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs == -1 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) == -1 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", files, 0) == -1 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) == -1 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID |
	    MOUNT_ATTR_NODEV);
}

/* What the namespace's first user is inside is on the disk what it is
 * outside. */
int
mounts_idmap(int fd, int user_fd)
{
	struct mount_attr	a = { .attr_set = MOUNT_ATTR_IDMAP,
				    .userns_fd = (uint64_t)user_fd };

	return mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a));
}

int
mounts_place(int root_fd, const char *path, bool folder)
{
	char		 part[PATH_MAX];
	char		*slash;
	struct stat	 st;
	int		 fd;

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(part, path);
	for (slash = strchr(part + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(root_fd, part, 0755) == -1 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	if (folder)
		return mkdirat(root_fd, path, 0755) == -1 && errno != EEXIST ?
		    -1 : 0;
	/* in something read-only that has been attached, or attached itself */
	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? (errno = EISDIR, -1) : 0;
	fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0644);
	if (fd != -1)
		close(fd);
	return fd == -1 ? -1 : 0;
}
