/* The syscall filter, by libseccomp; the list is filter.h.  Room: broker.
 * Compiled once by the broker, installed by each box. */
#include "config.h"

#include "broker/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif
#define FILTER_CLONE_NS	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |	\
			CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |	\
			CLONE_NEWNET)

#define FILTER_ENTRY(name, error)	{ #name, error },
#define FILTER_FAMILY(family)		family,

struct filter_call {
	const char	*name;
	int		 error;
};

static const struct filter_call filter_calls[] = {
	FILTER_CALLS(FILTER_ENTRY)
};
static const struct filter_call filter_memory_calls[] = {
	FILTER_CALLS_NO_MEMORY_GROUP(FILTER_ENTRY)
};
static const struct filter_call filter_shared_calls[] = {
	FILTER_CALLS_SHARED(FILTER_ENTRY)
};
static const int filter_socket_options[] = {
	FILTER_SOCKET_OPTIONS(FILTER_FAMILY)
};
#define FILTER_NAME(name)		#name,
static const char *const filter_broker_needs[] = {
	FILTER_BROKER_NEEDS(FILTER_NAME)
};
static const int filter_families[] = { FILTER_FAMILIES(FILTER_FAMILY) };

static bool
filter_names(const char *const *names, size_t n, const char *name)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* What of the list is not in a filter of this kind. */
static bool
filter_leaves(enum filter_kind kind, const char *name)
{
	static const char *const	slots[] = {
		/* to read whether the clock can be believed: the journal; it
		 * has no capability to set it */
		"adjtimex", "clock_adjtime",
#ifdef APW_DEVELOPER
		/* the leak checker stops its own threads */
		"ptrace",
#endif
	};
	bool				brokers = filter_names(
					    filter_broker_needs, APW_COUNT(
					    filter_broker_needs), name);

	switch (kind) {
	case FILTER_SLOT:
		return filter_names(slots, APW_COUNT(slots), name);
	case FILTER_BROKER:
	case FILTER_BROKER_NO_MEMORY_GROUP:
		return brokers;
	case FILTER_REST:
		return !brokers;
	default:
		return false;
	}
}

/* A name that this libseccomp does not know is above its list's end or not
 * of this machine: either way the rule for unknown numbers has it. */
static int
filter_add_calls(scmp_filter_ctx ctx, enum filter_kind kind,
    const struct filter_call *calls, size_t n)
{
	size_t	i;
	int	nr, rc;

	for (i = 0; i < n; i++) {
		nr = seccomp_syscall_resolve_name(calls[i].name);
		if (nr == __NR_SCMP_ERROR || nr < 0 ||
		    filter_leaves(kind, calls[i].name))
			continue;
		rc = seccomp_rule_add(ctx,
		    SCMP_ACT_ERRNO((unsigned)calls[i].error), nr, 0);
		if (rc < 0 && rc != -EEXIST)
			return rc;
	}
	return 0;
}

static int
filter_add_unknown(scmp_filter_ctx ctx)
{
	int	nr, rc;

	for (nr = FILTER_NEWEST + 1; nr < FILTER_UNKNOWN; nr++) {
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
		if (rc < 0 && rc != -EEXIST)
			return rc;
	}
	return 0;
}

/* The kernel looks at 32 bits of each of these arguments: so do we, or a
 * set bit above them would hide a value from the rule. */
#define FILTER_LOW32(n, value)						\
	SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, 0xffffffffUL, (value))

static int
filter_add_sockets(scmp_filter_ctx ctx)
{
	const unsigned	no = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	size_t		i;
	int		rc;

	if ((rc = seccomp_rule_add(ctx, no, SCMP_SYS(socketpair), 1,
	    SCMP_CMP64(0, SCMP_CMP_NE, AF_UNIX))) < 0 ||
	    (rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1,
	    SCMP_CMP64(0, SCMP_CMP_GT, FILTER_FAMILY_LAST))) < 0)
		return rc;
	for (i = 0; rc == 0 && i < APW_COUNT(filter_families); i++)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1,
		    FILTER_LOW32(0, (unsigned)filter_families[i]));
	return rc;
}

/* Netlink: routes and addresses (protocol 0) only; a slot asks whose its
 * listeners' connections are, too. */
static int
filter_add_netlink(scmp_filter_ctx ctx, enum filter_kind kind)
{
	const unsigned	no = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	unsigned	n, last = kind == FILTER_SLOT ? NETLINK_SOCK_DIAG : 0;
	int		rc;

	rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 2,
	    FILTER_LOW32(0, AF_NETLINK), SCMP_CMP64(2, SCMP_CMP_GT, last));
	for (n = 1; rc == 0 && n < last; n++)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 2,
		    FILTER_LOW32(0, AF_NETLINK), FILTER_LOW32(2, n));
	return rc;
}

/* clone may make threads and processes, not namespaces: one rule a flag. */
static int
filter_add_clone(scmp_filter_ctx ctx)
{
	uint64_t	bit;
	int		rc = 0;

	for (bit = 1; rc == 0 && bit <= FILTER_CLONE_NS; bit <<= 1)
		if ((FILTER_CLONE_NS & bit) != 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
			    SCMP_SYS(clone), 1,
			    SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, bit, bit));
	return rc;
}

