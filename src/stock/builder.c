/* One tool (installer, bundler) run by a keeper: no shell, composed
 * environment, own session, limits, jail, bounded capture, a time limit, and
 * nothing left of its tree at any end.  Room: stock, keeper only: it reaps
 * every child of the calling process. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <cap-ng.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define BUILDER_LOOK_MS		100	/* how often the tree is looked at */
#define KILL_TREE_MS		5000

struct builder {
	struct stock_keeper	*k;		/* borrowed */
	struct stock_outcome	*outcome;	/* borrowed */
	pid_t			 pid;
	int			 pidfd, out_fd, err_fd;	/* owned */
	bool			 boxed;
	struct stock_box	 box;		/* then; pidfd is its own */
	int64_t			 end_ms;
	const char		*staging;	/* borrowed */
	struct stock_disk	 disk;
};

/* The kernel should take a build before it takes a slot or an engine. */
static void
offer_to_oom_killer(void)
{
	apw_autofd int fd = open("/proc/self/oom_score_adj",
	    O_WRONLY | O_CLOEXEC);

	if (fd != -1)
		(void)!write(fd, "500", 3);
}

static _Noreturn void
child_main(const struct stock_run *run, char *const *argv, char *const *envp,
    const int fds[3], int jail_fd, pid_t keeper)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)	/* it died before the line above */
		_exit(127);
	if (dup2(fds[0], 0) == -1 || dup2(fds[1], 1) == -1 ||
	    dup2(fds[2], 2) == -1 || chdir(run->cwd) == -1) {
		dprintf(2, "cannot enter %s: %s\n", run->cwd, strerror(errno));
		_exit(127);
	}
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	offer_to_oom_killer();
	stock_limit_set(run->timeout_ms);
	capng_clear(CAPNG_SELECT_BOTH);
	capng_apply(CAPNG_SELECT_BOTH);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    stock_jail_enter(jail_fd) == -1) {
		dprintf(2, "cannot lock down: %s\n", strerror(errno));
		_exit(127);
	}
	syscall(SYS_close_range, 3, ~0U, 0);
	execve(argv[0], argv, envp);
	dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int
make_folder(const char *staging, const char *name)
{
	apw_autofree char	*path = NULL;

	if (asprintf(&path, "%s/%s", staging, name) == -1)
		return -1;
	return mkdir(path, 0700) == -1 && errno != EEXIST ? -1 : 0;
}

/* npm is told by a variable, bun looks into its home.  Both get what we have
 * read: their own readings differ, and their environment is not the daemon's.
 * Without a box they go the way that it names by themselves. */
static int
place_npmrc(const struct apw_stock *stock, const struct stock_run *run,
    bool boxed, struct apw_err *err)
{
	apw_autofree char	*path = NULL;
	apw_autofd int		 fd = -1;

	if (!run->network)
		return 0;
	if (asprintf(&path, "%s/.home", run->staging) == -1)
		return apw_err_set(err, ENOMEM, "cannot prepare a build");
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return apw_err_set(err, errno, "%s", path);
	return stock_npmrc_copy(stock->cycle->stock.npmrc, !boxed, fd, err);
}

static int
builder_fork(struct builder *b, const struct stock_run *run,
    char *const *argv, char *const *envp, const int out[2],
    struct apw_err *err)
{
	apw_autofd int	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	apw_autofd int	jail_fd = -1;
	pid_t		keeper = getpid();

	if (b->boxed)
		return stock_box_start(b->k, run, argv, envp, out[0], out[1],
		    &b->box, err);
	jail_fd = stock_jail_prepare(b->k->stock, run, err);
	if (null_fd != -1 && (b->pid = fork()) == 0)
		child_main(run, argv, envp,
		    (const int[]){ null_fd, out[0], out[1] }, jail_fd,
		    keeper);
	return b->pid > 0 ? 0 : apw_err_set(err, errno, "cannot start %s",
	    argv[0]);
}

static int
builder_start(struct builder *b, const struct stock_run *run,
    struct apw_err *err)
{
	char		*argv[STOCK_ENV_MAX * 4];
	struct stock_env env;
	int		 out[2] = { -1, -1 }, err_pipe[2] = { -1, -1 };
	size_t		 n = 0;
	int		 rc = -1;

