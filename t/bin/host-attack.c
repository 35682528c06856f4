/* host-attack: what hostile code would try against the host that it shares,
 * from wherever it is started: a plain process, a hardened one, a box.
 *
 *	host-attack [KEY=VALUE...]	a line for each thing tried:
 *					"refused NAME: error" or "OPEN NAME"
 *
 *	read=PATH write=PATH move=PATH mode=PATH	files of the host
 *	tmp=DIRECTORY		where it may write
 *	pid=PID			a process that is to be left alone
 *	path=PATH abstract=NAME port=PORT	sockets of others
 *
 * Nothing it does harms a host where all of it succeeds: files are opened and
 * closed, moved there and back, given the mode they had; processes get the
 * signal 0; what is made is taken away. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char	*tmp = "/tmp";

static void
door(const char *what, const char *on, long rc)
{
	if (rc == -1)
		printf("refused %s%s%s: %s\n", what, *on ? " " : "", on,
		    strerrorname_np(errno));
	else
		printf("OPEN %s%s%s\n", what, *on ? " " : "", on);
	fflush(stdout);
	errno = 0;
}

static int
opens(int dir_fd, const char *path, int flags)
{
	int	fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

/* A file that nobody is to read, straight and by every detour. */
static void
files_read(const char *path)
{
	char	link_path[4096], detour[8192];
	int	fd;

	door("read", path, opens(AT_FDCWD, path, O_RDONLY));
	snprintf(link_path, sizeof(link_path), "%s/link", tmp);
	if (symlink(path, link_path) == 0)
		door("read by a symlink", path, opens(AT_FDCWD, link_path,
		    O_RDONLY));
	unlink(link_path);
	/* Linux gives the hard link of a file away to those who may write */
	if (link(path, link_path) == -1)
		door("read by a hard link", path, -1);
	else
		door("read by a hard link", path, opens(AT_FDCWD, link_path,
		    O_RDONLY));
	unlink(link_path);
	snprintf(detour, sizeof(detour), "/proc/self/root%s", path);
	door("read by /proc/self/root", path, opens(AT_FDCWD, detour,
	    O_RDONLY));
	snprintf(detour, sizeof(detour), "%s/../../../../../../../../../..%s",
	    tmp, path);
	door("read by dots", path, opens(AT_FDCWD, detour, O_RDONLY));
	fd = open(path, O_PATH | O_CLOEXEC);
	snprintf(detour, sizeof(detour), "/proc/self/fd/%d", fd);
	door("read by a path descriptor", path, opens(AT_FDCWD, detour,
	    O_RDONLY));
	close(fd);
	/* a name that another thread would swing between check and use */
	snprintf(detour, sizeof(detour), "%s/swing", tmp);
	mkdir(detour, 0700);
	if (rmdir(detour) == 0 && symlink("/", detour) == 0) {
		snprintf(detour, sizeof(detour), "%s/swing%s", tmp, path);
		door("read by a swinging name", path, opens(AT_FDCWD, detour,
		    O_RDONLY));
		snprintf(detour, sizeof(detour), "%s/swing", tmp);
		unlink(detour);
	}
}

static void
files_write(const char *path)
{
	struct stat	st;
	bool		was = stat(path, &st) == 0;
	int		rc = opens(AT_FDCWD, path, O_WRONLY | O_CREAT);

	door("write", path, rc);
	if (rc == 0 && !was)
		unlink(path);
	if (was)
		door("truncate", path, truncate(path, st.st_size));
}

static void
files_move(const char *path)
{
	char	there[4096];
	int	rc;

	snprintf(there, sizeof(there), "%s.moved", path);
	rc = rename(path, there);
	door("rename", path, rc);
	if (rc == 0)
		rename(there, path);
	snprintf(there, sizeof(there), "%s/moved", tmp);
	rc = rename(path, there);
	door("rename away", path, rc);
	if (rc == 0)
		rename(there, path);
	mkdir(there, 0700);
	rc = (int)syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, there, 2);
	door("exchange", path, rc);
	if (rc == 0)
		syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, there, 2);
	rmdir(there);
	snprintf(there, sizeof(there), "%s.link", path);
	rc = symlink("/etc/passwd", there);
	door("plant a symlink beside", path, rc);
	if (rc == 0)
		unlink(there);
}

