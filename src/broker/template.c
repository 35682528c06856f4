/* The template: a mount namespace with all that boxes have in common, made
 * once.  Room: broker.
 *
 * A box is a copy of it, in a user namespace of its own: the kernel locks
 * every mount in the copy, so even an engine that won capabilities there
 * could not take one away or make it writable.  The host's /proc is in it
 * only because the kernel wants to see a full one before it allows another;
 * the box's own is mounted over it before anything else runs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

/* A small file is copied: each mount is paid for by each box, twice. */
enum template_kind { FOLDER, PLAIN_FILE, SMALL_FILE, DEVICE };
#define TEMPLATE_SMALL	(256 << 10)	/* bytes; others are bound */
#define OPTIONAL	true

struct template_bind {
	const char		*inside;	/* relative to / */
	const char		*host;		/* NULL: see template_own() */
	enum template_kind	 kind;
	bool			 optional;
};

static const struct template_bind template_binds[] = {
	{ "usr", "/usr", FOLDER },
	{ "proc", "/proc", FOLDER },
	{ "etc/ssl/certs", "/etc/ssl/certs", FOLDER, OPTIONAL },
	{ "etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf", SMALL_FILE, OPTIONAL },
	{ "etc/pki", "/etc/pki/tls/certs", FOLDER, OPTIONAL },
	{ "etc/alternatives", "/etc/alternatives", FOLDER, OPTIONAL },
	{ "etc/ld.so.cache", "/etc/ld.so.cache", SMALL_FILE, OPTIONAL },
	{ "etc/localtime", "/etc/localtime", SMALL_FILE, OPTIONAL },
	{ "etc/services", "/etc/services", SMALL_FILE, OPTIONAL },
	{ "etc/protocols", "/etc/protocols", SMALL_FILE, OPTIONAL },
	{ "dev/null", "/dev/null", DEVICE },
	{ "dev/zero", "/dev/zero", DEVICE },
	{ "dev/full", "/dev/full", DEVICE },
	{ "dev/random", "/dev/random", DEVICE },
	{ "dev/urandom", "/dev/urandom", DEVICE },
};
/* Folders of / that are links into /usr on some hosts, folders on others. */
static const char *const template_roots[] = { "bin", "sbin", "lib", "lib32",
    "lib64", "libx32" };
static const struct { const char *name, *target; } template_links[] = {
	{ "dev/fd", "/proc/self/fd" },
	{ "dev/stdin", "/proc/self/fd/0" },
	{ "dev/stdout", "/proc/self/fd/1" },
	{ "dev/stderr", "/proc/self/fd/2" },
	{ "dev/shm", "/tmp" },		/* so that it counts as /tmp does */
};

#define TEMPLATE_MAX	64

struct template_tree {
	const char		*inside;
	enum template_kind	 kind;
	int			 fd;	/* detached clone */
	int			 is_link;	/* then target is set */
	char			 target[PATH_MAX];
};

struct template {
	struct template_tree	trees[TEMPLATE_MAX];
	size_t			n;
};

static void
template_close(struct template *t)
{
	while (t->n > 0)
		if (t->trees[--t->n].fd != -1)
			close(t->trees[t->n].fd);
}

/* Devices must stay devices; nothing else may be one. */
static uint64_t
template_attrs(enum template_kind kind)
{
	return kind == DEVICE ? MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC :
	    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
}

/* false: not there, or too large to be copied. */
static bool
template_small(struct template *t, const char *inside, const char *host)
{
	struct template_tree	*tree = &t->trees[t->n];
	struct stat		 st;
	apw_autofd int		 fd = open(host, O_RDONLY | O_NONBLOCK |
				    O_CLOEXEC);

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > TEMPLATE_SMALL)
		return false;
	tree->inside = inside;
	tree->kind = SMALL_FILE;
	tree->fd = apw_take_fd(&fd);
	t->n++;
	return true;
}

static int
template_clone(struct template *t, const char *inside, const char *host,
    enum template_kind kind, bool optional, struct apw_err *err)
{
	struct template_tree	*tree = &t->trees[t->n];

	if (t->n == TEMPLATE_MAX)
		return apw_err_set(err, E2BIG, "too many mounts for a box");
	if (kind == SMALL_FILE && template_small(t, inside, host))
		return 0;
	tree->fd = mounts_clone(AT_FDCWD, host, true);
	if (tree->fd == -1 && optional && (errno == ENOENT ||
	    errno == EACCES || errno == ENOTDIR))
		return 0;
	if (tree->fd == -1)
		return apw_err_set(err, errno, "cannot clone %s", host);
	tree->inside = inside;
	tree->kind = kind;
	t->n++;
	/* the host's /proc must look complete, and is covered in each box */
	if (strcmp(inside, "proc") != 0 &&
	    mounts_protect(tree->fd, true, template_attrs(kind)) == -1)
		return apw_err_set(err, errno, "cannot protect %s", host);
	return 0;
}

