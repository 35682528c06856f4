/* Every cell of the master's table of processes: which state it leads to and
 * what it does; and the pace of restarts. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "master/master_priv.h"

/* What the actions did, one letter each. */
static char	did[32];
static int	fork_fails;
static bool	gone;

static void
note(const char *what)
{
	strncat(did, what, sizeof(did) - strlen(did) - 1);
}

/* Instead of the other files of the room. */
int
master_proc_fork(struct mproc *p, struct apw_err *err)
{
	note("f");
	if (fork_fails)
		return apw_err_set(err, 0, "no");
	p->pid = 4242;
	return 0;
}

void
master_proc_signal(const struct mproc *p, int signo)
{
	assert_int_equal(p->pid, 4242);
	note(signo == SIGKILL ? "k" : signo == SIGQUIT ? "q" : "t");
}

void
master_cycle_release(struct mcycle *c)
{
	c->procs--;
	gone = true;
}

bool
master_trial_lost(struct mproc *p)
{
	(void)p;
	return false;
}

void
master_on_settled(struct master *m)
{
	assert_non_null(m);
	note("s");
}

#define NOTHING		{ MPROC_NSTATES, "" }	/* an empty cell */
#define GONE		MPROC_NSTATES		/* with "s": settled */

static const struct cell {
	enum mproc_state	 next;
	const char		*did;
} expected[MPROC_NSTATES][MPROC_NEVENTS] = {
	/*	   START UP DRAIN KILL STALLED TIMEOUT EXITED NOCONF */
	[MPROC_DOWN] = { { MPROC_BOOTING, "f" }, NOTHING, { GONE, "s" },
	    { GONE, "s" }, NOTHING, NOTHING, NOTHING, NOTHING },
	[MPROC_BOOTING] = { NOTHING, { MPROC_READY, "" },
	    { MPROC_DRAINING, "t" }, { MPROC_KILLED, "k" },
	    { MPROC_STUCK, "k" }, NOTHING, { MPROC_BOOTING, "f" },
	    { MPROC_FAILED, "" } },
	[MPROC_READY] = { NOTHING, NOTHING, { MPROC_DRAINING, "q" },
	    { MPROC_KILLED, "k" }, { MPROC_STUCK, "k" }, NOTHING,
	    { MPROC_BOOTING, "f" }, { MPROC_FAILED, "" } },
	[MPROC_DRAINING] = { NOTHING, NOTHING, NOTHING,
	    { MPROC_KILLED, "k" }, { MPROC_KILLED, "k" },
	    { MPROC_KILLED, "k" }, { GONE, "s" }, { GONE, "s" } },
	[MPROC_STUCK] = { NOTHING, NOTHING, { MPROC_KILLED, "k" },
	    { MPROC_KILLED, "k" }, NOTHING, { MPROC_STUCK, "k" },
	    { MPROC_BOOTING, "f" }, { MPROC_BOOTING, "f" } },
	[MPROC_KILLED] = { NOTHING, NOTHING, NOTHING, NOTHING, NOTHING,
	    { MPROC_KILLED, "k" }, { GONE, "s" }, { GONE, "s" } },
	[MPROC_RESTING] = { { MPROC_BOOTING, "f" }, NOTHING, { GONE, "s" },
	    { GONE, "s" }, NOTHING, { MPROC_BOOTING, "f" }, NOTHING,
	    NOTHING },
	[MPROC_FAILED] = { NOTHING, NOTHING, { GONE, "s" }, { GONE, "s" },
	    NOTHING, NOTHING, NOTHING, NOTHING },
};

struct ground {
	struct master		 m;
	struct apw_cycle	 conf;
	struct mcycle		 cycle;
};

