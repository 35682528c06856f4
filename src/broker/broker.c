/* The broker's process: one loop over fixed-size requests.  Room: broker.
 * It must never read what an engine wrote, and never allocate for a peer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"
#include "core/apw_auto.h"
#include "core/apw_str.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	(1U << 2)
#endif

extern char	**environ;

static volatile sig_atomic_t	broker_stopped;

static void
broker_on_signal(int sig)
{
	(void)sig;
	broker_stopped = 1;
}

/* With the first box: where it is held to its memory. */
static void
broker_group(struct broker *b)
{
	if (!b->cgroup_tried)
		b->cgroup = cgroup_open(b);
	b->cgroup_tried = true;
}

/* Most of the boxes' filter becomes ours, and is inherited. */
static int
broker_narrow(enum filter_kind kind, struct apw_err *err)
{
	struct sock_fprog	ours;
	int			rc;

	if (filter_compile(kind, &ours, err) == -1)
		return -1;
	rc = filter_install(&ours);
	free(ours.filter);
	return rc == 0 ? 0 : apw_err_set(err, errno, "cannot install the "
	    "syscall filter");
}

/* Limits and the filter, which depends on what the control group can hold. */
static int
broker_limits(struct broker *b, struct apw_err *err)
{
	bool	holds;

	broker_group(b);
	if (b->filter.filter != NULL)
		return 0;
	if (b->conf->builds)
		return filter_compile(FILTER_BUILDER, &b->filter, err);
	holds = cgroup_holds(b->cgroup, "memory");
	if (!b->conf->only_boxes)
		return filter_compile(holds ? FILTER_BOX :
		    FILTER_BOX_NO_MEMORY_GROUP, &b->filter, err);
	if (filter_compile(FILTER_REST, &b->filter, err) == -1)
		return -1;
	if (broker_narrow(holds ? FILTER_BROKER :
	    FILTER_BROKER_NO_MEMORY_GROUP, err) == 0)
		return 0;
	free(b->filter.filter);
	b->filter.filter = NULL;
	return -1;
}

/* What a box may be asked to be here. */
static unsigned
broker_flags(const struct broker *b)
{
	return b->conf->builds ? APW_BOX_OWN_NET | APW_BOX_ISOLATES |
	    APW_BOX_AHEAD | APW_BOX_CACHE : APW_BOX_OWN_NET |
	    APW_BOX_ISOLATES | APW_BOX_OUTSIDE | APW_BOX_AHEAD |
	    APW_BOX_HOST_FILES | APW_BOX_HARDEN;
}

int
broker_ready(struct broker *b, unsigned flags, struct apw_err *err)
{
	if ((flags & ~broker_flags(b)) != 0 || (b->conf->builds &&
	    (flags & APW_BOX_OWN_NET) == 0))
		return apw_err_set(err, EPROTO, "an unknown kind of box");
	if (b->conf->only_boxes && (flags & (APW_BOX_HOST_FILES |
	    APW_BOX_OUTSIDE)) != 0)
		return apw_err_set(err, EPROTO, "this broker has given up "
		    "what such a box needs");
	if ((flags & APW_BOX_HOST_FILES) != 0) {
		broker_group(b);
		return host_prepare(b, flags, err);
	}
	return broker_limits(b, err) == -1 ? -1 : template_make(b, err);
}

static int
broker_do_boot(struct broker *b, const struct broker_request *rq,
    const int *fds, struct broker_reply *reply, int *out, int *nout,
    struct apw_err *err)
{
	/* one that was late may have ended since */
	if (b->pid != 0 && message_wait(b->pidfd, 0) == 1)
		box_end(b, &reply->end, NULL);
	if (b->pid != 0) {
		apw_err_set(err, EBUSY, "the box before this one (process %d) "
		    "has not ended, though it was killed", (int)b->pid);
		return apw_err_blame(err, APW_FAULT_OWN);
	}
	if (broker_ready(b, rq->flags, err) == -1)
		return -1;
	broker_lean(b);
	if (box_boot(b, rq, fds, reply, out, nout, err) == -1) {
		/* what was admitted was for this box; its body is the slot's */
		reply->pid = b->pid;
		while (*nout > 1)
			close(out[--*nout]);
		*nout = 0;
		box_end(b, &reply->end, NULL);
		lane_clear(b);
		return -1;
	}
	reply->pid = b->pid;
	return 0;
}