static int
template_clone_root(struct template *t, const char *name, struct apw_err *err)
{
	struct template_tree	*tree = &t->trees[t->n];
	char			 path[16];
	ssize_t			 n;

	snprintf(path, sizeof(path), "/%s", name);
	n = readlink(path, tree->target, sizeof(tree->target) - 1);
	if (n == -1)
		return template_clone(t, name, path, FOLDER, true, err);
	tree->target[n] = '\0';
	tree->inside = name;
	tree->is_link = 1;
	tree->fd = -1;
	t->n++;
	return 0;
}

bool
apw_box_in_usr(const char *path)
{
	return strncmp(path, "/usr/", 5) == 0;
}

static int
template_clone_own(struct template *t, const struct apw_broker_conf *conf,
    struct apw_err *err)
{
	if (conf->node != NULL && !apw_box_in_usr(conf->node) &&
	    template_clone(t, &APW_BOX_NODE[1], conf->node, PLAIN_FILE, false,
	    err) == -1)
		return -1;
	if (conf->node_modules != NULL &&
	    !apw_box_in_usr(conf->node_modules) &&
	    template_clone(t, &APW_BOX_NODE_MODULES[1], conf->node_modules,
	    FOLDER, false, err) == -1)
		return -1;
	if (conf->deno != NULL && !apw_box_in_usr(conf->deno) &&
	    template_clone(t, &APW_BOX_DENO[1], conf->deno, PLAIN_FILE, false,
	    err) == -1)
		return -1;
	return conf->ca_file == NULL ? 0 : template_clone(t,
	    &APW_BOX_CA_FILE[1], conf->ca_file, PLAIN_FILE, false, err);
}

/* Is it in something that is there already? */
static bool
template_covers(const struct template *t, const char *path)
{
	const char	*inside;
	size_t		 i, n;

	for (i = 0; i < t->n; i++) {
		inside = t->trees[i].inside;
		n = strlen(inside);
		if (strncmp(path + 1, inside, n) == 0 &&
		    (path[n + 1] == '/' || path[n + 1] == '\0'))
			return true;
	}
	return false;
}

/* At the same place as on the host; a link stays one, for what looks for
 * its neighbours where it really is. */
static int
template_clone_read(struct template *t, const char *path, struct apw_err *err)
{
	struct template_tree	*tree = &t->trees[t->n];
	struct stat		 st;

	if (path[0] != '/' || path[1] == '\0' || template_covers(t, path) ||
	    lstat(path, &st) == -1)
		return 0;
	if (!S_ISLNK(st.st_mode))
		return !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) ? 0 :
		    template_clone(t, path + 1, path, S_ISDIR(st.st_mode) ?
		    FOLDER : PLAIN_FILE, true, err);
	if (t->n == TEMPLATE_MAX)
		return apw_err_set(err, E2BIG, "too many mounts for a box");
	if (realpath(path, tree->target) == NULL)
		return 0;
	tree->inside = path + 1;
	tree->is_link = 1;
	tree->fd = -1;
	t->n++;
	return template_clone_read(t, tree->target, err);
}

static int
template_clone_reads(struct template *t, const char *const *reads,
    struct apw_err *err)
{
	for (; *reads != NULL; reads++)
		if (template_clone_read(t, *reads, err) == -1)
			return -1;
	return 0;
}

static int
template_clone_all(struct template *t, const struct broker *b,
    struct apw_err *err)
{
	const struct template_bind	*m;
	size_t				 i;

	for (i = 0; i < APW_COUNT(template_binds); i++) {
		m = &template_binds[i];
		/* mapped shared it is memory that no rlimit counts */
		if (strcmp(m->inside, "dev/zero") == 0 &&
		    !cgroup_holds(b->cgroup, "memory"))
			continue;
		if (template_clone(t, m->inside, m->host, m->kind, m->optional,
		    err) == -1)
			return -1;
	}
	for (i = 0; i < APW_COUNT(template_roots); i++)
		if (template_clone_root(t, template_roots[i], err) == -1)
			return -1;
	return b->conf->builds ? template_clone_reads(t, b->conf->reads, err) :
	    template_clone_own(t, b->conf, err);
}

/* With the permissions it has: who may not read it there may not here. */
static int
template_copy(int root_fd, const struct template_tree *tree)
{
	struct stat	st;
	ssize_t		n;
	apw_autofd int	fd = openat(root_fd, tree->inside, O_WRONLY |
			    O_CLOEXEC);

	if (fd == -1 || fstat(tree->fd, &st) == -1 ||
	    fchmod(fd, st.st_mode & 0777) == -1)
		return -1;
	while ((n = sendfile(fd, tree->fd, NULL, TEMPLATE_SMALL)) > 0)
		;
	return n == 0 ? 0 : -1;
}