static int
setup(void **state)
{
	struct ground	*g = calloc(1, sizeof(*g));
	struct apw_err	 err = APW_ERR_NONE;

	apw_log_open("/dev/null", APW_LOG_DEBUG, APW_LOG_TEXT, &err);
	g->m.magic = MASTER_MAGIC;
	g->m.base = event_base_new();
	g->m.score = apw_score_new(&err);
	TAILQ_INIT(&g->m.procs);
	g->conf.number = 1;
	g->conf.main.respawn_burst = 4;
	g->conf.main.respawn_max_ms = 8000;
	g->conf.main.respawn_window_ms = 60000;
	g->cycle.conf = &g->conf;
	g->cycle.current = true;
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	struct ground	*g = *state;

	event_base_free(g->m.base);
	free(g);
	return 0;
}

static struct mproc *
make(struct ground *g, enum mproc_state s, unsigned number)
{
	struct apw_err	 err = APW_ERR_NONE;
	struct mproc	*p = master_proc_new(&g->m, &g->cycle, number, &err);

	assert_non_null(p);
	p->state = s;
	if (s != MPROC_DOWN && s != MPROC_RESTING && s != MPROC_FAILED)
		p->pid = 4242;
	did[0] = '\0';
	gone = false;
	fork_fails = 0;
	return p;
}

/* Whatever state it is in, a process can be got rid of. */
static void
drop(struct mproc *p)
{
	if (gone)
		return;
	p->state = MPROC_FAILED;
	master_proc_feed(p, MPROC_EV_KILL);
	assert_true(gone);
}

static void
test_cells(void **state)
{
	struct ground	*g = *state;
	int		 s, e;

	for (s = 0; s < MPROC_NSTATES; s++) {
		for (e = 0; e < MPROC_NEVENTS; e++) {
			const struct cell *c = &expected[s][e];
			struct mproc *p = make(g, s, 1);
			bool empty = c->next == MPROC_NSTATES &&
			    c->did[0] == '\0';

			print_message("%s %s\n", master_state_name(s),
			    master_event_name(e));
			assert_int_equal(master_cell_acts(s, e), !empty);
			master_proc_feed(p, e);
			assert_string_equal(did, c->did);
			assert_int_equal(gone, !empty && c->next == GONE);
			if (!gone)
				assert_int_equal(p->state, empty ? (enum
				    mproc_state)s : c->next);
			drop(p);
			assert_int_equal(g->cycle.procs, 0);
			assert_true(TAILQ_EMPTY(&g->m.procs));
		}
	}
}

static void
test_records(void **state)
{
	struct ground	*g = *state;
	struct mproc	*p = make(g, MPROC_DOWN, 7);
	struct apw_score_slot *s = p->score;

	assert_int_equal(atomic_load(&s->number), 7);
	master_proc_feed(p, MPROC_EV_START);
	assert_int_equal(atomic_load(&s->state), APW_SLOT_BOOTING);
	assert_int_equal(atomic_load(&s->pid), 4242);
	assert_int_equal(atomic_load(&s->starts), 1);
	/* it dies while it writes its texts, with a job in hand */
	apw_score_begin(&s->seq);
	strcpy(s->job_id, "j1");
	atomic_store(&s->job_since_ms, apw_now_ms());
	atomic_store(&s->jobs_started, 3);
	master_proc_feed(p, MPROC_EV_EXITED);
	assert_int_equal(atomic_load(&s->seq) & 1, 0);
	assert_string_equal(s->job_id, "");
	assert_int_equal(atomic_load(&s->job_since_ms), 0);
	assert_int_equal(atomic_load(&s->deaths), 1);
	assert_int_equal(atomic_load(&s->starts), 2);
	/* the second death in a row rests, and says so */
	master_proc_feed(p, MPROC_EV_EXITED);
	assert_int_equal(p->state, MPROC_RESTING);
	assert_int_equal(atomic_load(&s->state), APW_SLOT_RESTING);
	assert_true(atomic_load(&s->rest_until_ms) > apw_now_ms());
	/* what it counted stays when its record goes */
	master_proc_feed(p, MPROC_EV_DRAIN);
	assert_true(gone);
	assert_int_equal(atomic_load(&s->number), 0);
	assert_int_equal(atomic_load(&g->m.score->past.jobs_started), 3);
	assert_int_equal(atomic_load(&g->m.score->past.deaths), 2);
}