static void
files_mode(const char *path)
{
	struct stat	st = { 0 };
	struct timespec	times[2];
	int		fd, rc;

	stat(path, &st);
	door("chmod", path, chmod(path, st.st_mode & 07777));
	door("chown", path, chown(path, st.st_uid, st.st_gid));
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	door("utimes", path, utimensat(AT_FDCWD, path, times, 0));
	rc = setxattr(path, "user.attack", "x", 1, 0);
	door("setxattr", path, rc);
	if (rc == 0)
		removexattr(path, "user.attack");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1)
		door("fchmod", path, fchmod(fd, st.st_mode & 07777));
	close(fd);
}

static int
in_child(int (*f)(void))
{
	int	status = 0, error;
	pid_t	pid = fork();

	if (pid == 0)
		_exit(f() == -1 ? errno : 0);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return -1;
	error = WIFEXITED(status) ? WEXITSTATUS(status) : ENOSYS;
	errno = error;
	return error == 0 ? 0 : -1;
}

static pid_t	traced;

/* in a process that ends: that lets it go */
static int
try_trace(void)
{
	return ptrace(PTRACE_SEIZE, traced, NULL, NULL) == -1 ? -1 : 0;
}

static void
processes(const char *text)
{
	static const char *const files[] = { "environ", "mem", "maps", "fd/0",
	    "root/etc/hostname", "cwd/.", "exe", "ns/mnt" };
	pid_t		pid = atoi(text);
	char		path[64], word[64] = "";
	struct iovec	iov = { word, sizeof(word) };
	struct rlimit	r;
	struct stat	st;
	siginfo_t	info = { .si_code = SI_QUEUE };
	size_t		i;
	int		fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	door("see a process", "", stat(path, &st));
	door("signal", "", kill(pid, 0));
	door("queue a signal", "", syscall(SYS_rt_sigqueueinfo, pid, 0, &info));
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	door("signal by pidfd", "", syscall(SYS_pidfd_send_signal, fd, 0, NULL,
	    0));
	door("take its descriptors", "", syscall(SYS_pidfd_getfd, fd, 0, 0));
	close(fd);
	traced = pid;
	door("trace", "", in_child(try_trace));
	/* the address is its own affair: EFAULT would mean we were let in */
	errno = 0;
	if (syscall(SYS_process_vm_readv, pid, &iov, 1, &iov, 1, 0) == -1 &&
	    errno == EFAULT)
		door("read its memory", "", 0);
	else
		door("read its memory", "", errno == 0 ? 0 : -1);
	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		door("open /proc/PID of it:", files[i], opens(AT_FDCWD, path,
		    O_RDONLY));
	}
	door("read its limits", "", prlimit(pid, RLIMIT_NOFILE, NULL, &r));
	door("make it nice", "", setpriority(PRIO_PROCESS, (id_t)pid,
	    getpriority(PRIO_PROCESS, (id_t)pid)));
}

static int
try_traced(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 ? -1 : 0;
}

static int
try_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
try_mount(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1 ? -1 :
	    mount("x", tmp, "tmpfs", 0, NULL);
}

static int
try_pivot(void)
{
	return unshare(CLONE_NEWUSER) == -1 ? -1 : chroot(tmp);
}

static int
try_i386(void)
{
#ifdef __x86_64__
	long	rc;

	__asm__ volatile ("int $0x80" : "=a" (rc) : "a" (20) : "memory");
	return rc > 0 ? 0 : -1;
#else
	errno = ENOSYS;
	return -1;
#endif
}

