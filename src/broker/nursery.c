/* A broker that makes brokers: of the builders of one slot.  Room: broker.
 *
 *	slot ── nursery ── broker ── init ── tool
 *	  └── keeper ────────┘ asks
 *
 * Installs and builds are the work of keepers, of which a slot may have
 * several at a time, each of them born when the slot has lost what making a
 * box takes.  So the nursery, which was forked in time, has the template made
 * once, and forks a broker for each keeper that asks for one; that one serves
 * its keeper, and ends with it.  It must never read anything but requests for
 * brokers. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/broker_priv.h"

/* Where boxes cannot be made each of them says why. */
struct nursery {
	struct broker	*b;
	struct apw_err	 why;
	bool		 tried, fit;
};

static _Noreturn void
nursery_child(struct nursery *n, int sock, pid_t parent)
{
	struct broker	*b = n->b;

	signal(SIGCHLD, SIG_DFL);
	if (dup3(sock, b->sock, O_CLOEXEC) == -1 || close(sock) == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || getppid() != parent)
		_exit(71);
	if (!n->fit) {
		broker_decline(b, &n->why);
		_exit(71);
	}
	broker_serve(b);
}

/* All that boxes have in common; and one to see whether they can be. */
static int
nursery_prepare(struct broker *b, struct apw_err *err)
{
	return builder_open(b, err) == -1 ||
	    filter_compile(FILTER_BUILDER, &b->filter, err) == -1 ||
	    template_make(b, err) == -1 ||
	    box_try(b, APW_BOX_OWN_NET, err) == -1 ? -1 : 0;
}

/* -1: whoever asks is gone, or not to be trusted. */
static int
nursery_turn(struct nursery *n)
{
	struct broker_request	rq;
	int			fds[BROKER_FDS_MAX], nfds;
	pid_t			parent = getpid(), pid;
	ssize_t			got = message_recv(n->b->sock, &rq, sizeof(rq),
				    fds, &nfds);

	if (got != sizeof(rq) || rq.op != BROKER_OPEN || nfds != 1) {
		while (got > 0 && nfds > 0)
			close(fds[--nfds]);
		return -1;
	}
	/* not before: what is to be shown in boxes may be made by the slot */
	if (!n->tried)
		n->fit = nursery_prepare(n->b, &n->why) == 0;
	n->tried = true;
	signal(SIGCHLD, SIG_IGN);	/* nobody waits for them */
	pid = fork();
	if (pid == 0)
		nursery_child(n, fds[0], parent);
	/* no process left: the keeper is told by the end of its socket */
	close(fds[0]);
	return 0;
}

_Noreturn void
nursery_main(struct broker *b, const struct apw_err *why)
{
	struct nursery	n = { .b = b, .why = APW_ERR_NONE,
			    .tried = why != NULL };

	if (why != NULL)
		n.why = *why;
	while (broker_wait(b) && nursery_turn(&n) == 0)
		;
	_exit(0);
}
