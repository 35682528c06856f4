/* Control groups of version 2, over a kernel of our own making: directories
 * are real, the files in them are a table here that knows the kernel's rules
 * (no controllers where processes are, no processes where controllers go
 * down, a folder is gone with its processes).  What is written, in which
 * order, and what is made of what is read. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/broker_priv.h"
#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"

int	__wrap_cgroup_read(int, const char *, char *, size_t);
int	__wrap_cgroup_write(int, const char *, const char *);
int	__wrap_cgroup_find_v1(const char *, char *, size_t);
int	__wrap_cgroup_find_v2(char *, size_t);
void	__wrap_cgroup_count_open(struct cgroup *);
bool	__wrap_cgroup_delegated(const char *);

static char	root[64];		/* the delegated folder, and below: */
static char	own[128];		/* where the daemon's processes are */
static char	log_text[8192];		/* "FILE=TEXT " of our own folder */
static char	controllers[64];	/* that the kernel hands down */
static char	down[64];		/* those of root */
static char	place[256];		/* where the broker is */
static bool	delegated;
static bool	threaded;		/* own: no place for processes below */
static const char *refuses;		/* a file that cannot be written */
static struct { char name[32], text[256]; } files[16];

static void
path_of(int fd, char path[256])
{
	char	proc[32];
	ssize_t	n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, 255);
	path[n > 0 ? n : 0] = '\0';
}

static char *
file(const char *name)
{
	size_t	i;

	for (i = 0; files[i].name[0] != '\0'; i++)
		if (strcmp(files[i].name, name) == 0)
			return files[i].text;
	snprintf(files[i].name, sizeof(files[i].name), "%s", name);
	return files[i].text;
}

int
__wrap_cgroup_read(int dir_fd, const char *name, char *text, size_t size)
{
	char	path[256];

	path_of(dir_fd, path);
	if (strcmp(name, "cgroup.subtree_control") == 0) {
		snprintf(text, size, "%s", strcmp(path, root) == 0 ? down : "");
		return 0;
	}
	if (strstr(path, "/apworkerd-box.") == NULL) {
		errno = ENOENT;
		return -1;
	}
	snprintf(text, size, "%s", file(name));
	return 0;
}

static int
write_down(const char *path, const char *text)
{
	if (strcmp(path, own) == 0) {	/* processes are in it */
		threaded |= strstr(text, "memory") == NULL;
		errno = EBUSY;
		return threaded ? 0 : -1;
	}
	if (strstr(controllers, text + 1) == NULL) {
		errno = ENOENT;
		return -1;
	}
	strcat(strcat(down, text + 1), " ");
	return 0;
}

int
__wrap_cgroup_write(int dir_fd, const char *name, const char *text)
{
	char	path[256];

	path_of(dir_fd, path);
	if (refuses != NULL && strcmp(name, refuses) == 0) {
		errno = EACCES;
		return -1;
	}
	if (strcmp(name, "cgroup.subtree_control") == 0)
		return write_down(path, text);
	if (strcmp(name, "cgroup.procs") == 0) {
		if (strcmp(path, root) == 0) {
			errno = EBUSY;
			return -1;
		}
		assert_int_equal(atoi(text), getpid());
		snprintf(place, sizeof(place), "%s", path);
		return 0;
	}
	assert_non_null(strstr(path, "/apworkerd-box."));
	sprintf(log_text + strlen(log_text), "%s=%s ", name, text);
	return 0;
}

int
__wrap_cgroup_find_v1(const char *controller, char *path, size_t size)
{
	(void)controller;
	(void)path;
	(void)size;
	return -1;
}

int
__wrap_cgroup_find_v2(char *path, size_t size)
{
	snprintf(path, size, "%s", own);
	return 0;
}

bool
__wrap_cgroup_delegated(const char *path)
{
	return delegated || strcmp(path, root) != 0;
}

/* What is counted is opened once, and read again and again. */
void
__wrap_cgroup_count_open(struct cgroup *g)
{
	enum cgroup_count_file	i;

	for (i = 0; i < CGROUP_NCOUNTS; i++)
		g->count_fd[i] = memfd_create("count", MFD_CLOEXEC);
}

static void
counts(const struct cgroup *g, const char *oom, const char *pids,
    const char *peak, const char *cpu)
{
	const char		*text[CGROUP_NCOUNTS] = {
		[CGROUP_COUNT_OOM] = oom, [CGROUP_COUNT_PIDS] = pids,
		[CGROUP_COUNT_PEAK] = peak, [CGROUP_COUNT_TIME] = cpu };
	ssize_t			 n;
	enum cgroup_count_file	 i;

	for (i = 0; i < CGROUP_NCOUNTS; i++) {
		n = (ssize_t)strlen(text[i]);
		assert_int_equal(ftruncate(g->count_fd[i], 0), 0);
		assert_int_equal(pwrite(g->count_fd[i], text[i], (size_t)n, 0),
		    n);
	}
}

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_cgroup-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(own, sizeof(own), "%s/supervisor", root);
	snprintf(place, sizeof(place), "%s", own);
	strcpy(controllers, "memory pids cpu");
	down[0] = log_text[0] = '\0';
	refuses = NULL;
	delegated = true;
	threaded = false;
	memset(files, 0, sizeof(files));
	return mkdir(own, 0755);
}

static int
teardown(void **state)
{
	(void)state;
	rmdir(own);
	return rmdir(root);		/* fails when a folder was left */
}

static struct apw_broker_conf	conf = { .slot = 7 };
static struct broker		broker = { .conf = &conf };

