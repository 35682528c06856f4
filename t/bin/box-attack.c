/* box-attack: what hostile code would try, from inside of a box.
 *
 *	box-attack doors [KEY=VALUE...]	every door once; a line for each:
 *					"refused NAME: error" or "OPEN NAME"
 *	box-attack bomb NAME		one way of using everything up; a line
 *					says how far it came
 *
 * It is run in boxes that tests make, under their limits, and only there:
 * it ends at once when it finds itself in the host's process namespace. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int	 args;
static char	**arg;

static const char *
given(const char *key)
{
	size_t	n = strlen(key);
	int	i;

	for (i = 0; i < args; i++)
		if (strncmp(arg[i], key, n) == 0 && arg[i][n] == '=')
			return arg[i] + n + 1;
	return NULL;
}

/* rc -1 is what we want; errno says with which words. */
static void
door(const char *name, long rc)
{
	if (rc == -1)
		printf("refused %s: %s\n", name, strerrorname_np(errno));
	else
		printf("OPEN %s\n", name);
	fflush(stdout);
}

#define DOOR(call, ...)	do {						\
	errno = 0;							\
	door(#call, syscall(SYS_##call, ##__VA_ARGS__));		\
} while (0)

static void
door_open(const char *path, int flags)
{
	char	name[300];
	int	fd;

	errno = 0;
	fd = open(path, flags | O_CLOEXEC, 0600);
	snprintf(name, sizeof(name), "%s %s", (flags & O_ACCMODE) == O_RDONLY ?
	    "read" : "write", path);
	door(name, fd);
	if (fd != -1)
		close(fd);
}

static void
doors_namespaces(void)
{
	static const struct { const char *name; int flag; } spaces[] = {
		{ "user", CLONE_NEWUSER }, { "mnt", CLONE_NEWNS },
		{ "pid", CLONE_NEWPID }, { "net", CLONE_NEWNET },
		{ "ipc", CLONE_NEWIPC }, { "uts", CLONE_NEWUTS },
		{ "cgroup", CLONE_NEWCGROUP },
	};
	char	name[64];
	size_t	i;
	int	fd;

	for (i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
		snprintf(name, sizeof(name), "unshare %s", spaces[i].name);
		errno = 0;
		door(name, unshare(spaces[i].flag));
		snprintf(name, sizeof(name), "clone %s", spaces[i].name);
		errno = 0;
		/* high bits are not the kernel's business, nor the filter's */
		long pid = syscall(SYS_clone, (unsigned long)spaces[i].flag |
		    SIGCHLD | 1UL << 40, 0, 0, 0, 0);
		if (pid == 0)
			_exit(0);
		door(name, pid);
		snprintf(name, sizeof(name), "/proc/1/ns/%s", spaces[i].name);
		door_open(name, O_RDONLY);
		snprintf(name, sizeof(name), "/proc/self/ns/%s",
		    spaces[i].name);
		fd = open(name, O_RDONLY);
		errno = 0;
		snprintf(name, sizeof(name), "setns %s", spaces[i].name);
		door(name, setns(fd, 0));
		close(fd);
	}
	uint64_t clone3[11] = { CLONE_NEWUSER, [4] = SIGCHLD };
	errno = 0;
	long pid = syscall(SYS_clone3, clone3, sizeof(clone3));
	if (pid == 0)
		_exit(0);
	door("clone3 user", pid);
}