static int
template_attach(int root_fd, const struct template_tree *tree,
    struct apw_err *err)
{
	if (tree->is_link) {
		if (mounts_place(root_fd, tree->inside, false) == -1 ||
		    unlinkat(root_fd, tree->inside, 0) == -1 ||
		    symlinkat(tree->target, root_fd, tree->inside) == -1)
			return apw_err_set(err, errno, "cannot link /%s",
			    tree->inside);
		return 0;
	}
	if (mounts_place(root_fd, tree->inside, tree->kind == FOLDER) == -1)
		return apw_err_set(err, errno, "cannot make /%s of a box",
		    tree->inside);
	if ((tree->kind == SMALL_FILE ? template_copy(root_fd, tree) :
	    mounts_attach(tree->fd, root_fd, tree->inside)) == -1)
		return apw_err_set(err, errno, "cannot attach /%s of a box",
		    tree->inside);
	return 0;
}

static int
template_fill(int root_fd, int lane_fd, const struct template *t,
    struct apw_err *err)
{
	static const char *const	folders[] = { "etc", "dev", "tmp",
					    "root", "box" };
	static const char *const	builders[] = { "etc", "dev", "tmp",
					    "build", "cache" };
	const char *const		*names = lane_fd != -1 ? folders :
					    builders;
	size_t				i;

	for (i = 0; i < APW_COUNT(folders); i++)
		if (mounts_place(root_fd, names[i], true) == -1)
			return apw_err_set(err, errno,
			    "cannot make /%s of a box", names[i]);
	for (i = 0; i < APW_COUNT(template_links); i++)
		if (symlinkat(template_links[i].target, root_fd,
		    template_links[i].name) == -1)
			return apw_err_set(err, errno, "cannot link /%s",
			    template_links[i].name);
	if (etc_write(root_fd, err) == -1)
		return -1;
	for (i = 0; i < t->n; i++)
		if (template_attach(root_fd, &t->trees[i], err) == -1)
			return -1;
	if (lane_fd != -1 && mounts_attach(lane_fd, root_fd, "root") == -1)
		return apw_err_set(err, errno, "cannot attach /root of a box");
	return 0;
}

/* In a namespace that is to become the template. */
static int
template_build(struct broker *b, const struct template *t, int lane_fd,
    struct apw_err *err)
{
	apw_autofd int	root_fd = mounts_tmpfs("3m", "1024", "0755");

	/* or taking the old tree away would, through our copy of the lane,
	 * also take from the template what is mounted in there */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return apw_err_set(err, errno, "cannot make mounts private");
	if (root_fd == -1)
		return apw_err_set(err, errno, "cannot make a box's root");
	/* /proc is a folder that is everywhere, and cloned already */
	if (mounts_attach(root_fd, AT_FDCWD, "/proc") == -1)
		return apw_err_set(err, errno, "cannot attach a box's root");
	if (template_fill(root_fd, lane_fd, t, err) == -1)
		return -1;
	if (mounts_protect(root_fd, false, MOUNT_ATTR_RDONLY |
	    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) == -1)
		return apw_err_set(err, errno, "cannot protect a box's root");
	if (fchdir(root_fd) == -1 ||
	    syscall(SYS_pivot_root, ".", ".") == -1 ||
	    umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
		return apw_err_set(err, errno, "cannot pivot to a box's root");
	b->template_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return b->template_fd != -1 ? 0 :
	    apw_err_set(err, errno, "cannot hold the boxes' namespace");
}

static int
template_lane(struct broker *b, struct apw_err *err)
{
	if (b->lane_fd == -1 && lane_open(b, err) == -1)
		return -1;
	apw_autofd int fd = mounts_clone(b->lane_fd, "", true);
	if (fd == -1 || mounts_propagate(fd, MS_SLAVE) == -1 ||
	    mounts_protect(fd, true, MOUNT_ATTR_RDONLY |
	    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) == -1)
		return apw_err_set(err, errno, "cannot clone the lane");
	return apw_take_fd(&fd);
}

static int
template_assemble(struct broker *b, struct template *t, struct apw_err *err)
{
	int	rc = -1;

	apw_autofd int lane_fd = -1;
	if (!b->conf->builds && (lane_fd = template_lane(b, err)) == -1)
		return -1;
	if (template_clone_all(t, b, err) == -1)
		return -1;
	if (unshare(CLONE_NEWNS) == -1)
		apw_err_set(err, errno, "cannot make a mount namespace");
	else
		rc = template_build(b, t, lane_fd, err);
	if (setns(b->home_fd, CLONE_NEWNS) == -1)
		return apw_err_set(err, errno,
		    "cannot return from the boxes' namespace");
	return rc;
}

int
template_make(struct broker *b, struct apw_err *err)
{
	struct template	*t;
	int		 rc;

	if (b->template_fd != -1)
		return 0;
	/* not on the stack: each page that was written once would be copied
	 * for each box, for good */
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return apw_err_set(err, ENOMEM, "cannot make a template");
	rc = template_assemble(b, t, err);
	template_close(t);
	free(t);
	return rc;
}
