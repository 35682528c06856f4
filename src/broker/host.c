/* Boxes that keep the host's files: engines of the modes that fork.  Room:
 * broker, before and after clone.
 *
 * Such an engine is an ordinary process of the slot's user, but what it
 * starts lives in a pid namespace and ends with it, whatever it does; it
 * sees no process outside, where /proc can be mounted anew; and it can have
 * an empty network of its own.  No box's walls stand between it and the
 * host's files: Landlock's do, when it is hardened. */
#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "broker/broker_priv.h"

int
host_prepare(struct broker *b, unsigned flags, struct apw_err *err)
{
	if ((flags & APW_BOX_HARDEN) == 0 || b->host_filter.filter != NULL)
		return 0;
	return filter_compile(FILTER_BOX, &b->host_filter, err);
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
	/* read-only, as a box's: a container may have its own that way */
	if (plan->b->host_proc && mount("proc", "/proc", "proc", MS_NOSUID |
	    MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) == -1)
		inside_fail(plan, BOX_PROC);
	host_user(plan);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) == -1 &&
	    errno != ENOSYS && errno != EPERM)
		inside_fail(plan, BOX_KEYRING);
}
