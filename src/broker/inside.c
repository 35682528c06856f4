/* The first process of a box: a flat list of steps, and the order is the
 * security.  Room: broker, after clone.
 *
 * It starts as a copy of the broker in seven or eight new namespaces, with
 * all capabilities over those and none over anything else; it ends up as
 * init (init.c), whose one child becomes the engine (engine.c).  Nothing of
 * the slot's choosing is looked at before the privileges are gone. */
#include "config.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"

_Noreturn void
inside_fail(const struct box_plan *plan, enum box_step step)
{
	struct box_word	w = { .step = step, .error = errno };

	message_send(plan->talk_fd, &w, sizeof(w), NULL, 0);
	_exit(127);
}

/* Not by the C library: each page that is written is copied. */
static void
inside_title(const struct box_plan *plan)
{
	const struct apw_broker_conf	*c = plan->b->conf;
	const char			*from = c->box_title;
	volatile char			*to = c->title_at;
	size_t				 n = c->title_bytes;

	call_prctl(PR_SET_NAME, (unsigned long)(uintptr_t)"apw-box");
	if (from == NULL || n == 0)
		return;
	for (; n > 1 && *from != '\0'; n--)
		*to++ = *from++;
	/* the broker's may be longer; nothing comes after it */
	for (; n > 0 && *to != '\0'; n--)
		*to++ = '\0';
}

/* The uid maps are written once this comes; an end means they never will. */
static void
inside_go(const struct box_plan *plan)
{
	char	go;

	if (CALL(read, plan->talk_fd, &go, 1UL) == 1)
		return;
	errno = EPIPE;
	inside_fail(plan, BOX_GO);
}

static void
inside_user(const struct box_plan *plan)
{
	if (CALL(setresgid, BOX_GID, BOX_GID, BOX_GID) == -1 ||
	    CALL(setresuid, BOX_UID, BOX_UID, BOX_UID) == -1)
		inside_fail(plan, BOX_USER);
}

/* Ask the broker for a way out, and see it there. */
static void
inside_outside(const struct box_plan *plan)
{
	struct box_word	w = { .step = BOX_WORD_OUTSIDE };
	char		go;
	int		fds[BROKER_FDS_MAX], nfds;

	if ((plan->flags & APW_BOX_OUTSIDE) == 0)
		return;
	errno = EPIPE;
	if (message_send(plan->talk_fd, &w, sizeof(w), NULL, 0) == -1 ||
	    message_recv(plan->talk_fd, &go, 1, fds, &nfds) != 1 ||
	    attest_outside(plan->talk_fd) == -1)
		inside_fail(plan, BOX_OUTSIDE);
}

/* A network of its own is empty: loopback, and two listeners that belong to
 * the slot.  They are opened here and handed out; nothing else can be. */
static void
inside_network(const struct box_plan *plan)
{
	struct box_word	w = { .step = BOX_WORD_LISTENERS };
	enum box_step	step;
	int		fds[2];

	if ((plan->flags & APW_BOX_OWN_NET) == 0)
		return;
	if (net_loopback() == -1)
		inside_fail(plan, BOX_LOOPBACK);
	inside_outside(plan);
	if ((fds[0] = net_listen(APW_BOX_LINK_PORT)) == -1 ||
	    (fds[1] = net_listen(APW_BOX_PROXY_PORT)) == -1)
		inside_fail(plan, BOX_LISTEN);
	/* only what has been proved is handed out, and without it the box is
	 * killed: the listeners are its word that all is as it must be */
	if ((step = attest_box(plan, fds)) != BOX_NSTEPS)
		inside_fail(plan, step);
	if (message_send(plan->talk_fd, &w, sizeof(w), fds, 2) == -1)
		inside_fail(plan, BOX_LISTEN);
	close(fds[0]);
	close(fds[1]);
}

/* While the broker writes the uid maps: what does not need them. */
static void
inside_nobody(const struct box_plan *plan)
{
	/* the doctor says where it cannot be done */
	counts_enter(plan->b, plan->flags);
	if (CALL(mount, "proc", "/proc", "proc", (unsigned long)(MS_NOSUID |
	    MS_NODEV | MS_NOEXEC | MS_RDONLY), NULL) == -1)
		inside_fail(plan, BOX_PROC);
	if (CALL(sethostname, "box", 3) == -1)
		inside_fail(plan, BOX_HOSTNAME);
	if (caps_drop_own_bounds() == -1)
		inside_fail(plan, BOX_CAPS);
}

static void
inside_tmp(const struct box_plan *plan)
{
	if (plan->b->conf->builds)
		builder_enter(plan, plan->tmp_options);
	else if (CALL(mount, "tmpfs", "/tmp", "tmpfs",
	    (unsigned long)(MS_NOSUID | MS_NODEV), plan->tmp_options) == -1)
		inside_fail(plan, BOX_TMP);
}

static void
inside_keyring(const struct box_plan *plan)
{
	/* not the daemon's session keyring; ENOSYS: a kernel without keys */
	if (CALL(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) == -1 &&
	    errno != ENOSYS && errno != EPERM)
		inside_fail(plan, BOX_KEYRING);
}

/* For init and engine alike; what is left to do needs no privilege. */
static void
inside_drop(const struct box_plan *plan)
{
	bool	host = (plan->flags & APW_BOX_HOST_FILES) != 0;
	bool	own = user_own(plan->b, plan->flags);

	if ((own && host && caps_drop_own_bounds() == -1) ||
	    caps_drop(own) == -1)
		inside_fail(plan, BOX_CAPS);
	if (call_prctl(PR_SET_NO_NEW_PRIVS, 1) == -1)
		inside_fail(plan, BOX_NOPRIVS);
	if (host && (plan->flags & APW_BOX_HARDEN) == 0)
		return;
	if (filter_install(host ? &plan->b->host_filter :
	    &plan->b->filter) == -1)
		inside_fail(plan, BOX_FILTER);
}

static void
inside_box(const struct box_plan *plan)
{
	inside_nobody(plan);
	inside_go(plan);
	inside_user(plan);
	inside_network(plan);
	inside_tmp(plan);
	inside_keyring(plan);
}

/* The engine's process lives in our memory until it executes its command,
 * and we wait for that: nothing is copied for those few calls.  It neither
 * returns nor changes what is ours.  Sanitizers want memory of its own. */
#ifdef APW_DEVELOPER
#define inside_fork	fork
#else
#define inside_fork	vfork
#endif

_Noreturn void
inside_main(const struct box_plan *plan)
{
	pid_t	engine;

	inside_title(plan);
	if ((plan->flags & APW_BOX_HOST_FILES) != 0) {
		inside_go(plan);
		inside_network(plan);
		host_enter(plan);
	} else
		inside_box(plan);
	CALL(umask, 077);
	inside_drop(plan);
	if (plan->trial)
		call_exit(0);
	/* init is a copy of the broker's memory, and has the engine's uid */
	call_prctl(PR_SET_DUMPABLE, 0);
	engine = inside_fork();
	if (engine == -1)
		inside_fail(plan, BOX_FORK);
	if (engine == 0)
		engine_main(plan);
	engine_forget();
	init_main(plan, engine);
}
