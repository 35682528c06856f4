/* The least that a box can be on this kernel: the namespaces, the mounts and
 * the user of one, and exec; no init, no filter, no limits, nobody to ask.
 * What a box costs beside it is ours; what it costs itself is the kernel's.
 *
 * It is a process of its own, because it leaves its namespaces for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "t/bin/box-tool.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif
#define FLOOR_UID	60000
#define FLOOR_ROOT	"/mnt"	/* a folder that every host has */
/* Beside / and /proc and what each box mounts itself. */
#define FLOOR_MOUNTS	12

struct floor {
	pid_t	pid;
	int	sock;
};

struct floor_inside {
	const struct tool	*t;
	bool			 root;
	int			 home_fd, template_fd;
	uint64_t		 namespaces;
};

_Noreturn static void
floor_die(const char *what)
{
	fprintf(stderr, "box-tool: floor: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void
floor_write(const char *who, const char *file, const char *text)
{
	char	path[64];
	int	fd;

	snprintf(path, sizeof(path), "/proc/%s/%s", who, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1 || write(fd, text, strlen(text)) == -1)
		floor_die(path);
	close(fd);
}

static void
floor_map(const char *who, unsigned inner, unsigned outer)
{
	char	text[32];

	snprintf(text, sizeof(text), "%u %u 1", inner, outer);
	floor_write(who, "setgroups", "deny");
	floor_write(who, "uid_map", text);
	floor_write(who, "gid_map", text);
}

static void
floor_enter(struct floor_inside *f)
{
	uid_t	uid = geteuid();

	f->root = uid == 0;
	if (unshare(CLONE_NEWNS | (f->root ? 0 : CLONE_NEWUSER)) == -1)
		floor_die("unshare");
	if (!f->root)
		floor_map("self", 0, uid);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		floor_die("private mounts");
	f->home_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

static void
floor_bind(const char *from, const char *name)
{
	char	to[64];

	snprintf(to, sizeof(to), FLOOR_ROOT "/%s", name);
	if (mkdir(to, 0755) == -1 ||
	    mount(from, to, NULL, MS_BIND | MS_REC, NULL) == -1)
		floor_die(to);
}

static void
floor_template(struct floor_inside *f)
{
	static const char *const	links[] = { "bin", "lib", "lib64" };
	char				name[16], path[32];
	unsigned			i;

	if (unshare(CLONE_NEWNS) == -1 || mount("none", FLOOR_ROOT, "tmpfs",
	    0, "size=1m") == -1)
		floor_die("template");
	floor_bind("/usr", "usr");
	floor_bind("/proc", "proc");
	for (i = 0; i < APW_COUNT(links); i++) {
		snprintf(path, sizeof(path), FLOOR_ROOT "/%s", links[i]);
		snprintf(name, sizeof(name), "usr/%s", links[i]);
		if (symlink(name, path) == -1)
			floor_die(path);
	}
	mkdir(FLOOR_ROOT "/tmp", 0755);
	for (i = 1; i < FLOOR_MOUNTS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		floor_bind("/etc", name);
	}
	if (chdir(FLOOR_ROOT) == -1 || syscall(SYS_pivot_root, ".", ".") ==
	    -1 || umount2(".", MNT_DETACH) == -1)
		floor_die("pivot_root");
	f->template_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (setns(f->home_fd, CLONE_NEWNS) == -1)
		floor_die("setns");
}

_Noreturn static void
floor_box(const struct floor_inside *f, int go_fd)
{
	char	go;

	if (read(go_fd, &go, 1) != 1 ||
	    setresgid(1000, 1000, 1000) == -1 ||
	    setresuid(1000, 1000, 1000) == -1 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC |
	    MS_RDONLY, NULL) == -1 ||
	    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV,
	    "mode=0700,size=256m,nr_inodes=65536") == -1)
		_exit(126);
	execve(f->t->order.argv[0], (char *const *)(uintptr_t)
	    f->t->order.argv, (char *const *)(uintptr_t)f->t->order.envp);
	_exit(127);
}

static void
floor_make(const struct floor_inside *f)
{
	struct clone_args	args = { .flags = f->namespaces,
				    .exit_signal = SIGCHLD };
	int			go[2], status;
	char			who[16];
	pid_t			pid;

	if (pipe2(go, O_CLOEXEC) == -1 ||
	    setns(f->template_fd, CLONE_NEWNS) == -1)
		floor_die("setns");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == -1)
		floor_die("clone3");
	if (pid == 0)
		floor_box(f, go[0]);
	if (setns(f->home_fd, CLONE_NEWNS) == -1)
		floor_die("setns");
	snprintf(who, sizeof(who), "%d", (int)pid);
	floor_map(who, 1000, f->root ? FLOOR_UID : 0);
	if (write(go[1], "", 1) != 1)
		floor_die("write");
	close(go[0]);
	close(go[1]);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "box-tool: floor: status %#x\n",
		    (unsigned)status);
		exit(125);
	}
}

_Noreturn static void
floor_main(const struct tool *t, int sock)
{
	struct floor_inside	f = { .t = t, .namespaces = CLONE_NEWNS |
				    CLONE_NEWCGROUP | CLONE_NEWUTS |
				    CLONE_NEWIPC | CLONE_NEWUSER |
				    CLONE_NEWPID };
	struct took		took;
	int64_t			start;
	double			cpu;
	char			c;

	if (access("/proc/self/ns/time", F_OK) == 0)
		f.namespaces |= CLONE_NEWTIME;
	if ((t->order.flags & APW_BOX_OWN_NET) != 0)
		f.namespaces |= CLONE_NEWNET;
	floor_enter(&f);
	floor_template(&f);
	while (read(sock, &c, 1) == 1) {
		start = apw_now_us();
		cpu = bench_cpu_us();
		floor_make(&f);
		took.cpu_us = bench_cpu_us() - cpu;
		took.wall_us = (double)(apw_now_us() - start);
		if (write(sock, &took, sizeof(took)) != sizeof(took))
			break;
	}
	exit(0);
}

struct floor *
floor_start(const struct tool *t)
{
	struct floor	*f = calloc(1, sizeof(*f));
	int		 pair[2];

	if (f == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    pair) == -1 || (f->pid = fork()) == -1)
		exit(125);
	if (f->pid == 0) {
		close(pair[0]);
		floor_main(t, pair[1]);
	}
	close(pair[1]);
	f->sock = pair[0];
	return f;
}

void
floor_once(struct floor *f, struct took *took)
{
	if (write(f->sock, "", 1) != 1 ||
	    read(f->sock, took, sizeof(*took)) != sizeof(*took))
		exit(125);
}

void
floor_stop(struct floor *f)
{
	close(f->sock);
	waitpid(f->pid, NULL, 0);
	free(f);
}