static void
doors_mounts(void)
{
	errno = 0;
	door("mount tmpfs", mount("x", "/tmp", "tmpfs", 0, NULL));
	errno = 0;
	door("remount root writable", mount(NULL, "/", NULL,
	    MS_REMOUNT | MS_BIND, NULL));
	errno = 0;
	door("remount code writable", mount(NULL, "/root", NULL,
	    MS_REMOUNT | MS_BIND, NULL));
	errno = 0;
	door("umount proc", umount2("/proc", MNT_DETACH));
	errno = 0;
	door("umount code", umount2("/root", MNT_DETACH));
	errno = 0;
	door("chroot", chroot("/tmp"));
	DOOR(pivot_root, ".", ".");
	DOOR(open_tree, AT_FDCWD, "/", 1);
	DOOR(move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/root", 0);
	DOOR(fsopen, "tmpfs", 0);
	DOOR(mount_setattr, AT_FDCWD, "/", 0, "", 0);
	errno = 0;
	door("mknod device", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
}

static void
doors_kernel(void)
{
	char	buf[256] = "";

	DOOR(io_uring_setup, 8, buf);
	DOOR(io_uring_enter, 0, 0, 0, 0, NULL, 0);
	DOOR(bpf, 0, buf, sizeof(buf));
	DOOR(perf_event_open, buf, 0, -1, -1, 0);
	DOOR(keyctl, 0, -3, 0);
	DOOR(add_key, "user", "x", "y", 1, -4);
	DOOR(request_key, "user", "x", NULL, -4);
	DOOR(userfaultfd, O_CLOEXEC | 1);
	DOOR(kexec_load, 0, 0, NULL, 0);
	DOOR(kexec_file_load, 0, 0, 0, "", 0);
	DOOR(init_module, buf, 1, "");
	DOOR(finit_module, 0, "", 0);
	DOOR(delete_module, "none", 0);
	DOOR(reboot, 0xfee1dead, 672274793, 0, NULL);
	DOOR(swapon, "/tmp/x", 0);
	DOOR(acct, "/tmp/x");
	DOOR(syslog, 3, buf, sizeof(buf));
	DOOR(sethostname, "x", 1);
	DOOR(clock_settime, 0, buf);
	DOOR(fanotify_init, 0, 0);
	DOOR(name_to_handle_at, AT_FDCWD, "/", buf, buf, 0);
	DOOR(open_by_handle_at, AT_FDCWD, buf, 0);
	DOOR(quotactl, 0, "", 0, buf);
	DOOR(memfd_secret, 0);
	errno = 0;
	door("a call newer than the filter", syscall(480, 0, 0, 0, 0, 0, 0));
#ifdef __x86_64__
	DOOR(iopl, 3);
	DOOR(modify_ldt, 0, buf, sizeof(buf));
	pid_t	pid = fork();
	int	status = 0;
	if (pid == 0) {
		syscall(0x40000000 | SYS_getpid);	/* x32's numbers */
		_exit(errno == ENOSYS ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	errno = ENOSYS;
	door("x32 calls", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 :
	    -1);
	pid = fork();
	if (pid == 0) {
		long	rc;
		__asm__ volatile ("int $0x80" : "=a" (rc) : "a" (20) :
		    "memory");				/* i386's getpid */
		_exit(rc > 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	errno = ENOSYS;
	door("i386 calls", WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 :
	    -1);
#endif
}

static void
doors_processes(void)
{
	char		 buf[64];
	struct iovec	 iov = { buf, sizeof(buf) };
	const char	*outside = given("outside_pid");
	int		 pidfd = (int)syscall(SYS_pidfd_open, 1, 0);

	errno = 0;
	door("ptrace init", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	errno = 0;
	door("ptrace seize init", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	DOOR(process_vm_readv, 1, &iov, 1, &iov, 1, 0);
	DOOR(process_vm_writev, 1, &iov, 1, &iov, 1, 0);
	DOOR(pidfd_getfd, pidfd, 0, 0);
	close(pidfd);
	DOOR(kcmp, getpid(), 1, 0, 0, 0);
	door_open("/proc/1/mem", O_RDONLY);
	door_open("/proc/1/environ", O_RDONLY);
	door_open("/proc/1/maps", O_RDONLY);
	door_open("/proc/1/root/etc/passwd", O_RDONLY);
	door_open("/proc/1/cwd/.", O_RDONLY);
	door_open("/proc/1/fd/0", O_RDONLY);
	door_open("/proc/1/fd/3", O_RDONLY);
	errno = 0;
	door("kill init", kill(1, SIGKILL) == 0 && usleep(50000) == 0 &&
	    kill(1, 0) == -1 ? 0 : (errno = errno ? errno : EPERM, -1));
	if (outside != NULL) {
		errno = 0;
		door("signal a process outside", kill(atoi(outside), 0));
	}
	errno = 0;
	door("kill all (-1) reaches init", kill(1, SIGSTOP) == 0 &&
	    getppid() == 0 ? 0 : (errno = EPERM, -1));
}

static void
doors_identity(void)
{
	struct rlimit	 r;
	struct sched_param sp = { 1 };
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct c[2] = { { ~0U, ~0U, ~0U },
	    { ~0U, ~0U, ~0U } };

	errno = 0;
	door("setuid 0", setuid(0));
	errno = 0;
	door("setgid 0", setgid(0));
	errno = 0;
	door("setgroups", (long)syscall(SYS_setgroups, 0, NULL));
	errno = 0;
	door("capset", syscall(SYS_capset, &h, c));
	getrlimit(RLIMIT_NPROC, &r);
	r.rlim_cur = r.rlim_max = RLIM_INFINITY;
	errno = 0;
	door("raise processes", setrlimit(RLIMIT_NPROC, &r));
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max = r.rlim_max + 1;
	errno = 0;
	door("raise open files", setrlimit(RLIMIT_NOFILE, &r));
	errno = 0;
	door("real time", sched_setscheduler(0, SCHED_FIFO, &sp));
	errno = 0;
	door("nice", setpriority(PRIO_PROCESS, 0, -5));
	errno = 0;
	door("lock memory", mlockall(MCL_CURRENT | MCL_FUTURE));
	door_open("/proc/self/uid_map", O_WRONLY);
	door_open("/proc/self/oom_score_adj", O_WRONLY);
	door_open("/proc/sys/kernel/core_pattern", O_WRONLY);
	door_open("/proc/sys/kernel/hostname", O_WRONLY);
	door_open("/proc/sys/user/max_user_namespaces", O_WRONLY);
	door_open("/proc/sysrq-trigger", O_WRONLY);
	door_open("/proc/kcore", O_RDONLY);
	door_open("/proc/kmsg", O_RDONLY);
	door_open("/sys/fs/cgroup", O_RDONLY);
	door_open("/sys/kernel", O_RDONLY);
}

static void
doors_files(void)
{
	static const char *const	write_to[] = { "/x", "/root/x",
	    "/root/common/x", "/root/common/main.js", "/root/codes/x",
	    "/root/codes/mine/x", "/root/codes/mine/step_1/index.js",
	    "/root/custom_pieces/x", "/usr/x", "/usr/bin/x", "/etc/x",
	    "/etc/passwd", "/etc/resolv.conf", "/dev/x", "/proc/x", "/box/x",
	    "/usr/local/x" };
	static const char *const	read_from[] = { "/etc/shadow", "/home",
	    "/var", "/run", "/boot", "/opt", "/srv", "/mnt", "/dev/mem",
	    "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse",
	    "/dev/net/tun", "/dev/tty", "/root/codes/other",
	    "/root/codes/mine/../../../root/codes/other/secret",
	    "/root/custom_pieces/../../custom_pieces/p2" };
	const char	*path = given("host_file");
	size_t		 i;
	int		 fd;
	char		 name[64];

	for (i = 0; i < sizeof(write_to) / sizeof(*write_to); i++)
		door_open(write_to[i], O_WRONLY | O_CREAT);
	for (i = 0; i < sizeof(read_from) / sizeof(*read_from); i++)
		door_open(read_from[i], O_RDONLY);
	if (path != NULL)
		door_open(path, O_RDONLY);
	errno = 0;
	door("unlink code", unlink("/root/codes/mine/step_1/index.js"));
	errno = 0;
	door("rename code", rename("/root/codes/mine", "/tmp/mine"));
	errno = 0;
	door("chmod code", chmod("/root/codes/mine/step_1/index.js", 0777));
	errno = 0;
	door("link code", link("/root/codes/mine/step_1/index.js", "/tmp/l"));
	errno = 0;
	door("truncate engine", truncate("/root/common/main.js", 0));
	/* a link to a place outside ends where the box does */
	if (path != NULL && symlink(path, "/tmp/link") == 0)
		door_open("/tmp/link", O_RDONLY);
	if (symlink("/proc/1/root", "/tmp/root") == 0)
		door_open("/tmp/root/etc/shadow", O_RDONLY);
	for (fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1) {
			snprintf(name, sizeof(name), "inherited fd %d", fd);
			door(name, 0);
		}
	errno = EBADF;
	door("inherited fds", -1);
}

static int
try_unix(const char *path, bool abstract)
{
	struct sockaddr_un	a = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0), rc;

	strncpy(a.sun_path + abstract, path, sizeof(a.sun_path) - 2);
	errno = 0;
	rc = connect(fd, (struct sockaddr *)&a, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + strlen(path) + abstract));
	int e = errno;
	close(fd);
	errno = e;
	return rc;
}

static int
try_tcp(int port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int			fd = socket(AF_INET, SOCK_STREAM, 0), rc, e;

	errno = 0;
	rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
	e = errno;
	close(fd);
	errno = e;
	return rc;
}

static void
doors_sockets(void)
{
	static const struct { const char *name; int family, type, proto; }
	    sockets[] = {
		{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
		{ "alg", AF_ALG, SOCK_SEQPACKET, 0 },
		{ "packet", AF_PACKET, SOCK_RAW, 0 },
		{ "raw", AF_INET, SOCK_RAW, 1 },
		{ "raw 6", AF_INET6, SOCK_RAW, 58 },
		{ "key", AF_KEY, SOCK_RAW, 2 },
		{ "bluetooth", AF_BLUETOOTH, SOCK_RAW, 1 },
		{ "can", AF_CAN, SOCK_RAW, 1 },
		{ "tipc", AF_TIPC, SOCK_STREAM, 0 },
		{ "xdp", AF_XDP, SOCK_RAW, 0 },
		{ "netlink audit", AF_NETLINK, SOCK_RAW, 9 },
		{ "netlink generic", AF_NETLINK, SOCK_RAW, 16 },
		{ "netlink netfilter", AF_NETLINK, SOCK_RAW, 12 },
	};
	char		name[64];
	const char	*s;
	size_t		i;

	for (i = 0; i < sizeof(sockets) / sizeof(*sockets); i++) {
		snprintf(name, sizeof(name), "socket %s", sockets[i].name);
		errno = 0;
		door(name, socket(sockets[i].family, sockets[i].type,
		    sockets[i].proto));
		snprintf(name, sizeof(name), "socket %s, high bits",
		    sockets[i].name);
		errno = 0;
		door(name, syscall(SYS_socket, 1UL << 32 |
		    (unsigned long)sockets[i].family, sockets[i].type,
		    sockets[i].proto));
	}
	errno = 0;
	door("type into a terminal", ioctl(0, TIOCSTI, "x"));
	if ((s = given("abstract")) != NULL)
		door("abstract socket of the host", try_unix(s, true));
	if ((s = given("path")) != NULL)
		door("path socket of the host", try_unix(s, false));
	if ((s = given("port")) != NULL)
		door("loopback of the host", try_tcp(atoi(s)));
}

static void
doors(void)
{
	doors_namespaces();
	doors_mounts();
	doors_kernel();
	doors_processes();
	doors_identity();
	doors_files();
	doors_sockets();
	printf("done\n");
}

/* Bombs: each goes on until it is stopped, and says how far it came. */

#define MIB	(1024 * 1024)
#define BOMB_MOST_MIB	4096		/* enough to prove the limit is not there */

static void
touch(volatile char *p)
{
	size_t	i;

	for (i = 0; i < MIB; i += 4096)
		p[i] = 1;
}

static int
bomb_heap(void)
{
	int	n;
	char	*p;

	for (n = 0; n < BOMB_MOST_MIB; n++) {
		if ((p = malloc(MIB)) == NULL)
			break;
		touch(p);
	}
	return n;
}

static int
bomb_map(int flags, int fd)
{
	int	n;
	char	*p;

	for (n = 0; n < BOMB_MOST_MIB; n++) {
		p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, flags, fd, 0);
		if (p == MAP_FAILED)
			break;
		touch(p);
	}
	return n;
}

static int
bomb_file(int fd)
{
	static char	buf[MIB];
	int		n;

	memset(buf, 1, sizeof(buf));
	for (n = 0; n < BOMB_MOST_MIB; n++)
		if (write(fd, buf, sizeof(buf)) != sizeof(buf))
			break;
	return n;
}

static int
bomb_shm(void)
{
	int	 n, id;
	char	*p;

	for (n = 0; n < BOMB_MOST_MIB; n++) {
		id = shmget(IPC_PRIVATE, MIB, IPC_CREAT | 0600);
		if (id == -1 || (p = shmat(id, NULL, 0)) == (void *)-1)
			break;
		touch(p);
		shmdt(p);
	}
	return n;
}

static int
bomb_fork(void)
{
	int	n;
	pid_t	pid;

	for (n = 0; n < 100000; n++) {
		if ((pid = fork()) == -1)
			break;
		if (pid == 0)
			for (;;)
				pause();
	}
	return n;
}

static int
bomb_zombies(void)
{
	int	n, most = 20000;
	pid_t	pid;

	/* orphans: init has to reap them as they come */
	for (n = 0; n < most; n++) {
		if ((pid = fork()) == -1) {
			usleep(1000);
			n--;
			if (--most < 10000)
				break;
			continue;
		}
		if (pid == 0) {
			if (fork() == 0)
				_exit(0);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return n;
}

static int
bomb_fds(void)
{
	int	n;

	for (n = 0; n < 1000000; n++)
		if (open("/dev/null", O_RDONLY) == -1)
			break;
	return n;
}

static int
bomb_inodes(void)
{
	char	name[32];
	int	n, fd;

	for (n = 0; n < 1000000; n++) {
		snprintf(name, sizeof(name), "/tmp/f%d", n);
		if ((fd = open(name, O_WRONLY | O_CREAT, 0600)) == -1)
			break;
		close(fd);
	}
	return n;
}

static int
bomb_output(void)
{
	static char	buf[MIB];
	int		n;

	memset(buf, 'x', sizeof(buf));
	for (n = 0; n < 256; n++)
		if (write(1, buf, sizeof(buf)) == -1)
			break;
	return n;
}

/* Wants to stay: ignores all it may, leaves its session, forks away. */
static int
bomb_stay(void)
{
	int	sig, i;

	for (sig = 1; sig < 64; sig++)
		signal(sig, SIG_IGN);
	for (i = 0; i < 20; i++)
		if (fork() == 0) {
			setsid();
			if (fork() != 0)
				_exit(0);
			for (;;)
				pause();
		}
	printf("staying\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int
bomb(const char *name)
{
	int	n;

	if (strcmp(name, "heap") == 0)
		n = bomb_heap();
	else if (strcmp(name, "shared") == 0)
		n = bomb_map(MAP_SHARED | MAP_ANONYMOUS, -1);
	else if (strcmp(name, "zero") == 0)
		n = bomb_map(MAP_SHARED, open("/dev/zero", O_RDWR));
	else if (strcmp(name, "memfd") == 0)
		n = bomb_file((int)syscall(SYS_memfd_create, "x", 0));
	else if (strcmp(name, "tmp") == 0)
		n = bomb_file(open("/tmp/x", O_WRONLY | O_CREAT, 0600));
	else if (strcmp(name, "devshm") == 0)
		n = bomb_file(open("/dev/shm/x", O_WRONLY | O_CREAT, 0600));
	else if (strcmp(name, "shm") == 0)
		n = bomb_shm();
	else if (strcmp(name, "fork") == 0)
		n = bomb_fork();
	else if (strcmp(name, "zombies") == 0)
		n = bomb_zombies();
	else if (strcmp(name, "fds") == 0)
		n = bomb_fds();
	else if (strcmp(name, "inodes") == 0)
		n = bomb_inodes();
	else if (strcmp(name, "output") == 0)
		n = bomb_output();
	else if (strcmp(name, "spin") == 0)
		for (;;)
			;
	else
		n = bomb_stay();
	fprintf(stderr, "%s %d\n", name, n);
	fflush(stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	/* in a box our parent is process 1, and we are process 2 or so */
	if (getppid() != 1 || getpid() > 100) {
		fputs("box-attack: only in a box\n", stderr);
		return 2;
	}
	signal(SIGXFSZ, SIG_IGN);	/* a limit is an error, not an end */
	args = argc - 2;
	arg = argv + 2;
	if (argc >= 2 && strcmp(argv[1], "doors") == 0) {
		doors();
		return 0;
	}
	return argc == 3 && strcmp(argv[1], "bomb") == 0 ? bomb(argv[2]) : 2;
}
