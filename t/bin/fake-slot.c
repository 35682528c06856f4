/* A slot that does what it is told, in the place of the real one: the
 * master's tests need slots that misbehave on order.
 *
 * At its start it reads the words of the file slot-N in the state directory
 * (slot-all when there is none):
 *
 *	busy=JOB	have this job until told to leave
 *	parked=MS	have a poll parked that is over after so long
 *	linger		on a signal to leave, go on
 *	linger=MS	... and leave after so many milliseconds
 *	deaf		do not even turn the loop: block, signals included
 *	orphans		leave grandchildren behind, in sessions of their own
 *	exit=N		leave at once with this status
 *	abort		... or so
 *	why=WORD	say this in the scoreboard
 *	unfit=WHY	as a canary, say so
 *	slow=MS		stay in "booting" so long
 *	slow		... until there is a file "go" beside this one
 *	stray-fds	write the descriptors it was born with to fds-N
 *	once		remove the file
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "slot/slot.h"

#define TICK_MS	200
#define UNTIL_GO	INT64_MAX

static struct {
	struct event_base	*base;
	struct apw_score_slot	*score;
	const char		*dir;
	unsigned		 number;
	char			 orders[256];
	int64_t			 up_ms;		/* when to be past the start,
						   or UNTIL_GO */
} fake;

/* The value of WORD or WORD=VALUE; NULL: not ordered. */
static const char *
order(const char *word, char value[64])
{
	char	 copy[256], *p, *save = NULL;
	size_t	 n = strlen(word);

	strcpy(copy, fake.orders);
	value[0] = '\0';
	for (p = strtok_r(copy, " \n", &save); p != NULL;
	    p = strtok_r(NULL, " \n", &save)) {
		if (strncmp(p, word, n) != 0 ||
		    (p[n] != '\0' && p[n] != '='))
			continue;
		if (p[n] == '=')
			snprintf(value, 64, "%s", p + n + 1);
		return value;
	}
	return NULL;
}

static void
read_orders(void)
{
	char	path[512], v[64];
	int	fd;

	snprintf(path, sizeof(path), "%s/slot-%u", fake.dir, fake.number);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		snprintf(path, sizeof(path), "%s/slot-all", fake.dir);
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			return;
	}
	if (read(fd, fake.orders, sizeof(fake.orders) - 1) == -1)
		abort();
	close(fd);
	if (order("once", v) != NULL)
		unlink(path);
}

static void
set_text(char *to, size_t size, const char *text)
{
	apw_score_begin(&fake.score->seq);
	snprintf(to, size, "%s", text);
	apw_score_end(&fake.score->seq);
}

static void
up(void)
{
	char	v[64];

	if (atomic_load(&fake.score->trial) != 0) {
		set_text(fake.score->why, sizeof(fake.score->why),
		    order("unfit", v) != NULL ? v : "");
		atomic_store(&fake.score->proof, order("unfit", v) != NULL ?
		    APW_PROOF_FAILED : APW_PROOF_PASSED);
	}
	if (order("busy", v) != NULL) {
		set_text(fake.score->job_id, sizeof(fake.score->job_id), v);
		set_text(fake.score->job_type, sizeof(fake.score->job_type),
		    "EXECUTE_FLOW");
		set_text(fake.score->phase, sizeof(fake.score->phase), "run");
		atomic_store(&fake.score->job_since_ms, apw_now_ms());
		atomic_fetch_add(&fake.score->jobs_started, 1);
		apw_score_state(fake.score, APW_SLOT_BUSY);
	} else
		apw_score_state(fake.score, APW_SLOT_IDLE);
	if (order("parked", v) != NULL)
		atomic_store(&fake.score->poll_until_ms, apw_now_ms() +
		    atoi(v));
}

