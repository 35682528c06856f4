/* What boxes cost: box-tool's measurements.  A few bare processes, of the
 * kernel's floor (box-floor.c) and boxes take turns, so that a machine that is
 * busy is so for all three; medians of all. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "t/bin/box-tool.h"

#define BENCH_TURNS	10

enum series { BARE, FLOOR, BOX, NSERIES };

static const char *const series_names[] = { "bare", "floor", "box" };

struct bench {
	const struct tool	*t;
	struct apw_broker	*b;
	struct floor		*floor;
	clockid_t		 broker_clock;
	struct took		*took[NSERIES];
};

static double
clock_us(clockid_t clock)
{
	struct timespec	at;

	if (clock_gettime(clock, &at) == -1)
		exit(125);
	return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

double
bench_cpu_us(void)
{
	struct rusage	r;

	getrusage(RUSAGE_CHILDREN, &r);
	return clock_us(CLOCK_PROCESS_CPUTIME_ID) +
	    (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
	    (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void
run_one(char **argv, const char *const *envp, bool quiet)
{
	pid_t	pid = fork();
	int	status = 0, null;

	if (pid == 0) {
		if (quiet && (null = open("/dev/null", O_WRONLY)) != -1) {
			dup2(null, 1);
			dup2(null, 2);
		}
		execve(argv[0], argv, (char *const *)(uintptr_t)envp);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) == -1 || status != 0) {
		fprintf(stderr, "box-tool: %s: status %d\n", argv[0], status);
		exit(125);
	}
}

/* "A x ; B y": one after the other, without their words */
static void
run_commands(const struct tool *t)
{
	const char *const *from = t->order.argv;
	char		  *argv[128];
	size_t		   n = 0;
	bool		   quiet = false;

	for (;; from++) {
		if (*from != NULL && strcmp(*from, ";") != 0) {
			if (n < APW_COUNT(argv) - 1)
				argv[n++] = (char *)(uintptr_t)*from;
			continue;
		}
		argv[n] = NULL;
		quiet = quiet || *from != NULL;
		if (n > 0)
			run_one(argv, t->order.envp, quiet);
		n = 0;
		if (*from == NULL)
			return;
	}
}

static void
run_bare(const struct tool *t)
{
	char	*yes[] = { (char []){ "/bin/true" }, NULL };

	if (t->bare)
		run_one(yes, t->order.envp, false);
	else
		run_commands(t);
}

/* With what the broker has used, which has not ended yet. */
static double
bench_all_us(const struct bench *m)
{
	return bench_cpu_us() + (m->b == NULL ? 0 : clock_us(m->broker_clock));
}

static void
bench_box(const struct bench *m)
{
	struct apw_box_end	end;

	if (m->t->bare)
		run_commands(m->t);
	else
		tool_run(m->t, m->b, &end);
}

static void
bench_turn(const struct bench *m, enum series s, struct took *took)
{
	int64_t	start = apw_now_us();
	double	cpu = bench_all_us(m);

	if (s == FLOOR) {
		floor_once(m->floor, took);
		return;
	}
	if (s == BARE)
		run_bare(m->t);
	else
		bench_box(m);
	took->cpu_us = bench_all_us(m) - cpu;
	took->wall_us = (double)(apw_now_us() - start);
}

