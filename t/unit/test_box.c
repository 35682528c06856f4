/* Boxes, the pure parts: where control groups are, what the filter says,
 * messages with descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/broker_priv.h"
#include "broker/cgroup_priv.h"
#include "broker/filter.h"
#include "broker/harden.h"
#include "core/apw_auto.h"

static const char groups_v1[] =
    "9:name=systemd:/\n8:pids:/\n4:memory:/api/x\n2:cpu,cpuacct:/a b\n0::/\n";
static const char mounts_v1[] =
    "20 1 254:0 / / rw - ext4 /dev/vda rw\n"
    "30 20 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "31 20 0:31 / /sys/fs/cgroup/pids rw shared:3 - cgroup cgroup rw,pids\n"
    "32 20 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 20 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

static void
find(const char *mounts, const char *groups, const char *controller,
    const char *want)
{
	char	path[256] = "";

	assert_int_equal(cgroup_find(mounts, groups, controller, path,
	    sizeof(path)), want == NULL ? -1 : 0);
	if (want != NULL)
		assert_string_equal(path, want);
}

static void
finds_v1(void **state)
{
	(void)state;
	find(mounts_v1, groups_v1, "memory", "/sys/fs/cgroup/memory/api/x");
	find(mounts_v1, groups_v1, "pids", "/sys/fs/cgroup/pids");
	find(mounts_v1, groups_v1, "cpu", "/sys/fs/cgroup/cpu,cpuacct/a b");
	find(mounts_v1, groups_v1, "cpuset", NULL);
	find(mounts_v1, groups_v1, "mem", NULL);
	find(mounts_v1, groups_v1, "", "/sys/fs/cgroup/unified");
}

static void
finds_v2(void **state)
{
	static const char	mounts[] = "9 1 0:9 / /sys/fs/cgroup rw - "
				    "cgroup2 none rw,nsdelegate\n";

	(void)state;
	find(mounts, "0::/system.slice/apworkerd.service/slots\n", "",
	    "/sys/fs/cgroup/system.slice/apworkerd.service/slots");
	find(mounts, "0::/\n", "", "/sys/fs/cgroup");
	find(mounts, "0::/\n", "memory", NULL);
	find("", "0::/\n", "", NULL);
	find(mounts, "", "", NULL);
	find(mounts, "nonsense\n::\n", "", NULL);
}

/* A container sees a part of the tree at the mount, and whole paths. */
static void
finds_in_container(void **state)
{
	static const char	mounts[] = "9 1 0:9 /docker/abc /sys/fs/cgroup"
				    "/memory ro - cgroup cgroup rw,memory\n";

	(void)state;
	find(mounts, "4:memory:/docker/abc/below\n", "memory",
	    "/sys/fs/cgroup/memory/below");
	find(mounts, "4:memory:/docker/abc\n", "memory",
	    "/sys/fs/cgroup/memory");
	find(mounts, "4:memory:/other\n", "memory",
	    "/sys/fs/cgroup/memory/other");
}

static void
words(void **state)
{
	(void)state;
	assert_true(cgroup_word("cpuset cpu io memory pids\n", "cpu"));
	assert_true(cgroup_word("memory", "memory"));
	assert_true(cgroup_word("rw,memory", "memory"));
	assert_false(cgroup_word("cpuset\n", "cpu"));
	assert_false(cgroup_word("", "cpu"));
	assert_false(cgroup_word("memory", "mem"));
}

#define NAME(name, error)	#name,

/* Each call is named once, and the two lists share none. */
static void
filter_names(void **state)
{
	static const char *const	names[] = { FILTER_CALLS(NAME)
					    FILTER_CALLS_NO_MEMORY_GROUP(NAME) };
	size_t				i, j;

	(void)state;
	for (i = 0; i < APW_COUNT(names); i++)
		for (j = i + 1; j < APW_COUNT(names); j++)
			assert_string_not_equal(names[i], names[j]);
}

static void
filter_compiles(void **state)
{
	struct sock_fprog	box, poor;
	struct apw_err		err = APW_ERR_NONE;

	(void)state;
	assert_int_equal(filter_compile(FILTER_BOX, &box, &err), 0);
	assert_int_equal(filter_compile(FILTER_BOX_NO_MEMORY_GROUP, &poor,
	    &err), 0);
	assert_true(box.len > 50);
	assert_true(poor.len > box.len);	/* it refuses more */
	free(box.filter);
	free(poor.filter);
}

/* What a filter says of a call without arguments: classic BPF as libseccomp
 * writes it. */
static uint32_t
verdict(const struct sock_fprog *p, struct seccomp_data *data)
{
	const struct sock_filter	*i;
	uint32_t			 a = 0;
	size_t				 at;

	for (at = 0; at < p->len; at++) {
		i = &p->filter[at];
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (char *)data + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			at += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			at += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("code %#x", i->code);
		}
	}
	fail();
	return 0;
}

