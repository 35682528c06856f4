/* Making a box, and its end.  Room: broker.
 *
 * The first process is cloned from inside the template namespace, so that it
 * starts in a copy of it; it waits until its uid maps are written, sets up
 * the rest itself (inside.c), and reports over one socket that closes when
 * the engine runs.  It is made a child of the slot, not of the broker;
 * builders' boxes are their broker's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#define BOX_START_MS	5000
#define BOX_END_MS	2000
#define BOX_STEP_TEXT(name, text)	text,

static const char *const box_steps[] = { BOX_STEPS(BOX_STEP_TEXT) };

static const struct apw_box_limits	box_no_limits;

/* What a broker has of a box while it makes one. */
struct box_birth {
	pid_t	pid, engine_pid;
	int	pidfd;
	int	step;			/* that failed, or -1 */
	int	*out;			/* descriptors for the slot */
	int	*nout;
	struct outside *outside;
};

static uint64_t
box_namespaces(const struct broker *b, unsigned flags)
{
	/* what is shared by number, not by name, outlives who made it */
	uint64_t	ns = CLONE_NEWPID | CLONE_NEWIPC;

	if ((flags & APW_BOX_HOST_FILES) == 0)
		ns |= CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWCGROUP |
		    user_time();
	else if (b->host_proc)
		ns |= CLONE_NEWNS;
	if ((flags & APW_BOX_OWN_NET) != 0)
		ns |= CLONE_NEWNET;
	if (user_own(b, flags))
		ns |= CLONE_NEWUSER;
	return ns;
}

/* Returns the pid, 0 in the box.  A trial is our own child, as a builder's
 * box is; others are the slot's. */