static bool
may_go(void)
{
	char	path[512];

	snprintf(path, sizeof(path), "%s/go", fake.dir);
	return access(path, F_OK) == 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	atomic_store(&fake.score->tick_ms, apw_now_ms());
	if (atomic_load(&fake.score->state) != APW_SLOT_BOOTING)
		return;
	if (fake.up_ms == UNTIL_GO ? may_go() : apw_now_ms() >= fake.up_ms)
		up();
}

static void
on_leave(evutil_socket_t signo, short what, void *arg)
{
	struct timeval	tv;
	char		v[64];

	(void)what;
	(void)arg;
	apw_info("told to leave", APW_I("signal", signo));
	if (order("linger", v) == NULL) {
		event_base_loopexit(fake.base, NULL);
		return;
	}
	apw_score_state(fake.score, APW_SLOT_DRAINING);
	if (v[0] != '\0') {
		tv = (struct timeval){ atoi(v) / 1000, atoi(v) % 1000 * 1000 };
		event_base_loopexit(fake.base, &tv);
	}
}

static void
on_reopen(evutil_socket_t fd, short what, void *arg)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)fd;
	(void)what;
	(void)arg;
	if (apw_log_reopen(&err) == -1)
		apw_error("cannot reopen", APW_E(&err));
	apw_info("slot reopened the log");
}

/* A child and a grandchild, each in its own session, deaf to everything. */
static void
leave_orphans(void)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	signal(SIGTERM, SIG_IGN);
	if (fork() == 0)
		setsid();
	for (;;)
		pause();
}

static void
tell_fds(void)
{
	char	 path[512], link[64], to[512];
	DIR	*d = opendir("/proc/self/fd");
	FILE	*f;
	ssize_t	 n;
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/fds-%u", fake.dir, fake.number);
	if (d == NULL || (f = fopen(path, "we")) == NULL)
		abort();
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d) ||
		    atoi(e->d_name) == fileno(f))
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%.16s", e->d_name);
		n = readlink(link, to, sizeof(to) - 1);
		to[n < 0 ? 0 : n] = '\0';
		fprintf(f, "%s %s\n", e->d_name, to);
	}
	closedir(d);
	fclose(f);
}

static void
obey(void)
{
	char		v[64];
	sigset_t	all;

	if (order("why", v) != NULL)
		set_text(fake.score->why, sizeof(fake.score->why), v);
	if (order("orphans", v) != NULL)
		leave_orphans();
	if (order("exit", v) != NULL)
		exit(atoi(v));
	if (order("abort", v) != NULL) {
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	if (order("deaf", v) != NULL) {
		up();
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		for (;;)
			pause();
	}
	if (order("slow", v) != NULL)
		fake.up_ms = v[0] == '\0' ? UNTIL_GO :
		    apw_now_ms() + atoi(v);
	else
		up();
}

int
apw_slot_main(const struct apw_cycle *cycle, unsigned number,
    struct apw_score_slot *score)
{
	static const struct { int signo; event_callback_fn on; } signals[] = {
		{ SIGQUIT, on_leave }, { SIGTERM, on_leave },
		{ SIGUSR1, on_reopen },
	};
	const struct timeval	 tv = { 0, TICK_MS * 1000 };
	struct event		*ev[APW_COUNT(signals)], *tick;
	char			 v[64];
	size_t			 i;

	fake.score = score;
	fake.number = number;
	fake.dir = cycle->main.state_path;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	read_orders();
	if (order("stray-fds", v) != NULL)
		tell_fds();
	fake.base = event_base_new();
	for (i = 0; i < APW_COUNT(signals); i++) {
		ev[i] = evsignal_new(fake.base, signals[i].signo,
		    signals[i].on, NULL);
		event_add(ev[i], NULL);
	}
	tick = event_new(fake.base, -1, EV_PERSIST, on_tick, NULL);
	event_add(tick, &tv);
	obey();
	event_base_dispatch(fake.base);
	for (i = 0; i < APW_COUNT(signals); i++)
		event_free(ev[i]);
	event_free(tick);
	event_base_free(fake.base);
	return 0;
}