static void
opens_beside(void **state)
{
	struct cgroup	*g = cgroup_open(&broker);
	char		 text[128], want[256];

	(void)state;
	assert_non_null(g);
	assert_int_equal(g->version, 2);
	/* not in the folder with processes: beside it, in what is delegated */
	snprintf(want, sizeof(want), "%s/apworkerd-box.7.%d", root,
	    (int)getpid());
	assert_string_equal(place, want);
	assert_string_equal(down, "memory pids cpu ");
	assert_false(threaded);
	cgroup_describe(g, text, sizeof(text));
	assert_string_equal(text, "cgroup v2: memory pids cpu; rlimits");
	assert_true(cgroup_holds(g, "memory"));
	cgroup_close(g);
	assert_string_equal(place, own);	/* back where we were */
}

static void
limits(void **state)
{
	struct cgroup		*g = cgroup_open(&broker);
	struct apw_box_limits	 l = { .pids = 64, .cpu_percent = 150,
				    .cpu_weight = 50 };
	struct apw_err		 err = APW_ERR_NONE;

	(void)state;
	assert_non_null(g);
	assert_int_equal(cgroup_limit(g, &l, 256 << 20, &err), 0);
	assert_string_equal(log_text, "memory.swap.max=0 "
	    "memory.max=268435456 pids.max=66 cpu.max=150000 100000 "
	    "cpu.weight=50 ");
	/* the same again costs nothing */
	log_text[0] = '\0';
	assert_int_equal(cgroup_limit(g, &l, 256 << 20, &err), 0);
	assert_string_equal(log_text, "");
	assert_int_equal(cgroup_limit(g, &l, 0, &err), 0);
	assert_non_null(strstr(log_text, "memory.swap.max=max memory.max=max"));
	/* a kernel without swap accounting has no such file */
	refuses = "memory.swap.max";
	assert_int_equal(cgroup_limit(g, &l, 1 << 30, &err), 0);
	refuses = "memory.max";
	assert_int_equal(cgroup_limit(g, &l, 2 << 20, &err), -1);
	assert_non_null(strstr(err.text, "memory.max"));
	cgroup_close(g);
}

static void
evidence(void **state)
{
	struct cgroup		*g = cgroup_open(&broker);
	struct apw_box_end	 end = { 0 };

	(void)state;
	assert_non_null(g);
	counts(g, "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\n"
	    "oom_group_kill 0\n", "max 5\n", "1000\n",
	    "usage_usec 5000000\nuser_usec 1\n");
	cgroup_mark(g);
	/* nothing happened: nothing of the boxes before is told */
	cgroup_evidence(g, &end);
	assert_true(end.oom_known);
	assert_int_equal(end.oom_kills, 0);
	assert_int_equal(end.pids_denied, 0);
	assert_int_equal(end.cpu_ms, 0);
	assert_int_equal(end.memory_peak_bytes, 0);
	cgroup_mark(g);
	counts(g, "low 0\nhigh 0\nmax 40\noom 3\noom_kill 3\n"
	    "oom_group_kill 0\n", "max 9\n", "2000\n",
	    "usage_usec 6500000\nuser_usec 1\n");
	cgroup_evidence(g, &end);
	assert_int_equal(end.oom_kills, 1);
	assert_int_equal(end.pids_denied, 4);
	assert_int_equal(end.cpu_ms, 1500);
	assert_int_equal(end.memory_peak_bytes, 2000);
	/* kernels before 5.19 have no peak, and count kills all the same */
	cgroup_mark(g);
	counts(g, "oom_kill 4\n", "", "", "");
	end = (struct apw_box_end){ 0 };
	cgroup_evidence(g, &end);
	assert_true(end.oom_known);
	assert_int_equal(end.oom_kills, 1);
	cgroup_close(g);
}

static void
a_part_is_enough(void **state)
{
	struct cgroup		*g;
	struct apw_box_limits	 l = { .pids = 64, .cpu_percent = 150 };
	struct apw_err		 err = APW_ERR_NONE;

	(void)state;
	strcpy(controllers, "memory");
	g = cgroup_open(&broker);
	assert_non_null(g);
	assert_false(cgroup_holds(g, "pids"));
	assert_int_equal(cgroup_limit(g, &l, 1 << 20, &err), 0);
	assert_string_equal(log_text, "memory.swap.max=0 memory.max=1048576 ");
	cgroup_close(g);
}

/* What is another's to divide is taken as it is. */
static void
not_delegated(void **state)
{
	struct cgroup	*g;
	char		 text[128];

	(void)state;
	delegated = false;
	assert_null(cgroup_open(&broker));
	assert_string_equal(down, "");
	strcpy(down, "memory pids ");
	g = cgroup_open(&broker);
	assert_non_null(g);
	assert_string_equal(down, "memory pids ");
	cgroup_describe(g, text, sizeof(text));
	assert_string_equal(text, "cgroup v2: memory pids; rlimits");
	cgroup_close(g);
	assert_string_equal(place, own);
}

/* What cannot be had leaves nothing behind, and nobody where he should not
 * be. */
static void
nothing_is_had(void **state)
{
	(void)state;
	strcpy(controllers, "pids");
	assert_null(cgroup_open(&broker));
	assert_string_equal(place, own);
	strcpy(controllers, "memory");
	refuses = "cgroup.procs";	/* delegated, but not our processes */
	assert_null(cgroup_open(&broker));
	assert_string_equal(place, own);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(opens_beside), TEST(limits), TEST(evidence),
		TEST(a_part_is_enough), TEST(nothing_is_had),
		TEST(not_delegated),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