/* Typing into somebody's terminal. */
static int
filter_add_ioctls(scmp_filter_ctx ctx)
{
	static const unsigned	refused[] = { TIOCSTI, 0x541c /* TIOCLINUX */ };
	size_t			i;
	int			rc = 0;

	for (i = 0; rc == 0 && i < APW_COUNT(refused); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
		    SCMP_SYS(ioctl), 1, FILTER_LOW32(1, refused[i]));
	return rc;
}

/* What is in sockets and pipes is counted by no rlimit either: so much for
 * each of them, of which RLIMIT_NOFILE says how many. */
static int
filter_add_buffers(scmp_filter_ctx ctx)
{
	size_t	i;
	int	rc = 0;

	for (i = 0; rc == 0 && i < APW_COUNT(filter_socket_options); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0),
		    SCMP_SYS(setsockopt), 2, FILTER_LOW32(1, SOL_SOCKET),
		    FILTER_LOW32(2, (unsigned)filter_socket_options[i]));
	return rc < 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
	    SCMP_SYS(fcntl), 1, FILTER_LOW32(1, F_SETPIPE_SZ));
}

/* Memory shared between processes is counted by no rlimit. */
static int
filter_add_memory(scmp_filter_ctx ctx)
{
	int	rc = filter_add_calls(ctx, FILTER_BOX_NO_MEMORY_GROUP,
		    filter_memory_calls, APW_COUNT(filter_memory_calls));

	if (rc == 0)
		rc = filter_add_buffers(ctx);
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOMEM),
		    SCMP_SYS(mmap), 1, SCMP_CMP64(3, SCMP_CMP_MASKED_EQ,
		    MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS));
	return rc;
}

#define FILTER_BIT(n, bit)						\
	SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (bit), (bit))

/* What a builder leaves is the daemon's user's on the disk: no program that
 * runs as its owner or group. */
static int
filter_add_mode(scmp_filter_ctx ctx, unsigned bit)
{
	static const struct { const char *name; unsigned mode; } calls[] = {
		{ "chmod", 1 }, { "fchmod", 1 }, { "fchmodat", 2 },
		{ "fchmodat2", 2 }, { "creat", 1 }, { "mknod", 1 },
		{ "mknodat", 2 },
	}, opens[] = { { "open", 2 }, { "openat", 3 } };
	const unsigned	no = SCMP_ACT_ERRNO(EPERM);
	size_t		i;
	int		nr, rc = 0;

	for (i = 0; rc == 0 && i < APW_COUNT(calls); i++)
		if ((nr = seccomp_syscall_resolve_name(calls[i].name)) >= 0)
			rc = seccomp_rule_add(ctx, no, nr, 1,
			    FILTER_BIT(calls[i].mode, bit));
	for (i = 0; rc == 0 && i < APW_COUNT(opens); i++) {
		if ((nr = seccomp_syscall_resolve_name(opens[i].name)) < 0)
			continue;
		if ((rc = seccomp_rule_add(ctx, no, nr, 2,
		    FILTER_BIT(opens[i].mode - 1, O_CREAT),
		    FILTER_BIT(opens[i].mode, bit))) == 0)
			rc = seccomp_rule_add(ctx, no, nr, 2,
			    FILTER_BIT(opens[i].mode - 1, O_TMPFILE),
			    FILTER_BIT(opens[i].mode, bit));
	}
	return rc;
}

static int
filter_add_modes(scmp_filter_ctx ctx)
{
	int	rc;

	if ((rc = filter_add_mode(ctx, S_ISUID)) == 0 &&
	    (rc = filter_add_mode(ctx, S_ISGID)) == 0)
		/* whose mode no filter sees */
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
		    SCMP_SYS(openat2), 0);
	return rc;
}

#define FILTER_TYPE	15U	/* of a socket, without its flags */
#define FILTER_FASTOPEN(n)						\
	SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN)

/* One kind of socket of this family: -1 any. */
static int
filter_add_socket(scmp_filter_ctx ctx, unsigned family, int type)
{
	const unsigned	no = SCMP_ACT_ERRNO(EACCES);

	if (type == -1)
		return seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1,
		    FILTER_LOW32(0, family));
	return seccomp_rule_add(ctx, no, SCMP_SYS(socket), 2,
	    FILTER_LOW32(0, family),
	    SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, FILTER_TYPE, (unsigned)type));
}

/* TCP only; protocols that are like it (MPTCP) Landlock does not see. */
static int
filter_add_tcp(scmp_filter_ctx ctx, unsigned family)
{
	const unsigned	no = SCMP_ACT_ERRNO(EACCES);
	unsigned	n;
	int		rc = 0;

	for (n = 0; rc == 0 && n <= FILTER_TYPE; n++)
		if (n != SOCK_STREAM)
			rc = filter_add_socket(ctx, family, (int)n);
	for (n = 1; rc == 0 && n < IPPROTO_TCP; n++)
		rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 2,
		    FILTER_LOW32(0, family), FILTER_LOW32(2, n));
	return rc < 0 ? rc : seccomp_rule_add(ctx, no, SCMP_SYS(socket), 2,
	    FILTER_LOW32(0, family),
	    SCMP_CMP64(2, SCMP_CMP_GT, IPPROTO_TCP));
}