static pid_t
box_clone(const struct box_plan *plan, int *pidfd)
{
	struct clone_args	args = {
		.flags = CLONE_PIDFD | box_namespaces(plan->b, plan->flags),
		.pidfd = (uintptr_t)pidfd,
	};

	if (plan->trial || plan->b->conf->builds)
		args.exit_signal = SIGCHLD;
	else
		args.flags |= CLONE_PARENT;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int
box_word_error(const struct box_word *w, int *step, struct apw_err *err)
{
	if (w->step < 0 || w->step >= BOX_NSTEPS)
		return apw_err_set(err, EPROTO, "a box broke off");
	*step = w->step;
	return apw_err_set(err, w->error, "a box %s", box_steps[w->step]);
}

/* It has its loopback and wants more. */
static int
box_lead_out(const struct broker *b, int talk_fd, struct outside *o,
    struct apw_err *err)
{
	if (o->net_fd == -1 || o->keeper != 0)
		return apw_err_set(err, EPROTO, "a box");
	if (outside_start(b, o, err) == -1)
		return -1;
	return message_send(talk_fd, "", 1, NULL, 0) == -1 ?
	    apw_err_set(err, errno, "cannot tell a box to go on") : 1;
}

/* 1: a word that was expected; 0: the end of words; -1. */
static int
box_word(const struct broker *b, int talk_fd, bool own_net,
    struct box_birth *birth, struct apw_err *err)
{
	struct box_word	w;
	int		fds[BROKER_FDS_MAX], nfds, *nout = birth->nout;
	pid_t		from;
	ssize_t		n = message_recv_from(talk_fd, &w, sizeof(w), fds,
			    &nfds, &from);

	if (n == 0 || (n == -1 && errno == ECONNRESET))
		return 0;
	if (n == sizeof(w) && w.step == BOX_WORD_LISTENERS && nfds == 2 &&
	    own_net && *nout == 1) {
		birth->out[(*nout)++] = fds[0];
		birth->out[(*nout)++] = fds[1];
		return 1;
	}
	while (nfds > 0)
		close(fds[--nfds]);
	if (n != sizeof(w))
		return apw_err_set(err, n == -1 ? errno : EPROTO, "a box");
	if (w.step == BOX_WORD_OUTSIDE)
		return box_lead_out(b, talk_fd, birth->outside, err);
	if (w.step != BOX_WORD_ENGINE)
		return box_word_error(&w, &birth->step, err);
	birth->engine_pid = from;
	return 1;
}

/* Until the engine runs (the socket closes), or a step failed. */
static int
box_listen(const struct broker *b, int talk_fd, bool own_net,
    struct box_birth *birth, struct apw_err *err)
{
	int	rc;

	do {
		if (outside_wait(birth->outside, talk_fd, BOX_START_MS,
		    err) == -1)
			return -1;
	} while ((rc = box_word(b, talk_fd, own_net, birth, err)) == 1);
	if (rc == 0 && own_net && *birth->nout != 3)
		return apw_err_set(err, 0, "a box gave no listeners");
	return rc;
}

/* The box is there: give it its uid, let it go, hear how it went. */
static int
box_raise(struct broker *b, const struct box_plan *plan, int talk_fd,
    struct box_birth *birth, struct apw_err *err)
{
	int	rc, error;

	if (user_map(b, plan->flags, birth->pid, err) == -1)
		return -1;
	if ((plan->flags & APW_BOX_OUTSIDE) != 0 && outside_hold(b,
	    plan->flags, birth->pid, birth->outside, err) == -1)
		return -1;
	rc = message_send(talk_fd, "", 1, NULL, 0);
	error = errno;
	/* if it did not hear that, it has said why */
	if (box_listen(b, talk_fd, (plan->flags & APW_BOX_OWN_NET) != 0,
	    birth, err) == -1)
		return -1;
	return rc == 0 ? 0 : apw_err_set(err, error, "cannot tell a box to "
	    "go on");
}

/* In the namespace it is to have a copy of only for the time of a clone. */
static int
box_fork(struct broker *b, const struct box_plan *plan,
    struct box_birth *birth, struct apw_err *err)
{
	bool	host = (plan->flags & APW_BOX_HOST_FILES) != 0;
	/* who leads it outside must own it: the broker does, as itself */
	bool	as_box = !host && (plan->flags & APW_BOX_OUTSIDE) == 0;
	int	error;

	if (setns(host ? b->host_fd : b->template_fd, CLONE_NEWNS) == -1)
		return apw_err_set(err, errno, "cannot enter the template");
	if (!host)
		user_oom(b, true);
	if (as_box)
		user_clone_as(b, true);
	birth->pid = box_clone(plan, &birth->pidfd);
	if (birth->pid == 0)
		inside_main(plan);
	error = errno;
	if (as_box)
		user_clone_as(b, false);
	if (!host)
		user_oom(b, false);
	if (setns(b->home_fd, CLONE_NEWNS) == -1)
		return apw_err_set(err, errno, "cannot leave the template");
	if (birth->pid == -1) {
		birth->pid = 0;
		birth->pidfd = -1;
		return apw_err_set(err, error, "cannot clone a box");
	}
	return 0;
}

static void
box_tmp_options(struct box_plan *plan)
{
	const struct apw_box_limits	*l = plan->limits;

	/* 0 would mean "no limit" to the kernel, which is never meant */
	snprintf(plan->tmp_options, sizeof(plan->tmp_options),
	    "mode=0700,size=%llu,nr_inodes=%u", l->tmp_bytes != 0 ?
	    (unsigned long long)l->tmp_bytes : 256ULL << 20,
	    l->tmp_files != 0 ? l->tmp_files : 65536);
}

/* From clone to the command's begin.  What is left when that fails is in
 * birth, too. */
static int
box_make(struct broker *b, struct box_plan *plan, struct box_birth *birth,
    struct apw_err *err)
{
	int	talk[2], rc, yes = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk) == -1)
		return apw_err_set(err, errno, "no socket for a box");
	apw_autofd int ours = talk[0];
	apw_autofd int theirs = talk[1];
	/* the kernel's word for who an engine is */
	if ((plan->flags & APW_BOX_HOST_FILES) != 0 && setsockopt(ours,
	    SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) == -1)
		return apw_err_set(err, errno, "SO_PASSCRED");
	if ((plan->flags & APW_BOX_OWN_NET) != 0 && b->canary_fd == -1 &&
	    (b->canary_fd = attest_canary(&b->canary_port)) == -1)
		return apw_err_set(err, errno, "cannot listen on the host's "
		    "loopback, to prove that a box does not reach it");
	plan->talk_fd = theirs;
	box_tmp_options(plan);
	if (host_codes(b, plan, err) == -1)
		return -1;
	apw_autofd int codes = plan->codes_fd;
	(void)codes;
	rc = box_fork(b, plan, birth, err);
	close(apw_take_fd(&theirs));
	if (birth->pidfd != -1)
		birth->out[(*birth->nout)++] = birth->pidfd;
	return rc == -1 ? -1 : box_raise(b, plan, ours, birth, err);
}