/* The kernel's: whichever says less, the later one when both say the same. */
static uint32_t
stricter(uint32_t broker, uint32_t rest)
{
	return (int32_t)(broker & SECCOMP_RET_ACTION_FULL) <
	    (int32_t)(rest & SECCOMP_RET_ACTION_FULL) ? broker : rest;
}

static void
same(enum filter_kind whole, enum filter_kind part)
{
	static const uint32_t	arches[] = { AUDIT_ARCH_X86_64,
				    AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386 };
	static const uint64_t	args[] = { 0, 1, 16, 17, 40, CLONE_NEWUSER,
				    CLONE_NEWNS | SIGCHLD, 0x5412, UINT64_MAX };
	struct sock_fprog	f[3];
	struct seccomp_data	d;
	size_t			arch, arg, n;
	int			nr, places;

	assert_int_equal(filter_compile(whole, &f[0], NULL), 0);
	assert_int_equal(filter_compile(part, &f[1], NULL), 0);
	assert_int_equal(filter_compile(FILTER_REST, &f[2], NULL), 0);
	assert_true(f[2].len < f[0].len / 4);
	for (arch = 0; arch < APW_COUNT(arches); arch++)
		for (nr = -1; nr < 700; nr++)
			for (arg = 0; arg < APW_COUNT(args) * 4; arg++) {
				d = (struct seccomp_data){
				    .arch = arches[arch], .nr = nr };
				places = (int)(arg / APW_COUNT(args));
				for (n = 0; n < 6; n++)
					if (places == 3 || places == (int)n)
						d.args[n] = args[arg %
						    APW_COUNT(args)];
				assert_int_equal(verdict(&f[0], &d),
				    stricter(verdict(&f[1], &d),
				    verdict(&f[2], &d)));
			}
	for (n = 0; n < APW_COUNT(f); n++)
		free(f[n].filter);
}

/* A broker's part and its boxes' are together what a box is promised. */
static void
filter_parts(void **state)
{
	(void)state;
	same(FILTER_BOX, FILTER_BROKER);
	same(FILTER_BOX_NO_MEMORY_GROUP, FILTER_BROKER_NO_MEMORY_GROUP);
}

/* What the child found, a bit each; the same calls with and without. */
static int
refusals(bool filtered)
{
	struct apw_err	err = APW_ERR_NONE;
	struct timex	clock_state = { .modes = 0 };
	int		bits = 0, status = 0;
	pid_t		pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filtered && (apw_harden_slot(&err) == -1 ||
		    apw_harden_slot(&err) == -1 || !apw_harden_slot_is_on()))
			_exit(64);
		errno = 0;
		if (syscall(SYS_keyctl, 0, -3, 0) == -1 && errno == EPERM)
			bits |= 1;
		errno = 0;
		if (socket(AF_NETLINK, SOCK_RAW, 16) == -1 &&
		    errno == EAFNOSUPPORT)
			bits |= 2;
		/* the journal asks whether the clock can be believed */
		if (adjtimex(&clock_state) == -1)
			bits |= 16;
		errno = 0;
		/* the last one: it may be let */
		if (unshare(CLONE_NEWUSER) == -1 && errno == EPERM)
			bits |= 4;
		/* children are made as ever */
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid == -1 || waitpid(pid, &status, 0) != pid ||
		    status != 0)
			bits |= 32;
		_exit(bits);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
filter_of_slots(void **state)
{
	(void)state;
	assert_int_equal(refusals(true), 7);
	/* others may refuse more: a container does */
	assert_int_equal(refusals(false) & (2 | 16 | 32), 0);
}

static void
messages(void **state)
{
	int	pair[2], fds[BROKER_FDS_MAX], nfds, give[2] = { 0, 1 };
	char	buf[8] = "";

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(message_wait(pair[0], 0), 0);
	assert_int_equal(message_send(pair[1], "hello", 5, give, 2), 0);
	assert_int_equal(message_wait(pair[0], 1000), 1);
	assert_int_equal(message_recv(pair[0], buf, sizeof(buf), fds, &nfds),
	    5);
	assert_string_equal(buf, "hello");
	assert_int_equal(nfds, 2);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
	/* longer than was wanted: refused, and its descriptors closed */
	assert_int_equal(message_send(pair[1], "too long", 9, give, 1), 0);
	assert_int_equal(message_recv(pair[0], buf, 4, fds, &nfds), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(nfds, 0);
	close(pair[1]);
	assert_int_equal(message_recv(pair[0], buf, 4, fds, &nfds), 0);
	close(pair[0]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(finds_v1), cmocka_unit_test(finds_v2),
		cmocka_unit_test(finds_in_container), cmocka_unit_test(words),
		cmocka_unit_test(filter_names),
		cmocka_unit_test(filter_compiles),
		cmocka_unit_test(filter_parts),
		cmocka_unit_test(filter_of_slots), cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