	argv[n++] = run->tool->path;
	while (run->args[n - 1] != NULL && n < APW_COUNT(argv) - 1) {
		argv[n] = (char *)(uintptr_t)run->args[n - 1];
		n++;
	}
	argv[n] = NULL;
	if (make_folder(run->staging, ".home") == -1 ||
	    make_folder(run->staging, ".tmp") == -1)
		return apw_err_set(err, errno, "cannot prepare a build");
	if (place_npmrc(b->k->stock, run, b->boxed, err) == -1)
		return -1;
	if (stock_env_compose(b->k->stock, run, b->boxed, &env, err) == -1)
		return -1;
	if (pipe2(out, O_CLOEXEC) == -1 || pipe2(err_pipe, O_CLOEXEC) == -1)
		apw_err_set(err, errno, "cannot start %s", argv[0]);
	else
		rc = builder_fork(b, run, argv, env.v,
		    (const int[]){ out[1], err_pipe[1] }, err);
	stock_env_free(&env);
	if (out[1] != -1)
		close(out[1]);
	if (err_pipe[1] != -1)
		close(err_pipe[1]);
	b->out_fd = out[0];
	b->err_fd = err_pipe[0];
	if (rc == -1)
		return -1;
	fcntl(b->out_fd, F_SETFL, O_NONBLOCK);
	fcntl(b->err_fd, F_SETFL, O_NONBLOCK);
	b->pidfd = b->boxed ? b->box.box.pidfd :
	    syscall(SYS_pidfd_open, b->pid, 0);
	return 0;
}

/* Keeps the beginning and the end, which hold what matters. */
static void
capture(struct apw_buf *buf, const char *p, size_t n)
{
	static const char	gap[] = "\n[...]\n";
	size_t			head = STOCK_OUTPUT_BYTES / 2;
	size_t			tail = STOCK_OUTPUT_BYTES / 4, from;

	if (buf->len + n > STOCK_OUTPUT_BYTES && buf->len > head + tail) {
		from = buf->len - tail;
		memmove(buf->data + head + sizeof(gap) - 1, buf->data + from,
		    tail);
		memcpy(buf->data + head, gap, sizeof(gap) - 1);
		buf->len = head + sizeof(gap) - 1 + tail;
	}
	apw_buf_put(buf, p, n);
}

/* Reads what is there; closes and forgets at end of file. */
static void
drain(int *fd, struct apw_buf *buf)
{
	char	block[8192];
	ssize_t	n;
	int	rounds = 64;	/* a flood must not keep us from the clock */

	while (*fd != -1 && rounds-- > 0) {
		n = read(*fd, block, sizeof(block));
		if (n > 0)
			capture(buf, block, n);
		else if (n == -1 && errno == EINTR)
			continue;
		else if (n == -1 && errno == EAGAIN)
			return;
		else {
			close(*fd);
			*fd = -1;
		}
	}
}

static void
kill_children_of_us(void)
{
	char		path[64], list[4096], *p, *end;
	apw_autofd int	fd = -1;
	ssize_t		n;
	long		pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || (n = read(fd, list, sizeof(list) - 1)) <= 0)
		return;
	list[n] = '\0';
	for (p = list; (pid = strtol(p, &end, 10)) > 0 && end != p; p = end)
		kill(pid, SIGKILL);
}

/* As their parents die, the strays become children of the keeper, which is a
 * subreaper; so this ends when there is no child left. */
static void
kill_tree(struct builder *b, int *status)
{
	int64_t	end_ms = apw_now_ms() + KILL_TREE_MS;
	int	st;
	pid_t	pid;

	kill(-b->pid, SIGKILL);
	kill(b->pid, SIGKILL);
	while (apw_now_ms() < end_ms) {
		while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
			if (pid == b->pid)
				*status = st;
		if (pid == -1 && errno == ECHILD)
			return;
		kill_children_of_us();
		poll(NULL, 0, 1);
	}
	apw_warn("processes of a build do not end", APW_I("pid", b->pid));
}