static void
box_try_end(struct box_birth *birth)
{
	if (birth->pid != 0) {
		syscall(SYS_pidfd_send_signal, birth->pidfd, SIGKILL, NULL, 0);
		/* who waits for us must not wait for one that cannot end */
		message_wait(birth->pidfd, BOX_END_MS);
		waitpid(birth->pid, NULL, WNOHANG);
	}
	while (*birth->nout > 0)
		close(birth->out[--*birth->nout]);
	outside_stop(birth->outside);
}

static int
box_try_once(struct broker *b, unsigned flags, int *step,
    struct apw_err *err)
{
	int			out[3], nout = 0, rc;
	struct outside		outside = OUTSIDE_NONE;
	struct box_birth	birth = { .pidfd = -1, .step = -1, .out = out,
				    .nout = &nout, .outside = &outside };
	struct box_plan		plan = { .b = b, .flags = flags, .trial = true,
				    .limits = &b->conf->limits, .rules_fd = -1,
				    .build_fd = -1, .cache_fd = -1 };

	rc = box_make(b, &plan, &birth, err);
	box_try_end(&birth);
	*step = birth.step;
	return rc;
}

int
box_try(struct broker *b, unsigned flags, struct apw_err *err)
{
	int	step, rc = box_try_once(b, flags, &step, err);

	if (rc == 0 || (flags & APW_BOX_HOST_FILES) == 0 ||
	    (step != BOX_PROC && step != BOX_WALLS))
		return rc;
	/* a container that hides parts of its /proc: with that, then */
	if (step == BOX_PROC)
		b->host_proc = false;
	b->host_walls = false;
	return box_try_once(b, flags, &step, err);
}

int
box_boot(struct broker *b, const struct broker_request *rq, const int *fds,
    struct broker_reply *reply, int out[3], int *nout, struct apw_err *err)
{
	bool			host = (rq->flags & APW_BOX_HOST_FILES) != 0;
	struct box_birth	birth = { .pidfd = -1, .step = -1, .out = out,
				    .nout = nout, .outside = &b->outside };
	struct box_plan		plan = { .b = b, .flags = rq->flags,
				    .memory_bytes = rq->memory_bytes,
				    .limits = host ? &box_no_limits :
				    &b->conf->limits,
				    .command_fd = fds[0], .out_fd = fds[1],
				    .err_fd = fds[2], .status_fd = fds[3],
				    .rules_fd = fds[4],
				    .build_fd = -1, .cache_fd = -1 };
	int			life[2], rc;

	if (cgroup_limit(b->cgroup, plan.limits, rq->memory_bytes, err) == -1)
		return -1;
	cgroup_yield(b->cgroup, false);
	cgroup_mark(b->cgroup);
	if (pipe2(life, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for a box");
	apw_autofd int life_r = life[0];
	b->life_fd = life[1];
	plan.life_fd = life_r;
	if (b->conf->builds && builder_place(b, &plan, rq->id, err) == -1)
		return -1;
	rc = box_make(b, &plan, &birth, err);
	builder_place_close(&plan);
	b->pid = birth.pid;
	b->pidfd = birth.pidfd;
	reply->engine_pid = birth.engine_pid;
	if (rc == -1)
		box_kill(b);
	/* not before: the slot waits for us until now */
	else if ((rq->flags & APW_BOX_AHEAD) != 0)
		cgroup_yield(b->cgroup, true);
	return rc;
}

void
box_kill(struct broker *b)
{
	if (b->pid != 0)
		syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0);
}

/* Its init has ended, and with it all that was in there. */
int
box_end(struct broker *b, struct apw_box_end *end, struct apw_err *err)
{
	int	late = 0;

	if (b->pid != 0 && message_wait(b->pidfd, BOX_END_MS) != 1)
		late = apw_err_set(err, EBUSY, "the box has not ended");
	outside_stop(&b->outside);
	if (late == 0 && b->pid != 0 && b->conf->builds)
		waitpid(b->pid, NULL, 0);
	if (late == 0) {
		cgroup_evidence(b->cgroup, end);
		lane_clear(b);
		b->pid = 0;
	}
	if (late == 0 && b->pidfd != -1) {
		close(b->pidfd);
		b->pidfd = -1;
	}
	if (b->life_fd != -1) {
		close(b->life_fd);
		b->life_fd = -1;
	}
	return late;
}