/* The fence of ports: of all sockets only plain TCP is left, which Landlock
 * looks after, by the calls that it sees: sending may connect, too.  Pairs of
 * local sockets stay, but not those that can send to others. */
static int
filter_add_ports(scmp_filter_ctx ctx)
{
	const unsigned	no = SCMP_ACT_ERRNO(EACCES);
	unsigned	n;
	int		rc = 0;

	for (n = 0; rc == 0 && n <= AF_INET6; n++)
		rc = n == AF_INET || n == AF_INET6 ? filter_add_tcp(ctx, n) :
		    filter_add_socket(ctx, n, -1);
	if (rc < 0 || (rc = seccomp_rule_add(ctx, no, SCMP_SYS(socket), 1,
	    SCMP_CMP64(0, SCMP_CMP_GT, AF_INET6))) < 0)
		return rc;
	for (n = 0; rc == 0 && n <= FILTER_TYPE; n++)
		if (n != SOCK_STREAM && n != SOCK_SEQPACKET)
			rc = seccomp_rule_add(ctx, no, SCMP_SYS(socketpair), 1,
			    SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, FILTER_TYPE, n));
	if (rc < 0 || (rc = seccomp_rule_add(ctx, no, SCMP_SYS(sendto), 1,
	    FILTER_FASTOPEN(3))) < 0 || (rc = seccomp_rule_add(ctx, no,
	    SCMP_SYS(sendmsg), 1, FILTER_FASTOPEN(2))) < 0 ||
	    (rc = seccomp_rule_add(ctx, no, SCMP_SYS(sendmmsg), 1,
	    FILTER_FASTOPEN(3))) < 0)
		return rc;
	/* rings do socket work that no filter sees */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
	    SCMP_SYS(io_uring_setup), 0);
}

static int
filter_add_all(scmp_filter_ctx ctx, enum filter_kind kind)
{
	int	rc;

	if (kind == FILTER_PORTS)
		return filter_add_ports(ctx);
	/* a call by another machine's numbers (i386's, x32's) is no mistake:
	 * the whole process ends, with SIGSYS as the evidence */
	if ((rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS)) < 0 ||
	    (rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0 ||
	    (rc = filter_add_calls(ctx, kind, filter_calls,
	    APW_COUNT(filter_calls))) < 0 || kind == FILTER_REST ||
	    (rc = filter_add_unknown(ctx)) < 0 ||
	    (rc = filter_add_clone(ctx)) < 0 ||
	    (rc = filter_add_sockets(ctx)) < 0 ||
	    (rc = filter_add_netlink(ctx, kind)) < 0 ||
	    (rc = filter_add_ioctls(ctx)) < 0)
		return rc;
	if (kind == FILTER_BUILDER)
		return (rc = filter_add_buffers(ctx)) < 0 ? rc :
		    filter_add_modes(ctx);
	if (kind == FILTER_ALONE)
		return filter_add_calls(ctx, kind, filter_shared_calls,
		    APW_COUNT(filter_shared_calls));
	return kind == FILTER_BOX_NO_MEMORY_GROUP || kind ==
	    FILTER_BROKER_NO_MEMORY_GROUP ? filter_add_memory(ctx) : 0;
}

/* libseccomp writes to a file only. */
static int
filter_export(scmp_filter_ctx ctx, struct sock_fprog *prog)
{
	apw_autofd int	fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat	st;
	int		rc;

	if (fd == -1)
		return -errno;
	if ((rc = seccomp_export_bpf(ctx, fd)) < 0)
		return rc;
	if (fstat(fd, &st) == -1)
		return -errno;
	prog->len = (unsigned short)((size_t)st.st_size /
	    sizeof(struct sock_filter));
	if (st.st_size == 0 || (size_t)st.st_size !=
	    prog->len * sizeof(struct sock_filter))
		return -E2BIG;
	if ((prog->filter = malloc((size_t)st.st_size)) == NULL)
		return -ENOMEM;
	return pread(fd, prog->filter, (size_t)st.st_size, 0) == st.st_size ?
	    0 : -EIO;
}

int
filter_compile(enum filter_kind kind, struct sock_fprog *prog,
    struct apw_err *err)
{
	scmp_filter_ctx	ctx = seccomp_init(SCMP_ACT_ALLOW);
	int		rc;

	if (ctx == NULL)
		return apw_err_set(err, ENOMEM, "no syscall filter");
	if ((rc = filter_add_all(ctx, kind)) == 0)
		rc = filter_export(ctx, prog);
	seccomp_release(ctx);
	return rc == 0 ? 0 : apw_err_set(err, -rc, "cannot make the syscall "
	    "filter");
}

int
filter_install(const struct sock_fprog *prog)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, prog);
}
