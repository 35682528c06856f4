/* Who the broker is, and who its boxes are.  Room: broker.
 *
 * As root each box is a user namespace of its own whose one uid is the
 * slot's, a number that owns nothing on the host.  As an ordinary user the
 * broker enters a user namespace first, for the privileges that mounting
 * takes, and boxes are nested in it: their one uid is ours, outside. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif

static int
user_write(const char *path, const char *text)
{
	apw_autofd int	fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t		n = (ssize_t)strlen(text);

	return fd != -1 && write(fd, text, (size_t)n) == n ? 0 : -1;
}

static int
user_deny_groups(const char *who, struct apw_err *err)
{
	char	path[64];

	snprintf(path, sizeof(path), "/proc/%s/setgroups", who);
	return user_write(path, "deny") == 0 ? 0 :
	    apw_err_set(err, errno, "cannot close %s", path);
}

/* "self" or a pid; one uid and one gid. */
static int
user_write_maps(const char *who, unsigned inner_uid, unsigned outer_uid,
    unsigned inner_gid, unsigned outer_gid, struct apw_err *err)
{
	char	path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%s/uid_map", who);
	snprintf(text, sizeof(text), "%u %u 1", inner_uid, outer_uid);
	if (user_write(path, text) == -1)
		return apw_err_set(err, errno, "cannot write %s", path);
	snprintf(path, sizeof(path), "/proc/%s/gid_map", who);
	snprintf(text, sizeof(text), "%u %u 1", inner_gid, outer_gid);
	if (user_write(path, text) == -1)
		return apw_err_set(err, errno, "cannot write %s", path);
	return 0;
}

static int
user_enter_root(struct apw_err *err)
{
	if (setgroups(0, NULL) == -1)
		return apw_err_set(err, errno, "cannot drop groups");
	if (unshare(CLONE_NEWNS) == -1)
		return apw_err_set(err, errno,
		    "cannot make a mount namespace");
	return caps_broker() == 0 ? 0 :
	    apw_err_set(err, errno, "cannot drop capabilities");
}

static int
user_enter_own(struct broker *b, struct apw_err *err)
{
	unsigned	uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1)
		return apw_err_set(err, errno,
		    "cannot make a user namespace");
	/* the new credentials closed our files in /proc to us */
	prctl(PR_SET_DUMPABLE, 1);
	b->outer_uid = 0;
	b->outer_gid = 0;
	/* also for the namespaces in this one */
	if (user_deny_groups("self", err) == -1)
		return -1;
	return user_write_maps("self", 0, uid, 0, gid, err);
}

/* Root of a container may be a user namespace's, without the uids that boxes
 * are to have: then it is an ordinary user to us. */
static bool
user_mapped(unsigned long id)
{
	unsigned long	 inside, outside, count;
	bool		 found = false;
	FILE		*f = fopen("/proc/self/uid_map", "re");

	while (f != NULL && !found &&
	    fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3)
		found = id >= inside && id - inside < count;
	if (f != NULL)
		fclose(f);
	return found;
}

int
user_enter(struct broker *b, struct apw_err *err)
{
	b->outer_uid = b->conf->uid != 0 ? b->conf->uid :
	    APW_BROKER_FIRST_UID + b->conf->slot;
	b->outer_gid = b->conf->gid != 0 ? b->conf->gid :
	    APW_BROKER_FIRST_UID + b->conf->slot;
	b->root = geteuid() == 0 && caps_have_admin() &&
	    user_mapped(b->outer_uid);
	if ((b->root ? user_enter_root(err) : user_enter_own(b, err)) == -1)
		return -1;
	/* what we mount is seen by nobody else, and what others mount from
	 * now on is not seen by us */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return apw_err_set(err, errno, "cannot make mounts private");
	b->home_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	b->host_fd = dup(b->home_fd);
	if (b->home_fd == -1 || b->host_fd == -1)
		return apw_err_set(err, errno, "cannot hold /proc/self/ns/mnt");
	return 0;
}

/* It is only ever held by its descriptor: the process goes at once. */
int
user_idmap(const struct broker *b, struct apw_err *err)
{
	char	who[16], path[48], ready;
	int	go[2], fd = -1;
	pid_t	pid;

	if (pipe2(go, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe");
	apw_autofd int go_r = go[0];
	if ((pid = fork()) == 0) {
		if (unshare(CLONE_NEWUSER) == 0 && write(go[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(go[1]);
	snprintf(who, sizeof(who), "%d", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (pid == -1 || read(go_r, &ready, 1) != 1)
		apw_err_set(err, errno, "cannot make a user namespace");
	else if ((!b->root || user_deny_groups(who, err) == 0) &&
	    user_write_maps(who, b->conf->host_uid, b->outer_uid,
	    b->conf->host_gid, b->outer_gid, err) == 0 &&
	    (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		apw_err_set(err, errno, "cannot hold %s", path);
	if (pid != -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return fd;
}

bool
user_own(const struct broker *b, unsigned flags)
{
	return !b->root || (flags & APW_BOX_HOST_FILES) == 0;
}

/* The score is inherited: ours is theirs for the time of a clone, which is
 * less work than to find the new process in /proc. */
void
user_oom_open(struct broker *b)
{
	ssize_t	n;

	b->oom_fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	n = b->oom_fd == -1 ? -1 : pread(b->oom_fd, b->oom_score,
	    sizeof(b->oom_score) - 1, 0);
	b->oom_score[n > 0 ? n : 0] = '\0';
}

void
user_oom(const struct broker *b, bool first)
{
	const char	*score = first ? "1000" : b->oom_score;

	/* without it engines are as likely to go as others */
	if (b->oom_score[0] != '\0' &&
	    pwrite(b->oom_fd, score, strlen(score), 0) == -1)
		return;
}

/* Whoever makes a user namespace is its owner, and what is counted in there
 * is also counted as the owner's outside.  A change of the effective uid
 * clears effective capabilities, and what ties us to our slot. */
void
user_clone_as(const struct broker *b, bool box)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	caps[_LINUX_CAPABILITY_U32S_3];
	const unsigned			none = (unsigned)-1;

	if (!b->root)
		return;
	/* by calls: the library's are for all threads, and for sanitizers */
	if (syscall(SYS_capget, &head, caps) == -1 || syscall(SYS_setresuid,
	    none, box ? b->outer_uid : 0, none) == -1)
		return;		/* then it counts as root's */
	/* the change dropped them */
	if (syscall(SYS_capset, &head, caps) == -1)
		return;		/* and the clone says so, or the next step */
	prctl(PR_SET_DUMPABLE, 1);
	if (!box)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
}

int
user_map(const struct broker *b, unsigned flags, pid_t pid,
    struct apw_err *err)
{
	char	who[16];

	if (!user_own(b, flags))
		return 0;
	snprintf(who, sizeof(who), "%d", (int)pid);
	/* Groups of its namespace are denied where our own namespace's are; as
	 * root we have none that a box could give up, and it has no privilege
	 * to change them. */
	/* who it is outside is who it is inside: files are its own */
	if ((flags & APW_BOX_HOST_FILES) != 0)
		return user_write_maps(who, b->conf->host_uid, b->outer_uid,
		    b->conf->host_gid, b->outer_gid, err);
	return user_write_maps(who, BOX_UID, b->outer_uid, BOX_GID,
	    b->outer_gid, err);
}

uint64_t
user_time(void)
{
	static int	known = -1;

	if (known == -1)
		known = access("/proc/self/ns/time", F_OK) == 0;
	return known ? CLONE_NEWTIME : 0;
}
