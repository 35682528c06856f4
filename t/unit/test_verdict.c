/* The verdict, row by row: what is known about an engine's end, and what it
 * is called. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "job/verdict.h"

#define RUNS		.sandbox_id = "s1", .connected = true, .ended = true
#define KILLED(sig)	RUNS, .code = -1, .signal = (sig)
#define EXITED(n)	RUNS, .code = (n)

static const struct {
	const char		*name;
	struct apw_evidence	 ev;
	enum apw_verdict	 want;
	const char		*message;	/* how it begins */
} rows[] = {
	{ "our timer, whatever else",
	    { KILLED(SIGKILL), .timer = true, .heap_text = true,
	    .oom_kill = true },
	    APW_VERDICT_TIME_LIMIT, "SANDBOX_EXECUTION_TIMEOUT" },
	{ "V8 said so and aborted",
	    { KILLED(SIGABRT), .heap_text = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "words alone, and an exit",
	    { EXITED(1), .heap_text = true }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 1 and signal null" },
	{ "words alone, and all is well",
	    { EXITED(0), .heap_text = true }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 0 and signal null" },
	{ "words, and a kill from outside",
	    { KILLED(SIGKILL), .heap_text = true },
	    APW_VERDICT_KILLED_OUTSIDE, "SANDBOX_INTERNAL_ERROR" },
	{ "words, and another signal",
	    { KILLED(SIGTERM), .heap_text = true }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGTERM" },
	{ "words, and the run's data is too large",
	    { EXITED(1), .heap_text = true, .log_size_text = true },
	    APW_VERDICT_LOG_SIZE, "SANDBOX_LOG_SIZE_EXCEEDED" },
	{ "V8 said so and trapped",
	    { KILLED(SIGTRAP), .heap_text = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "V8 said so and ended itself, as a shell tells it",
	    { EXITED(132), .heap_text = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "a trap without a word",
	    { KILLED(SIGTRAP) }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGTRAP" },
	{ "its control group killed a child, and it exited",
	    { EXITED(1), .oom_kill = true, .oom_own = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "its control group killed a child, and it crashed",
	    { KILLED(SIGSEGV), .oom_kill = true, .oom_own = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "a piece's process was killed, the engine went on, and exited",
	    { EXITED(1), .oom_kill = true, .oom_own = true,
	    .children = true }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 1 and signal null" },
	{ "its control group killed the engine, which has children",
	    { KILLED(SIGKILL), .oom_kill = true, .oom_own = true,
	    .children = true }, APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "its control group goes before its words",
	    { EXITED(1), .oom_kill = true, .oom_own = true,
	    .log_size_text = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "our timer goes before its control group",
	    { KILLED(SIGKILL), .timer = true, .oom_kill = true,
	    .oom_own = true }, APW_VERDICT_TIME_LIMIT,
	    "SANDBOX_EXECUTION_TIMEOUT" },
	{ "ours goes before its control group",
	    { KILLED(SIGKILL), .ours = "the slot ends", .oom_kill = true,
	    .oom_own = true }, APW_VERDICT_STOPPED,
	    "SANDBOX_INTERNAL_ERROR: the engine was stopped" },
	{ "its control group, before it called back",
	    { .sandbox_id = "s1", .ended = true, .code = 1,
	    .oom_kill = true, .oom_own = true }, APW_VERDICT_EXITED_EARLY,
	    "Sandbox s1 exited before connecting (code=1, signal=null); the "
	    "kernel killed there for memory" },
	{ "abort without a word",
	    { KILLED(SIGABRT) }, APW_VERDICT_MEMORY,
	    "SANDBOX_MEMORY_ISSUE" },
	{ "exit 134",
	    { EXITED(134) }, APW_VERDICT_MEMORY,
	    "SANDBOX_MEMORY_ISSUE" },
	{ "the kernel killed for memory",
	    { KILLED(SIGKILL), .oom_kill = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "somebody killed it",
	    { KILLED(SIGKILL) }, APW_VERDICT_KILLED_OUTSIDE,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGKILL, sent from outside" },
	{ "somebody killed it, in a box that went on",
	    { KILLED(SIGKILL) }, APW_VERDICT_KILLED_OUTSIDE,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGKILL, sent from outside: neither this worker nor the kernel's "
	    "memory killer did it standardOutput=" },
	{ "somebody killed its box",
	    { KILLED(SIGKILL), .box_killed = true },
	    APW_VERDICT_KILLED_OUTSIDE,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGKILL, sent from outside: neither this worker nor the kernel's "
	    "memory killer did it; its whole box was killed standardOutput=" },
	{ "the kernel killed init for memory",
	    { KILLED(SIGKILL), .box_killed = true, .oom_kill = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "the syscall filter ended it",
	    { KILLED(SIGSYS) }, APW_VERDICT_FILTER,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGSYS: it made a system call that the sandbox ends programs "
	    "for standardOutput=" },
	{ "the syscall filter, as a shell tells it",
	    { EXITED(159) }, APW_VERDICT_FILTER,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGSYS" },
	{ "ours goes before the filter",
	    { KILLED(SIGSYS), .timer = true }, APW_VERDICT_TIME_LIMIT,
	    "SANDBOX_EXECUTION_TIMEOUT" },
	{ "the filter before it called back",
	    { .sandbox_id = "s1", .ended = true, .code = -1,
	    .signal = SIGSYS }, APW_VERDICT_EXITED_EARLY,
	    "Sandbox s1 exited before connecting (code=null, signal=SIGSYS)" },
	{ "a memory kill elsewhere is not ours",
	    { EXITED(7), .oom_kill = true }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 7 and signal null "
	    "standardOutput= standardError=" },
	{ "too much run data",
	    { EXITED(3), .log_size_text = true },
	    APW_VERDICT_LOG_SIZE, "SANDBOX_LOG_SIZE_EXCEEDED" },
	{ "memory goes before log size",
	    { KILLED(SIGABRT), .log_size_text = true },
	    APW_VERDICT_MEMORY, "SANDBOX_MEMORY_ISSUE" },
	{ "uncaught exception",
	    { EXITED(3) }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 3 and signal null" },
	{ "unhandled rejection",
	    { EXITED(4) }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 4 and signal null" },
	{ "control socket lost, by its own word",
	    { EXITED(6), .lost = "transport close" },
	    APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 6 and signal null" },
	{ "exit 0 in mid-operation",
	    { EXITED(0) }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code 0 and signal null" },
	{ "another signal",
	    { KILLED(SIGSEGV) }, APW_VERDICT_EXITED,
	    "SANDBOX_INTERNAL_ERROR: Worker exited with code null and signal "
	    "SIGSEGV" },
	{ "connection lost and the process did not end",
	    { KILLED(SIGKILL), .lost = "ping timeout",
	    .ours = "its connection was lost" }, APW_VERDICT_LOST,
	    "SANDBOX_INTERNAL_ERROR: the engine's connection was lost (ping "
	    "timeout)" },
	{ "stopped by us",
	    { KILLED(SIGKILL), .ours = "the slot ends" },
	    APW_VERDICT_STOPPED,
	    "SANDBOX_INTERNAL_ERROR: the engine was stopped: the slot ends" },
	{ "ours goes before the kernel's count",
	    { KILLED(SIGKILL), .ours = "the slot ends",
	    .oom_kill = true }, APW_VERDICT_STOPPED,
	    "SANDBOX_INTERNAL_ERROR: the engine was stopped" },
	{ "never called back, exited",
	    { .sandbox_id = "s1", .ended = true, .code = 1 },
	    APW_VERDICT_EXITED_EARLY,
	    "Sandbox s1 exited before connecting (code=1, signal=null)" },
	{ "never called back, killed",
	    { .sandbox_id = "s1", .ended = true, .code = -1,
	    .signal = SIGKILL }, APW_VERDICT_EXITED_EARLY,
	    "Sandbox s1 exited before connecting (code=null, signal=SIGKILL)" },
	{ "never called back in time",
	    { .sandbox_id = "s1", .ended = true, .code = -1,
	    .signal = SIGKILL, .ours = "did not connect within 30 seconds" },
	    APW_VERDICT_NOT_CONNECTED,
	    "Sandbox s1 did not connect within 30 seconds" },
	{ "was refused",
	    { .sandbox_id = "s1", .code = -1, .signal = SIGKILL,
	    .ours = "did not connect within 3 seconds",
	    .refused = "wrong token" }, APW_VERDICT_NOT_CONNECTED,
	    "Sandbox s1 did not connect within 3 seconds (wrong token)" },
};

static void
test_rows(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		struct apw_buf	b = APW_BUF_INIT(65536);
		enum apw_verdict v = apw_verdict(&rows[i].ev);

		if (v != rows[i].want)
			fail_msg("%s: %s", rows[i].name, apw_verdict_name(v));
		apw_verdict_message(v, &rows[i].ev, &b);
		if (strncmp(b.data, rows[i].message,
		    strlen(rows[i].message)) != 0)
			fail_msg("%s: %s", rows[i].name, b.data);
		apw_buf_free(&b);
	}
}

static void
test_streams(void **state)
{
	struct apw_evidence	ev = { EXITED(7),
	    .out = APW_STR("said"), .err = APW_STR("cried\n") };
	struct apw_buf		b = APW_BUF_INIT(65536);

	(void)state;
	apw_verdict_message(apw_verdict(&ev), &ev, &b);
	assert_string_equal(b.data, "SANDBOX_INTERNAL_ERROR: Worker exited "
	    "with code 7 and signal null standardOutput=said "
	    "standardError=cried\n");
	apw_buf_free(&b);
}

/* Whoever never called back has seen nothing of a job; what we ended ourselves
 * says nothing of the host, but for one that was too late. */
static void
test_whose(void **state)
{
	struct apw_evidence	ev = { .code = 9 };

	(void)state;
	assert_int_equal(apw_verdict_fault(&ev), APW_FAULT_HOST);
	ev.ours = "its job was given up";
	assert_int_equal(apw_verdict_fault(&ev), APW_FAULT_UNKNOWN);
	ev.late_start = true;
	assert_int_equal(apw_verdict_fault(&ev), APW_FAULT_HOST);
	ev.connected = true;
	assert_int_equal(apw_verdict_fault(&ev), APW_FAULT_UNKNOWN);
	ev = (struct apw_evidence){ .timer = true };
	assert_int_equal(apw_verdict_fault(&ev), APW_FAULT_UNKNOWN);
}

static void
test_names(void **state)
{
	int	v;

	(void)state;
	for (v = 0; v < APW_NVERDICTS; v++)
		assert_string_not_equal(apw_verdict_name(v), "unknown");
	assert_string_equal(apw_verdict_name(APW_NVERDICTS), "unknown");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