static void
test_noconf_keeps_why(void **state)
{
	struct ground	*g = *state;
	struct mproc	*p = make(g, MPROC_BOOTING, 1);

	apw_score_begin(&p->score->seq);
	strcpy(p->score->why, "the token is refused");
	apw_score_end(&p->score->seq);
	master_proc_feed(p, MPROC_EV_NOCONF);
	assert_int_equal(p->state, MPROC_FAILED);
	assert_int_equal(atomic_load(&p->score->state), APW_SLOT_DEAD);
	assert_string_equal(p->score->why, "the token is refused");
	drop(p);
}

static void
test_fork_fails(void **state)
{
	struct ground	*g = *state;
	struct mproc	*p = make(g, MPROC_DOWN, 1);

	fork_fails = 1;
	master_proc_feed(p, MPROC_EV_START);
	assert_int_equal(p->state, MPROC_RESTING);
	fork_fails = 0;
	master_proc_feed(p, MPROC_EV_TIMEOUT);
	assert_int_equal(p->state, MPROC_BOOTING);
	drop(p);
}

static void
test_monitor(void **state)
{
	struct ground	*g = *state;
	struct mproc	*p = make(g, MPROC_DOWN, 0);

	assert_null(p->score);
	assert_int_equal(master_slots_count(&g->m), 0);
	master_proc_feed(p, MPROC_EV_START);
	assert_int_equal(p->state, MPROC_READY);
	master_proc_feed(p, MPROC_EV_EXITED);
	assert_int_equal(p->state, MPROC_READY);	/* at once */
	master_proc_feed(p, MPROC_EV_EXITED);
	assert_int_equal(p->state, MPROC_RESTING);
	drop(p);
}

static void
test_records_run_out(void **state)
{
	struct ground	*g = *state;
	struct apw_err	 err = APW_ERR_NONE;
	struct mproc	*p;
	size_t		 i;

	for (i = 0; i < APW_SCORE_SLOTS; i++)
		assert_non_null(master_proc_new(&g->m, &g->cycle, i + 1,
		    &err));
	assert_null(master_proc_new(&g->m, &g->cycle, 1, &err));
	assert_non_null(strstr(err.text, "slots"));
	assert_int_equal(g->cycle.procs, APW_SCORE_SLOTS);
	master_slots_feed(&g->m, NULL, MPROC_EV_DRAIN);
	assert_int_equal(g->cycle.procs, 0);
	p = make(g, MPROC_DOWN, 1);
	drop(p);
}

static void
test_pace(void **state)
{
	static const int64_t waits[] = { 0, 1000, 2000 };
	struct ground	*g = *state;
	struct mproc	*p = make(g, MPROC_READY, 1);
	const struct apw_main_conf *main = &g->conf.main;
	int64_t		 now = 1000000;
	bool		 rests;
	size_t		 i;

	for (i = 0; i < APW_COUNT(waits); i++) {
		assert_int_equal(master_pace(p, main, now += 10, &rests),
		    waits[i]);
		assert_false(rests);
	}
	/* the fourth in the window is the burst */
	assert_int_equal(master_pace(p, main, now += 10, &rests), 60000);
	assert_true(rests);
	/* a window later all is forgotten */
	assert_int_equal(master_pace(p, main, now += 60100, &rests), 0);
	assert_false(rests);
	/* never above respawn_max, however long the row */
	g->conf.main.respawn_burst = MPROC_DEATHS;
	for (i = 0; i < MPROC_DEATHS - 2; i++)
		assert_true(master_pace(p, main, now += 1, &rests) <= 8000);
	assert_int_equal(master_pace(p, main, now += 1, &rests), 60000);
	assert_true(rests);
	drop(p);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_cells), T(test_records), T(test_noconf_keeps_why),
		T(test_fork_fails), T(test_monitor), T(test_records_run_out),
		T(test_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