static int
compare(const void *a, const void *b)
{
	double	x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
bench_median(const struct took *took, unsigned n, bool cpu)
{
	double		*v = calloc(n, sizeof(*v)), median;
	unsigned	 i;

	if (v == NULL)
		exit(125);
	for (i = 0; i < n; i++)
		v[i] = cpu ? took[i].cpu_us : took[i].wall_us;
	qsort(v, n, sizeof(*v), compare);
	median = v[n / 2];
	free(v);
	return median;
}

static void
bench_turns(struct bench *m)
{
	unsigned	i, from;
	enum series	s;
	struct took	first;

	for (s = BARE; s < NSERIES; s++) {
		m->took[s] = calloc(m->t->bench, sizeof(*m->took[s]));
		if (m->took[s] == NULL)
			exit(125);
		/* the template is not a box's, nor are cold caches */
		if (s != FLOOR || m->floor != NULL)
			bench_turn(m, s, &first);
	}
	for (from = 0; from < m->t->bench; from += BENCH_TURNS)
		for (s = BARE; s < NSERIES; s++)
			for (i = from; i < m->t->bench && i < from +
			    BENCH_TURNS; i++)
				if (s != FLOOR || m->floor != NULL)
					bench_turn(m, s, &m->took[s][i]);
}

/* "SERIES wall_us MEDIAN cpu_us MEDIAN", a line each. */
void
bench(const struct tool *t, struct apw_broker *b)
{
	struct bench	m = { .t = t, .b = b };
	enum series	s;

	if (b != NULL && clock_getcpuclockid(apw_broker_pid(b),
	    &m.broker_clock) != 0)
		exit(125);
	if (!t->bare)
		m.floor = floor_start(t);
	bench_turns(&m);
	for (s = BARE; s < NSERIES; s++) {
		if (s != FLOOR || m.floor != NULL)
			printf("%s wall_us %.0f cpu_us %.0f\n",
			    series_names[s],
			    bench_median(m.took[s], t->bench, false),
			    bench_median(m.took[s], t->bench, true));
		free(m.took[s]);
	}
	if (m.floor != NULL)
		floor_stop(m.floor);
	apw_broker_stop(b);
}

static int
compare_us(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* "admission_us MEDIAN" of -f into a running box, and out again. */
void
bench_admit(const struct tool *t, struct apw_broker *b)
{
	int64_t		*took = calloc(t->admissions, sizeof(*took)), start;
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_box	 box;
	unsigned	 i;

	if (took == NULL || apw_broker_boot(b, &t->order, &box, &err) == -1)
		tool_die(&err);
	for (i = 0; i < t->admissions; i++) {
		start = apw_now_us();
		if (apw_broker_admit(b, APW_ADMIT_FLOW, t->flow, &err) != 1)
			tool_die(&err);
		took[i] = apw_now_us() - start;
		apw_broker_admit(b, APW_ADMIT_FLOW, "none", &err);
	}
	qsort(took, t->admissions, sizeof(*took), compare_us);
	printf("admission_us %lld\n", (long long)took[t->admissions / 2]);
	apw_broker_kill(b, NULL);
	waitpid(box.pid, NULL, 0);
	free(took);
}

#define KILLS	9

/* The command writes a line when all its processes are there. */
static int64_t
bench_kill_once(const struct tool *t, struct apw_broker *b, int up_fd)
{
	struct apw_err		err = APW_ERR_NONE;
	struct apw_box		box;
	struct apw_box_end	end;
	int64_t			start;
	char			c[16];

	if (apw_broker_boot(b, &t->order, &box, &err) == -1)
		tool_die(&err);
	if (read(up_fd, c, sizeof(c)) < 1)
		exit(125);
	start = apw_now_us();
	apw_broker_kill(b, NULL);
	waitpid(box.pid, NULL, 0);
	start = apw_now_us() - start;
	apw_broker_end(b, &box, &end, NULL);
	return start;
}

/* "kill_us MEDIAN": from our word to the last process' end. */
void
bench_kill(struct tool *t, struct apw_broker *b)
{
	int64_t	took[KILLS];
	int	out[2];
	size_t	i;

	if (pipe2(out, O_CLOEXEC) == -1)
		exit(125);
	t->order.out_fd = out[1];
	for (i = 0; i < KILLS; i++)
		took[i] = bench_kill_once(t, b, out[0]);
	qsort(took, KILLS, sizeof(*took), compare_us);
	printf("kill_us %lld\n", (long long)took[KILLS / 2]);
}
