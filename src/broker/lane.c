/* The lane: a small tmpfs that is /root of the box, and how the stock's
 * folders get into it.  Room: broker.
 *
 *	common/			engine and pieces, always there
 *	codes/FLOWVERSION/	only of the flow that was admitted, or
 *	codes/action-runs/NAME/	of the step that is run for itself
 *	custom_pieces/		only of the platform that was admitted
 *
 * The broker's copy is shared, the template's and with it the box's are
 * slaves of it and read-only: what is bound here appears in a running box
 * without entering it, and nothing done in there comes back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"
#include "core/apw_str.h"

#define LANE_ATTRS	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |	\
			MOUNT_ATTR_NODEV)

/* A folder of the stock, by name, and not through a link. */
int
lane_folder(int dir_fd, const char *name)
{
	struct open_how	how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
		    RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

static int
lane_bind(int from_fd, int to_fd, const char *name, struct apw_err *err)
{
	apw_autofd int	tree = mounts_clone(from_fd, "", false);

	if (tree == -1)
		return apw_err_set(err, errno, "cannot clone what is to be "
		    "at /root/%s", name);
	if (mounts_protect(tree, false, LANE_ATTRS) == -1)
		return apw_err_set(err, errno, "cannot protect /root/%s",
		    name);
	if (mounts_attach(tree, to_fd, name) == -1)
		return apw_err_set(err, errno, "cannot bind /root/%s", name);
	return 0;
}

static int
lane_folders(const struct broker *b, int lane_fd, struct apw_err *err)
{
	static const char *const	names[] = { "common", "codes",
					    "custom_pieces" };
	size_t				i;

	for (i = 0; i < APW_COUNT(names); i++)
		if (mkdirat(lane_fd, names[i], 0755) == -1)
			return apw_err_set(err, errno, "cannot make /root/%s",
			    names[i]);
	return lane_bind(b->common_fd, lane_fd, "common", err);
}

static int
lane_stock(const char *path, struct apw_err *err)
{
	int	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		apw_err_set(err, errno, "cannot open %s of the stock", path);
	return fd;
}

/* From now on what we mount is not in the namespace that engines with the
 * host's files get. */
static int
lane_leave_host(struct broker *b, struct apw_err *err)
{
	int	fd;

	if (unshare(CLONE_NEWNS) == -1 ||
	    (fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) == -1)
		return apw_err_set(err, errno,
		    "cannot make a mount namespace");
	close(b->home_fd);
	b->home_fd = fd;
	return 0;
}

/* Attached over the stock's own folder of codes, in our private namespace:
 * a place that exists everywhere; the folder below is reached by its
 * descriptor. */
int
lane_open(struct broker *b, struct apw_err *err)
{
	if (lane_leave_host(b, err) == -1)
		return -1;
	b->common_fd = lane_stock(b->conf->common, err);
	b->codes_fd = lane_stock(b->conf->codes, err);
	if (b->common_fd == -1 || b->codes_fd == -1)
		return -1;
	apw_autofd int lane_fd = mounts_tmpfs("256k", "1024", "0755");
	if (lane_fd == -1)
		return apw_err_set(err, errno, "cannot make a tmpfs");
	if (mounts_attach(lane_fd, b->codes_fd, "") == -1 ||
	    mounts_propagate(lane_fd, MS_SHARED) == -1)
		return apw_err_set(err, errno, "cannot attach a tmpfs");
	if (lane_folders(b, lane_fd, err) == -1)
		return -1;
	b->lane_fd = apw_take_fd(&lane_fd);
	return 0;
}

#define LANE_ACTIONS	"action-runs/"

/* A flow's code is in a folder; the code of a step that is of no flow in one
 * below a folder that is for these. */
bool
lane_is_name(uint32_t what, const char *id)
{
	const size_t	n = sizeof(LANE_ACTIONS) - 1;

	if (what == APW_ADMIT_FLOW && strncmp(id, LANE_ACTIONS, n) == 0)
		id += n;
	else if (what == APW_ADMIT_FLOW && strncmp(id, LANE_ACTIONS,
	    n - 1) == 0 && id[n - 1] == '\0')
		return false;		/* everybody's */
	return apw_str_is_segment(apw_str_c(id));
}

static void
lane_forget_flow(struct broker *b)
{
	char	path[4096 + BROKER_ID_BYTES];

	if (b->flow[0] == '\0')
		return;
	snprintf(path, sizeof(path), "%s/codes/%s", b->conf->codes, b->flow);
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	rmdir(path);
	b->flow[0] = '\0';
}

static void
lane_forget_custom(struct broker *b)
{
	char	path[4096];

	if (!b->custom)
		return;
	snprintf(path, sizeof(path), "%s/custom_pieces", b->conf->codes);
	umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	b->custom = false;
}

static int
lane_admit_flow(struct broker *b, const char *id, struct apw_err *err)
{
	char	name[sizeof(b->flow) + 8];

	/* also when it is the same: the stock may have made it anew */
	lane_forget_flow(b);
	apw_autofd int from = lane_folder(b->codes_fd, id);
	if (from == -1 && errno == ENOENT)
		return 0;
	if (from == -1)
		return apw_err_set(err, errno, "code of %s", id);
	snprintf(name, sizeof(name), "codes/%s", id);
	if (strchr(id, '/') != NULL &&
	    mkdirat(b->lane_fd, "codes/action-runs", 0755) == -1 &&
	    errno != EEXIST)
		return apw_err_set(err, errno, "cannot make "
		    "/root/codes/action-runs");
	if (mkdirat(b->lane_fd, name, 0755) == -1)
		return apw_err_set(err, errno, "cannot make /root/%s", name);
	snprintf(b->flow, sizeof(b->flow), "%s", id);
	if (lane_bind(from, b->lane_fd, name, err) == -1) {
		lane_forget_flow(b);
		return -1;
	}
	return 1;
}

static int
lane_admit_platform(struct broker *b, const char *id, struct apw_err *err)
{
	lane_forget_custom(b);
	if (b->conf->custom_pieces == NULL)
		return 0;
	apw_autofd int dir = open(b->conf->custom_pieces,
	    O_PATH | O_DIRECTORY | O_CLOEXEC);
	apw_autofd int from = dir == -1 ? -1 : lane_folder(dir, id);
	if (from == -1 && errno == ENOENT)
		return 0;
	if (from == -1)
		return apw_err_set(err, errno, "custom pieces of %s", id);
	if (lane_bind(from, b->lane_fd, "custom_pieces", err) == -1)
		return -1;
	b->custom = true;
	return 1;
}

int
lane_admit(struct broker *b, enum apw_admit what, const char *id,
    struct apw_err *err)
{
	return what == APW_ADMIT_FLOW ? lane_admit_flow(b, id, err) :
	    lane_admit_platform(b, id, err);
}

void
lane_clear(struct broker *b)
{
	lane_forget_flow(b);
	lane_forget_custom(b);
}
