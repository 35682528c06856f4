/* Boxes that keep the host's files: engines of the modes that fork.  Room:
 * broker, before and after clone.
 *
 * Such an engine is an ordinary process of the slot's user, but what it
 * starts lives in a pid namespace and ends with it, whatever it does; it
 * sees no process outside, where /proc can be mounted anew; and it can have
 * an empty network of its own.  No box's walls stand between it and the
 * host's files: Landlock's do, when it is hardened.  What Landlock does not
 * know (modes, owners, times, attributes) ends at mounts that are read-only,
 * and of the stock's code only what was admitted is there. */
#include <errno.h>
#include <grp.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

static bool
host_has_walls(const struct broker *b, unsigned flags)
{
	return (flags & APW_BOX_HARDEN) != 0 && b->host_proc && b->host_walls;
}

int
host_prepare(struct broker *b, unsigned flags, struct apw_err *err)
{
	if ((flags & APW_BOX_HARDEN) == 0)
		return 0;
	if (host_has_walls(b, flags) && b->lane_fd == -1 &&
	    (b->conf->host_tmp == NULL || lane_open(b, err) == -1))
		b->host_walls = false;
	if (b->host_filter.filter != NULL)
		return 0;
	return filter_compile(FILTER_BOX, &b->host_filter, err);
}

/* A copy of the lane's codes, which follows it.  To Landlock it is another
 * folder than the stock's. */
int
host_codes(struct broker *b, struct box_plan *plan, struct apw_err *err)
{
	char	path[32];

	plan->codes_fd = -1;
	if (!host_has_walls(b, plan->flags))
		return 0;
	apw_autofd int fd = mounts_clone(b->lane_fd, "codes", true);
	if (fd == -1 || mounts_propagate(fd, MS_SLAVE) == -1)
		return apw_err_set(err, errno, "cannot clone the lane");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (plan->rules_fd != -1)
		landlock_allow(plan->rules_fd, path, LANDLOCK_READ);
	plan->codes_fd = apw_take_fd(&fd);
	return 0;
}

/* All that is mounted is read-only, but for the engine's own folder. */
static int
host_walls(const struct box_plan *plan)
{
	const struct apw_broker_conf	*c = plan->b->conf;
	struct mount_attr		 ro = { .attr_set = MOUNT_ATTR_RDONLY };
	apw_autofd int			 tmp = mounts_clone(AT_FDCWD,
					     c->host_tmp, false);

	/* a trial comes before the folder */
	if (tmp == -1 && !(plan->trial && errno == ENOENT))
		return -1;
	if (mounts_attach(plan->codes_fd, AT_FDCWD, c->codes) == -1 ||
	    mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &ro, sizeof(ro)) == -1)
		return -1;
	return tmp == -1 ? 0 : mounts_attach(tmp, AT_FDCWD, c->host_tmp);
}

/* As root the uid is the slot's own and no namespace stands between; else
 * the namespace's one uid is the one that we have already. */
static void
host_user(const struct box_plan *plan)
{
	const struct apw_broker_conf	*c = plan->b->conf;

	if (!plan->b->root)
		return;
	caps_drop_bounds();
	if (setgroups(c->host_ngroups, c->host_groups) == -1 ||
	    setresgid(c->host_gid, c->host_gid, c->host_gid) == -1 ||
	    setresuid(c->host_uid, c->host_uid, c->host_uid) == -1)
		inside_fail(plan, BOX_USER);
}

void
host_enter(const struct box_plan *plan)
{
	counts_enter(plan->b, plan->flags);
	/* read-only, as a box's: a container may have its own that way */
	if (plan->b->host_proc && mount("proc", "/proc", "proc", MS_NOSUID |
	    MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) == -1)
		inside_fail(plan, BOX_PROC);
	if (plan->codes_fd != -1 && host_walls(plan) == -1)
		inside_fail(plan, BOX_WALLS);
	host_user(plan);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) == -1 &&
	    errno != ENOSYS && errno != EPERM)
		inside_fail(plan, BOX_KEYRING);
}
