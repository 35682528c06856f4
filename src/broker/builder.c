/* Boxes of installers and bundlers: what they write.  Room: broker, before
 * and after clone.
 *
 *	/build		the one folder of the stock's staging that is theirs
 *	/cache		the package cache, when they are to have it
 *	/tmp		their own, with a size
 *
 * All else is the template's, read-only.  As root a builder has a uid that
 * owns nothing on the host, and the mounts above are idmapped: what is the
 * slot's on the disk is the builder's in there, and the other way round.
 * Where the file system does not know such mounts builders have the slot's
 * uid, if that is not root's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"
#include "core/apw_str.h"

#define BUILDER_READS	32		/* tools that live below /tmp */

static int
builder_clone(const struct broker *b, int dir_fd, const char *what,
    struct apw_err *err)
{
	apw_autofd int	fd = mounts_clone(dir_fd, "", false);

	if (fd == -1 || mounts_protect(fd, false, MOUNT_ATTR_NOSUID |
	    MOUNT_ATTR_NODEV) == -1)
		return apw_err_set(err, errno, "cannot clone %s", what);
	if (b->idmap_fd != -1 && mounts_idmap(fd, b->idmap_fd) == -1)
		return apw_err_set(err, errno, "cannot map the owner of %s",
		    what);
	return apw_take_fd(&fd);
}

static int
builder_idmap(struct broker *b, struct apw_err *err)
{
	int	fd;

	if (!b->root || (b->idmap_fd = user_idmap(b, err)) == -1)
		return b->root ? -1 : 0;
	if ((fd = builder_clone(b, b->staging_fd, b->conf->staging,
	    err)) != -1) {
		close(fd);
		return 0;
	}
	if (b->conf->host_uid == 0)
		return -1;
	close(b->idmap_fd);
	b->idmap_fd = -1;
	b->outer_uid = b->conf->host_uid;
	b->outer_gid = b->conf->host_gid;
	return 0;
}

int
builder_open(struct broker *b, struct apw_err *err)
{
	const struct apw_broker_conf	*c = b->conf;
	const int			 how = O_PATH | O_DIRECTORY | O_CLOEXEC;

	if ((b->staging_fd = open(c->staging, how)) == -1)
		return apw_err_set(err, errno, "cannot open %s", c->staging);
	if (c->cache != NULL && (b->cache_fd = open(c->cache, how)) == -1)
		return apw_err_set(err, errno, "cannot open %s", c->cache);
	return builder_idmap(b, err);
}

int
builder_place(struct broker *b, struct box_plan *plan, const char *name,
    struct apw_err *err)
{
	if (memchr(name, '\0', BROKER_ID_BYTES) == NULL ||
	    !apw_str_is_segment(apw_str_c(name)))
		return apw_err_set(err, EPROTO, "what is built in is no name "
		    "of a folder");
	apw_autofd int from = lane_folder(b->staging_fd, name);
	if (from == -1)
		return apw_err_set(err, errno, "cannot open %s/%s",
		    b->conf->staging, name);
	plan->build_fd = builder_clone(b, from, name, err);
	if (plan->build_fd == -1)
		return -1;
	if ((plan->flags & APW_BOX_CACHE) == 0 || b->cache_fd == -1)
		return 0;
	plan->cache_fd = builder_clone(b, b->cache_fd, b->conf->cache, err);
	if (plan->cache_fd == -1)
		builder_place_close(plan);
	return plan->cache_fd == -1 ? -1 : 0;
}

void
builder_place_close(struct box_plan *plan)
{
	if (plan->build_fd != -1)
		close(plan->build_fd);
	if (plan->cache_fd != -1)
		close(plan->cache_fd);
	plan->build_fd = plan->cache_fd = -1;
}

/* Something of the template that lies below /tmp. */
struct builder_thing {
	const char	*path;
	int		 fd;		/* detached clone; of a link: O_PATH */
	bool		 is_link;
	int		 target_fd;	/* where it leads to, below /tmp; or -1 */
};

static bool
builder_in_tmp(const char *path)
{
	return strncmp(path, "/tmp/", 5) == 0;
}

/* Is it in a folder that is there already? */
static bool
builder_covered(const struct builder_thing *things, size_t n, const char *path)
{
	size_t	i, len;

	for (i = 0; i < n; i++) {
		len = strlen(things[i].path);
		if (strncmp(path, things[i].path, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

/* The template's links lead to where things really are. */
static ssize_t
builder_target(int link_fd, char target[PATH_MAX])
{
	ssize_t	n = readlinkat(link_fd, "", target, PATH_MAX - 1);

	target[n > 0 ? n : 0] = '\0';
	return n;
}

/* false: there is no such thing in the template. */
static bool
builder_take(struct builder_thing *t, const char *path)
{
	char		target[PATH_MAX];
	struct stat	st;

	*t = (struct builder_thing){ .path = path, .target_fd = -1 };
	if (lstat(path, &st) == -1)
		return false;
	t->is_link = S_ISLNK(st.st_mode);
	t->fd = t->is_link ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) :
	    mounts_clone(AT_FDCWD, path, true);
	if (t->is_link && t->fd != -1 && builder_target(t->fd, target) > 0 &&
	    builder_in_tmp(target))
		t->target_fd = mounts_clone(AT_FDCWD, target, true);
	return t->fd != -1;
}

static int
builder_put_back(int fd, const char *path)
{
	struct stat	st;

	return fstat(fd, &st) == -1 || mounts_place(AT_FDCWD, path,
	    S_ISDIR(st.st_mode)) == -1 ? -1 :
	    mounts_attach(fd, AT_FDCWD, path);
}

static int
builder_put(const struct builder_thing *t)
{
	char	target[PATH_MAX];
	int	rc;

	if (!t->is_link)
		return builder_put_back(t->fd, t->path);
	if (builder_target(t->fd, target) <= 0 ||
	    mounts_place(AT_FDCWD, t->path, false) == -1 ||
	    unlink(t->path) == -1 || symlink(target, t->path) == -1)
		return -1;
	rc = t->target_fd == -1 ? 0 : builder_put_back(t->target_fd, target);
	if (t->target_fd != -1)
		close(t->target_fd);
	return rc;
}

/* What the template has below /tmp stays there. */
static void
builder_tmp(const struct box_plan *plan, const char *options)
{
	const char *const	*r = plan->b->conf->reads;
	struct builder_thing	 things[BUILDER_READS];
	size_t			 n = 0, i;

	for (; *r != NULL && n < BUILDER_READS; r++)
		if (builder_in_tmp(*r) && !builder_covered(things, n, *r) &&
		    builder_take(&things[n], *r))
			n++;
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV,
	    options) == -1)
		inside_fail(plan, BOX_TMP);
	for (i = 0; i < n; i++) {
		if (builder_put(&things[i]) == -1)
			inside_fail(plan, BOX_PLACES);
		close(things[i].fd);
	}
}

void
builder_enter(const struct box_plan *plan, const char *tmp_options)
{
	builder_tmp(plan, tmp_options);
	if ((plan->build_fd != -1 && mounts_attach(plan->build_fd, AT_FDCWD,
	    APW_BOX_BUILD) == -1) || (plan->cache_fd != -1 && mounts_attach(
	    plan->cache_fd, AT_FDCWD, APW_BOX_CACHE_DIR) == -1))
		inside_fail(plan, BOX_PLACES);
}