static int
broker_do_try(struct broker *b, const struct broker_request *rq,
    struct apw_err *err)
{
	return broker_ready(b, rq->flags, err) == -1 ? -1 :
	    box_try(b, rq->flags, err);
}

static int
broker_do_admit(struct broker *b, const struct broker_request *rq,
    struct apw_err *err)
{
	if (b->conf->builds)
		return apw_err_set(err, EPROTO, "builders have no flows");
	if (rq->what != APW_ADMIT_FLOW && rq->what != APW_ADMIT_PLATFORM)
		return apw_err_set(err, EPROTO, "an unknown admission");
	if (memchr(rq->id, '\0', sizeof(rq->id)) == NULL ||
	    !lane_is_name(rq->what, rq->id)) {
		apw_err_set(err, EPROTO, "what is to be admitted is no name "
		    "of a folder");
		return apw_err_blame(err, APW_FAULT_APP);
	}
	/* what the lane leads to is made with the first box */
	if (b->lane_fd == -1 && lane_open(b, err) == -1)
		return -1;
	cgroup_yield(b->cgroup, false);
	cgroup_mark_memory(b->cgroup);
	return lane_admit(b, rq->what, rq->id, err);
}

static int
broker_do_describe(struct broker *b, struct broker_reply *reply,
    struct apw_err *err)
{
	if (broker_limits(b, err) == -1 ||
	    (b->conf->common != NULL && template_make(b, err) == -1))
		return -1;
	cgroup_describe(b->cgroup, reply->text, sizeof(reply->text));
	return 0;
}

/* The status of the reply; descriptors that go with it in out. */
static int
broker_do(struct broker *b, const struct broker_request *rq, const int *fds,
    struct broker_reply *reply, int *out, int *nout, struct apw_err *err)
{
	switch ((enum broker_op)rq->op) {
	case BROKER_BOOT:
		return broker_do_boot(b, rq, fds, reply, out, nout, err);
	case BROKER_TRY:
		return broker_do_try(b, rq, err);
	case BROKER_ADMIT:
		return broker_do_admit(b, rq, err);
	case BROKER_KILL:
		box_kill(b);
		return 0;
	case BROKER_END:
		return box_end(b, &reply->end, err);
	case BROKER_DESCRIBE:
		return broker_do_describe(b, reply, err);
	case BROKER_HURRY:
		cgroup_yield(b->cgroup, false);
		return 0;
	case BROKER_MARK:
		cgroup_mark_memory(b->cgroup);
		return 0;
	default:
		return apw_err_set(err, EPROTO, "an unknown request");
	}
}

/* One request; -1 ends the broker: its slot is gone or not to be trusted. */
static int
broker_turn(struct broker *b)
{
	static const int	wanted[] = { BROKER_REQUESTS(BROKER_REQUEST_FDS) };
	struct broker_request	rq;
	struct broker_reply	reply = { 0 };
	struct apw_err		err = APW_ERR_NONE;
	int			fds[BROKER_FDS_MAX], nfds, out[3], nout = 0, rc;
	ssize_t			n = message_recv(b->sock, &rq, sizeof(rq), fds,
				    &nfds);

	if (n != sizeof(rq) || rq.op >= BROKER_NOPS || (nfds != wanted[rq.op] &&
	    (rq.op != BROKER_BOOT || nfds != BROKER_FDS_MAX)))
		return -1;
	if (nfds < BROKER_FDS_MAX)
		fds[BROKER_FDS_MAX - 1] = -1;	/* no rules */
	reply.op = rq.op;
	reply.status = broker_do(b, &rq, fds, &reply, out, &nout, &err);
	if (reply.status == -1) {
		reply.code = err.code;
		reply.fault = (int32_t)err.fault;
		snprintf(reply.text, sizeof(reply.text), "%.*s",
		    (int)sizeof(reply.text) - 1, err.text);
	}
	rc = rq.op == BROKER_HURRY || rq.op == BROKER_MARK ? 0 :
	    message_send(b->sock, &reply, sizeof(reply), out, nout);
	while (nfds > 0)
		close(fds[--nfds]);
	/* the pidfd stays ours, the listeners do not */
	while (nout > 1)
		close(out[--nout]);
	return rc;
}

/* Nothing of the process we were copied from may be of use to a box: its
 * descriptors go, its environment (which may hold secrets) is wiped. */