/* Is there too much of its tree, or of what that wrote? */
static bool
builder_over(struct builder *b, bool at_end)
{
	struct stock_outcome	*o = b->outcome;

	if (!at_end)
		o->over = stock_limit_exceeded(b->k->stock,
		    b->boxed ? b->box.box.pid : getpid());
	if (o->over == NULL && stock_disk_over(b->k->stock, b->staging,
	    &b->disk, at_end)) {
		o->over = "more disk than build_disk";
		o->over_disk = true;
	}
	return o->over != NULL;
}

static void
builder_wait(struct builder *b)
{
	int64_t	look_ms = apw_now_ms() + BUILDER_LOOK_MS;

	for (;;) {
		int64_t		left = b->end_ms - apw_now_ms();
		struct pollfd	p[] = {
			{ .fd = b->pidfd, .events = POLLIN },
			{ .fd = b->k->control_fd, .events = POLLIN },
			{ .fd = b->out_fd, .events = POLLIN },
			{ .fd = b->err_fd, .events = POLLIN },
		};

		if (left <= 0) {
			b->outcome->timed_out = true;
			return;
		}
		/* for its tree's size, for others who wait, and (without a
		 * pidfd) for its end */
		if (left > BUILDER_LOOK_MS)
			left = b->pidfd == -1 ? 20 : BUILDER_LOOK_MS;
		poll(p, APW_COUNT(p), left);
		drain(&b->out_fd, &b->outcome->out);
		drain(&b->err_fd, &b->outcome->err);
		if (apw_now_ms() >= look_ms) {
			look_ms = apw_now_ms() + BUILDER_LOOK_MS;
			if (builder_over(b, false))
				return;
		}
		if (p[1].revents != 0 || stock_hurry_called(b->k)) {
			b->k->cancelled = b->outcome->cancelled = true;
			return;
		}
		if (p[0].revents != 0 || (b->pidfd == -1 &&
		    b->out_fd == -1 && b->err_fd == -1))
			return;
	}
}

int
stock_builder_run(struct stock_keeper *k, const struct stock_run *run,
    struct stock_outcome *outcome, struct apw_err *err)
{
	struct builder	b = { .k = k, .outcome = outcome, .pidfd = -1,
	    .out_fd = -1, .err_fd = -1, .staging = run->staging,
	    .boxed = stock_boxes(k->stock),
	    .end_ms = apw_now_ms() + run->timeout_ms };
	int		status = 0;
	bool		started;

	*outcome = (struct stock_outcome){ .exit_code = -1,
	    .said = APW_BUF_INIT(STOCK_OUTPUT_BYTES),
	    .out = APW_BUF_INIT(2 * STOCK_OUTPUT_BYTES),
	    .err = APW_BUF_INIT(2 * STOCK_OUTPUT_BYTES) };
	if (run->tool->path == NULL)
		return apw_err_set(err, 0, "the tool is not installed");
	if (!b.boxed && k->stock->cycle->stock.jail == APW_JAIL_REQUIRE)
		return apw_err_set(err, 0, "no box for a builder: %s",
		    k->stock->boxes_why.text);
	stock_disk_begin(&b.disk, run->cache);
	started = builder_start(&b, run, err) == 0;
	if (started) {
		builder_wait(&b);
		/* one that ended by itself keeps its own status */
		if (b.boxed) {
			stock_box_end(k, &b.box, outcome, &status);
			b.pidfd = -1;
		} else
			kill_tree(&b, &status);
		drain(&b.out_fd, &outcome->out);
		drain(&b.err_fd, &outcome->err);
		if (WIFEXITED(status))
			outcome->exit_code = WEXITSTATUS(status);
		else if (WIFSIGNALED(status))
			outcome->signal = WTERMSIG(status);
		/* one that was too fast to be seen */
		if (stock_outcome_ok(outcome))
			builder_over(&b, true);
	}
	if (b.pidfd != -1)
		close(b.pidfd);
	if (b.out_fd != -1)
		close(b.out_fd);
	if (b.err_fd != -1)
		close(b.err_fd);
	return started ? 0 : -1;
}