static void
kernel(void)
{
	struct perf_event_attr	perf = { .type = PERF_TYPE_SOFTWARE,
				    .size = sizeof(perf), .disabled = 1,
				    .exclude_kernel = 1, .exclude_hv = 1 };
	char			params[256] = "";

	door("a user namespace", "", in_child(try_user));
	door("a mount in a namespace", "", in_child(try_mount));
	door("a chroot in a namespace", "", in_child(try_pivot));
	door("io_uring", "", syscall(SYS_io_uring_setup, 4, params));
	memset(params, 0, sizeof(params));
	((uint32_t *)(void *)params)[0] = 2;	/* an array */
	((uint32_t *)(void *)params)[1] = ((uint32_t *)(void *)params)[2] = 4;
	((uint32_t *)(void *)params)[3] = 1;
	door("bpf", "", syscall(SYS_bpf, 0, params, 64));
	door("perf", "", syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0));
	door("keyctl", "", syscall(SYS_keyctl, 0, -3, 0));
	door("add_key", "", syscall(SYS_add_key, "user", "apw", "x", 1, -1));
	door("userfaultfd", "", syscall(SYS_userfaultfd, O_CLOEXEC | 1));
	door("memfd_secret", "", syscall(SYS_memfd_secret, 0));
	door("be traced", "", in_child(try_traced));
	door("i386 calls", "", in_child(try_i386));
	door("kexec", "", syscall(SYS_kexec_load, 0, 1, NULL, ~0UL));
	door("load a module", "", syscall(SYS_init_module, params, 0, ""));
}

static int
try_unix(const char *path, bool abstract, int type)
{
	struct sockaddr_un	a = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, type, 0), rc, error;

	strncpy(a.sun_path + abstract, path, sizeof(a.sun_path) - 2);
	rc = connect(fd, (struct sockaddr *)&a, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + strlen(path) + abstract));
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

static int
try_tcp(int port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int			fd = socket(AF_INET, SOCK_STREAM, 0), rc, error;

	rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

static void
sockets(void)
{
	door("a netlink socket", "", socket(AF_NETLINK, SOCK_RAW, 16));
	door("a vsock", "", socket(AF_VSOCK, SOCK_STREAM, 0));
	door("a crypto socket", "", socket(AF_ALG, SOCK_SEQPACKET, 0));
}

static void
descriptors(void)
{
	char	name[32];
	int	fd;

	for (fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) != -1) {
			snprintf(name, sizeof(name), "%d", fd);
			door("an inherited descriptor", name, 0);
		}
}

static void
act(const char *key, const char *value)
{
	if (strcmp(key, "tmp") == 0)
		tmp = value;
	else if (strcmp(key, "read") == 0)
		files_read(value);
	else if (strcmp(key, "write") == 0)
		files_write(value);
	else if (strcmp(key, "move") == 0)
		files_move(value);
	else if (strcmp(key, "mode") == 0)
		files_mode(value);
	else if (strcmp(key, "pid") == 0)
		processes(value);
	else if (strcmp(key, "path") == 0)
		door("a path socket", "", try_unix(value, false, SOCK_STREAM));
	else if (strcmp(key, "abstract") == 0)
		door("an abstract socket", "", try_unix(value, true,
		    SOCK_STREAM));
	else if (strcmp(key, "port") == 0)
		door("a port of the loopback", "", try_tcp(atoi(value)));
}

int
main(int argc, char **argv)
{
	char	key[16];
	int	i;

	descriptors();
	for (i = 1; i < argc; i++) {
		const char	*eq = strchr(argv[i], '=');

		if (eq == NULL || eq - argv[i] >= (long)sizeof(key))
			return 2;
		memcpy(key, argv[i], (size_t)(eq - argv[i]));
		key[eq - argv[i]] = '\0';
		errno = 0;
		act(key, eq + 1);
	}
	errno = 0;
	sockets();
	kernel();
	puts("done");
	return 0;
}