static int
broker_forget(struct broker *b)
{
	char	**e;
	int	  null;

	if (b->conf->forget != NULL)
		b->conf->forget(b->conf->forget_arg);
	for (e = environ; e != NULL && *e != NULL; e++)
		explicit_bzero(*e, strlen(*e));
	environ = NULL;
	if (dup2(b->sock, 3) == -1)
		return -1;
	if (syscall(SYS_close_range, 4U, ~0U, 0U) == -1)
		return -1;
	b->sock = 3;
	if (fcntl(3, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1)
		return -1;
	close(null);
	return 0;
}

static const int broker_ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1,
    SIGUSR2, SIGWINCH, SIGPIPE };

static bool
broker_ignores(int sig)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(broker_ignored); i++)
		if (broker_ignored[i] == sig)
			return true;
	return false;
}

/* Those that have a handler lose it with exec. */
void
broker_signals_back(void)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(broker_ignored); i++)
		call_signal_default(broker_ignored[i]);
	call_signals_unblock();
}

static void
broker_signals(void)
{
	struct sigaction	act = { .sa_handler = broker_on_signal };
	sigset_t		none;
	size_t			i;
	int			sig;

	for (i = 0; i < APW_COUNT(broker_ignored); i++)
		signal(broker_ignored[i], SIG_IGN);
	/* what the slot was born with is not for engines either */
	for (sig = 1; sig < NSIG; sig++)
		if (!broker_ignores(sig))
			signal(sig, SIG_DFL);
	sigaction(SIGTERM, &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
broker_decline(struct broker *b, const struct apw_err *err)
{
	struct broker_request	rq;
	struct broker_reply	reply = { .status = -1 };
	int			fds[BROKER_FDS_MAX], nfds;

	if (message_recv(b->sock, &rq, sizeof(rq), fds, &nfds) != sizeof(rq))
		return;
	reply.op = rq.op;
	reply.code = err->code;
	snprintf(reply.text, sizeof(reply.text), "%.*s",
	    (int)sizeof(reply.text) - 1, err->text);
	message_send(b->sock, &reply, sizeof(reply), NULL, 0);
}

bool
broker_wait(const struct broker *b)
{
	struct pollfd	p = { .fd = b->sock, .events = POLLIN };

	return poll(&p, 1, -1) == 1 && !broker_stopped;
}

static int
broker_prepare(struct broker *b, struct apw_err *err)
{
	caps_count();
	if (landlock_abi() >= LANDLOCK_ABI_SCOPE &&
	    (b->scope_fd = landlock_scope()) == -1)
		return apw_err_set(err, errno, "cannot close abstract sockets "
		    "off");
	if (user_enter(b, err) == -1)
		return -1;
	counts_open(b);
	return 0;
}

_Noreturn void
broker_serve(struct broker *b)
{
	struct apw_err	err = APW_ERR_NONE;

	user_oom_open(b);
	while (broker_wait(b) && broker_turn(b) == 0)
		;
	box_kill(b);
	box_end(b, &(struct apw_box_end){ 0 }, &err);
	cgroup_close(b->cgroup);
	_exit(0);
}

_Noreturn void
broker_main(const struct apw_broker_conf *conf, int sock, pid_t parent)
{
	struct broker	b = { .conf = conf, .sock = sock, .home_fd = -1,
			    .host_fd = -1, .host_proc = true,
			    .host_walls = true,
			    .template_fd = -1, .common_fd = -1, .codes_fd = -1,
			    .custom_fd = -1, .lane_fd = -1, .pidfd = -1,
			    .scope_fd = -1,
			    .life_fd = -1, .outside = OUTSIDE_NONE,
			    .staging_fd = -1, .cache_fd = -1,
			    .idmap_fd = -1, .oom_fd = -1, .canary_fd = -1 };
	struct apw_err	err = APW_ERR_NONE;
	bool		fit;

	prctl(PR_SET_NAME, "apw-broker");
	if (broker_forget(&b) == -1)
		_exit(71);
	broker_signals();
	/* a slot keeps others out of its memory; we write our maps in /proc */
	prctl(PR_SET_DUMPABLE, 1);
	fit = broker_prepare(&b, &err) == 0;
	if (!fit && !conf->builds) {
		broker_decline(&b, &err);
		_exit(71);
	}
	/* after all changes of credentials; a signal we catch, to clean up */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || getppid() != parent)
		_exit(71);
	if (conf->builds)
		nursery_main(&b, fit ? NULL : &err);
	broker_serve(&b);
}
