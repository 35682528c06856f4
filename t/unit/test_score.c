/* The scoreboard as a child sees it: its own page and no other, for good. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/apw_score.h"

enum child_tries { OWN, OTHER, HEAD, MACHINE, MACHINE_READS, MONITOR_OWN, MONITOR_SLOT,
	MONITOR_MPROTECT, MONITOR_READS };

static int
try_it(struct apw_score *score, enum child_tries what)
{
	apw_score_narrow(score, what >= MONITOR_OWN ? NULL : &score->slot[1]);
	switch (what) {
	case OWN:
		atomic_store(&score->slot[1].state, APW_SLOT_BUSY);
		return 0;
	case OTHER:
		atomic_store(&score->slot[2].state, APW_SLOT_BUSY);
		return 0;
	case HEAD:
		atomic_store(&score->cycle, 4711);
		return 0;
	case MACHINE:
		atomic_store(&score->machine.n, 4711);
		return 0;
	case MACHINE_READS:
		return atomic_load(&score->machine.n) == 1 &&
		    atomic_load(&apw_score_machine()->sandbox[0].bytes) ==
		    4711 ? 0 : 1;
	case MONITOR_OWN:
		atomic_store(&score->monitor_tick_ms, 4711);
		return 0;
	case MONITOR_SLOT:
		atomic_store(&score->slot[1].state, APW_SLOT_BUSY);
		return 0;
	case MONITOR_MPROTECT:
		return mprotect(&score->slot[1], APW_SCORE_PAGE,
		    PROT_READ | PROT_WRITE) == -1 ? 1 : 0;
	case MONITOR_READS:
		return atomic_load(&score->slot[2].number) == 2 ? 0 : 1;
	}
	return 2;
}

/* The exit status, or 1000 and the signal. */
static int
in_child(struct apw_score *score, enum child_tries what)
{
	pid_t	pid = fork();
	int	status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(try_it(score, what));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

static void
test_narrow(void **state)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_score	*score = apw_score_new(&err);

	(void)state;
	assert_non_null(score);
	if (sysconf(_SC_PAGESIZE) > APW_SCORE_PAGE)
		skip();
	atomic_store(&score->slot[1].number, 1);
	atomic_store(&score->slot[2].number, 2);
	assert_int_equal(in_child(score, OWN), 0);
	assert_int_equal(atomic_load(&score->slot[1].state), APW_SLOT_BUSY);
	assert_int_equal(in_child(score, OTHER), 1000 + SIGSEGV);
	assert_int_equal(in_child(score, HEAD), 1000 + SIGSEGV);
	/* what a slot may know of the others, and no more */
	atomic_store(&score->records, 3);
	atomic_store(&score->slot[2].engine_pid, 1);
	atomic_store(&score->slot[2].engine_bytes, 4711);
	apw_score_machine_update(score);
	assert_int_equal(in_child(score, MACHINE_READS), 0);
	assert_int_equal(in_child(score, MACHINE), 1000 + SIGSEGV);
	assert_int_equal(in_child(score, MONITOR_OWN), 0);
	assert_int_equal(atomic_load(&score->monitor_tick_ms), 4711);
	assert_int_equal(in_child(score, MONITOR_SLOT), 1000 + SIGSEGV);
	assert_int_equal(in_child(score, MONITOR_MPROTECT), 1);
	assert_int_equal(in_child(score, MONITOR_READS), 0);
	/* ours is as before */
	atomic_store(&score->slot[2].state, APW_SLOT_IDLE);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_narrow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
