/* The spool directory: what is claimed, refused, taken over and settled. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/apw_log.h"
#include "modules/source/spool.h"
#include "modules/source/spool_priv.h"
#include "modules/source/spool_run.h"

static const char good[] = "{\"jobData\":{\"jobType\":\"EXECUTE_FLOW\"},"
    "\"flowVersion\":{\"id\":\"fv\"},\"engineToken\":\"t\"}";

struct ground {
	char		dir[64];
	struct spool	sp;
};

static int
setup(void **state)
{
	struct ground	*g = calloc(1, sizeof(*g));
	struct apw_err	 err = APW_ERR_NONE;

	snprintf(g->dir, sizeof(g->dir), "/tmp/apw-spool-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	g->sp.max_job_bytes = 4096;
	g->sp.attempts = 3;
	assert_int_equal(spool_open(&g->sp, g->dir, 1, &err), 0);
	*state = g;
	return 0;
}

static int
teardown(void **state)
{
	struct ground	*g = *state;
	char		 cmd[128];

	spool_close(&g->sp);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", g->dir);
	free(g);
	return system(cmd);
}

static void
put(struct ground *g, const char *name, const char *text, size_t n)
{
	char	path[256];
	FILE	*f;

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
	chmod(path, 0600);
}

static bool
there(struct ground *g, const char *name)
{
	char		path[512];
	struct stat	st;

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	return lstat(path, &st) == 0;
}

static char *
slurp(struct ground *g, const char *name)
{
	static char	text[8192];
	char		path[512];
	FILE		*f;
	size_t		n;

	snprintf(path, sizeof(path), "%s/%s", g->dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
test_claim_and_settle(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	struct spool_run	 run = { .log = NULL };
	struct spool_outcome	 o = { .slot = 1 };

	assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
	put(g, "new/a.json", good, strlen(good));
	assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
	assert_string_equal(job->id, "a");
	assert_int_equal(job->attempt, 1);
	assert_true(apw_str_is(job->flow_version, "{\"id\":\"fv\"}"));
	assert_true(there(g, "run/a.1.json"));
	assert_false(there(g, "new/a.json"));

	spool_run_begin(&run);
	spool_run_note(&run, "uploadRunLog",
	    APW_STR("{\"runId\":\"a\",\"status\":\"RUNNING\",\"tags\":[]}"));
	spool_run_note(&run, "uploadRunLog",
	    APW_STR("{\"runId\":\"a\",\"status\":\"SUCCEEDED\"}"));
	spool_run_note(&run, "sendFlowResponse",
	    APW_STR("{\"runResponse\":{\"status\":200}}"));
	spool_run_note(&run, "sendFlowResponse",
	    APW_STR("{\"runResponse\":{\"status\":500}}"));
	spool_run_note(&run, "updateRunProgress", APW_STR("{\"step\":{"
	    "\"name\":\"s1\",\"path\":[],\"output\":{\"a\":1}}}"));
	spool_run_note(&run, "updateRunProgress", APW_STR("{\"step\":{"
	    "\"name\":\"in\",\"path\":[[\"l\",0]],\"output\":{}}}"));
	spool_run_note(&run, "updateRunProgress", APW_STR("{\"step\":{"
	    "\"name\":\"s1\",\"path\":[],\"output\":9007199254740993}}"));
	spool_run_note(&run, "updateRunProgress", APW_STR("{\"step\":{"
	    "\"name\":\"s2\",\"output\":null}}"));
	assert_int_equal(spool_run_outcome(&run, APW_STR("{\"status\":\"OK\","
	    "\"logs\":\"stdout:\\nhi\\n\"}"), &o), 0);
	assert_true(o.ok);
	assert_int_equal(spool_settle(&g->sp, job, &o, &err), 0);
	spool_job_free(job);
	spool_run_end(&run);
	assert_false(there(g, "run/a.1.json"));
	assert_string_equal(slurp(g, "done/a/job.json"), good);
	assert_non_null(strstr(slurp(g, "done/a/result.json"),
	    "\"status\":\"SUCCEEDED\",\"jobStatus\":\"OK\""));
	assert_string_equal(slurp(g, "done/a/log"), "stdout:\nhi\n");
	assert_string_equal(slurp(g, "done/a/output.json"),
	    "{\"response\":{\"status\":200},\"steps\":{"
	    "\"s1\":9007199254740993,\"s2\":null}}\n");
	assert_non_null(strstr(slurp(g, "done/a/run.json"), "\"tags\":[]"));
}

static void
test_same_name_twice(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	struct spool_outcome	 o = { .ok = true, .status = "SUCCEEDED" };
	int			 i;

	for (i = 0; i < 2; i++) {
		put(g, "new/a.json", good, strlen(good));
		assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
		assert_int_equal(spool_settle(&g->sp, job, &o, &err), 0);
		spool_job_free(job);
	}
	assert_true(there(g, "done/a/job.json"));
	assert_true(there(g, "done/a~2/job.json"));

	/* nor is the second one lost when its slot dies */
	put(g, "new/a.json", good, strlen(good));
	assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
	assert_string_equal(job->id, "a~3");
	spool_job_free(job);
	assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
	assert_string_equal(job->id, "a~3");
	assert_int_equal(job->attempt, 2);
	spool_job_free(job);
}

/* A slot dies with its job: another one has it at once, three times. */
static void
test_take_over(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	int			 attempt;

	put(g, "new/a.json", good, strlen(good));
	for (attempt = 1; attempt <= 3; attempt++) {
		assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
		assert_int_equal(job->attempt, attempt);
		spool_job_free(job);	/* what the kernel does at a death */
	}
	assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
	assert_non_null(strstr(slurp(g, "failed/a/result.json"),
	    "\"status\":\"INTERNAL_ERROR\""));
	assert_non_null(strstr(slurp(g, "failed/a/result.json"),
	    "died 3 times"));
}

/* A living slot's job is nobody else's. */
static void
test_held_is_held(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job, *none;
	struct apw_err		 err = APW_ERR_NONE;

	put(g, "new/a.json", good, strlen(good));
	assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
	assert_int_equal(spool_claim(&g->sp, &none, &err), 0);
	assert_null(none);
	spool_job_free(job);
}

/* It died after the result was written: the job is not run again. */
static void
test_settled_is_settled(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	char			 path[128];

	put(g, "run/a.1.json", good, strlen(good));
	snprintf(path, sizeof(path), "%s/done/a", g->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
	assert_false(there(g, "run/a.1.json"));
}

struct refusal {
	const char	*name;
	const char	*text;
	size_t		 n;
	const char	*id;		/* in failed/ */
	const char	*reason;
};

static void
test_refusals(void **state)
{
	static char		 huge[5000];
	const struct refusal	 bad[] = {
		{ "new/empty.json", "", 0, "empty", "empty file" },
		{ "new/cut.json", good, sizeof(good) - 3, "cut", "not JSON" },
		{ "new/list.json", "[1]", 3, "list", "no object" },
		{ "new/none.json", "{}", 2, "none", "no object \\\"jobData\\\"" },
		{ "new/type.json", "{\"jobData\":1}", 13, "type",
		    "no object \\\"jobData\\\"" },
		{ "new/utf8.json", "{\"jobData\":{\"a\":\"\xff\"}}", 21, "utf8",
		    "not UTF-8" },
		{ "new/flow.json", "{\"jobData\":{},\"flowVersion\":[]}", 31,
		    "flow", "flowVersion" },
		{ "new/a b.json", good, sizeof(good) - 1, "a_b", "file name" },
		{ "new/huge.json", huge, sizeof(huge), "huge", "max_job_size" },
	};
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	char			 name[128];
	size_t			 i;

	memset(huge, ' ', sizeof(huge));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(g, bad[i].name, bad[i].text, bad[i].n);
		assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
		assert_false(there(g, bad[i].name));
		snprintf(name, sizeof(name), "failed/%s/result.json",
		    bad[i].id);
		assert_non_null(strstr(slurp(g, name), bad[i].reason));
		assert_non_null(strstr(slurp(g, name), "\"REJECTED\""));
	}
}

static void
test_links_and_others(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	char			 path[128], other[128];

	put(g, "secret", good, strlen(good));
	snprintf(other, sizeof(other), "%s/secret", g->dir);
	snprintf(path, sizeof(path), "%s/new/link.json", g->dir);
	assert_int_equal(symlink(other, path), 0);
	snprintf(path, sizeof(path), "%s/new/hard.json", g->dir);
	assert_int_equal(link(other, path), 0);
	snprintf(path, sizeof(path), "%s/new/fifo.json", g->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	put(g, "new/open.json", good, strlen(good));
	snprintf(path, sizeof(path), "%s/new/open.json", g->dir);
	chmod(path, 0666);
	put(g, "new/.hidden.json", good, strlen(good));
	put(g, "new/other.txt", good, strlen(good));

	assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
	assert_non_null(strstr(slurp(g, "failed/link/result.json"),
	    "symbolic link"));
	assert_non_null(strstr(slurp(g, "failed/hard/result.json"),
	    "hard links"));
	assert_non_null(strstr(slurp(g, "failed/fifo/result.json"),
	    "not a regular file"));
	assert_non_null(strstr(slurp(g, "failed/open/result.json"),
	    "everybody may write"));
	assert_true(there(g, "new/.hidden.json"));
	assert_true(there(g, "new/other.txt"));
	assert_true(there(g, "secret"));
}

static void
test_order(void **state)
{
	struct ground		*g = *state;
	struct spool_job	*job;
	struct apw_err		 err = APW_ERR_NONE;
	struct spool_outcome	 o = { .ok = true, .status = "SUCCEEDED" };
	const char		*const want[] = { "j1", "j2", "j3" };
	size_t			 i;

	put(g, "new/j3.json", good, strlen(good));
	put(g, "new/j1.json", good, strlen(good));
	put(g, "new/j2.json", good, strlen(good));
	for (i = 0; i < 3; i++) {
		assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
		assert_string_equal(job->id, want[i]);
		assert_int_equal(spool_settle(&g->sp, job, &o, &err), 0);
		spool_job_free(job);
	}
}

static void
test_flows_beside(void **state)
{
	struct ground	*g = *state;
	struct apw_buf	 out = APW_BUF_INIT(0);
	struct apw_err	 err = APW_ERR_NONE;

	put(g, "flows/v1.json", "{\"id\":\"v1\"}", 11);
	put(g, "flows/v2.json", "nonsense", 8);
	assert_int_equal(spool_flow(&g->sp, APW_STR("v1"), &out, &err), 1);
	assert_string_equal(out.data, "{\"id\":\"v1\"}");
	apw_buf_reset(&out);
	assert_int_equal(spool_flow(&g->sp, APW_STR("v2"), &out, &err), -1);
	apw_buf_reset(&out);
	assert_int_equal(spool_flow(&g->sp, APW_STR("v3"), &out, &err), 0);
	assert_int_equal(spool_flow(&g->sp, APW_STR("../new/a"), &out, &err),
	    0);
	apw_buf_free(&out);
}

/* What a failed flow leaves in a job that ended well. */
static void
test_run_outcomes(void **state)
{
	static const struct {
		const char *log, *complete, *status;
		bool ok;
	} rows[] = {
		{ "{\"status\":\"FAILED\"}", "{\"status\":\"OK\"}", "FAILED", false },
		{ "{\"status\":\"PAUSED\"}", "{\"status\":\"OK\"}", "PAUSED", true },
		{ "{\"status\":\"TIMEOUT\"}", "{\"status\":\"TIMEOUT\"}", "TIMEOUT", false },
		{ NULL, "{\"status\":\"INTERNAL_ERROR\"}", "INTERNAL_ERROR", false },
		{ NULL, "{\"status\":\"OK\"}", "SUCCEEDED", true },
		{ "not json", "{\"status\":\"OK\"}", "SUCCEEDED", true },
	};
	struct spool_run	run = { .log = NULL };
	struct spool_outcome	o;
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		o = (struct spool_outcome){ .slot = 1 };
		spool_run_begin(&run);
		if (rows[i].log != NULL)
			spool_run_note(&run, "uploadRunLog",
			    apw_str_c(rows[i].log));
		assert_int_equal(spool_run_outcome(&run,
		    apw_str_c(rows[i].complete), &o), 0);
		assert_string_equal(o.status, rows[i].status);
		assert_int_equal(o.ok, rows[i].ok);
	}
	assert_int_equal(spool_run_outcome(&run, APW_STR("{}"), &o), -1);
	spool_run_end(&run);
}

/* Folders go under us, and others take their place. */
static void
test_follow(void **state)
{
	struct ground		*g = *state;
	struct apw_err		 err = APW_ERR_NONE;
	struct spool_job	*job;
	struct spool_outcome	 o = { .ok = true, .status = "SUCCEEDED" };
	char			 cmd[256];

	assert_false(spool_moved(&g->sp));
	assert_int_equal(spool_follow(&g->sp, &err), 0);
	snprintf(cmd, sizeof(cmd), "cd %s && mv new gone && mkdir new",
	    g->dir);
	assert_int_equal(system(cmd), 0);
	assert_true(spool_moved(&g->sp));
	put(g, "new/a.json", good, sizeof(good) - 1);
	assert_int_equal(spool_claim(&g->sp, &job, &err), 1);
	assert_false(spool_moved(&g->sp));
	assert_true(there(g, "run/a.1.json"));
	/* the file of the job in hand goes, and where its result would be */
	snprintf(cmd, sizeof(cmd), "cd %s && rm -r run done tmp", g->dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(spool_settle(&g->sp, job, &o, &err), 0);
	spool_job_free(job);
	assert_true(there(g, "done/a/result.json"));
	assert_true(there(g, "done/a/job.json"));
	/* what cannot be made is trouble, and heals */
	snprintf(cmd, sizeof(cmd), "cd %s && mv new new.old && touch new",
	    g->dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(spool_claim(&g->sp, &job, &err), -1);
	assert_non_null(strstr(err.text, "/new"));
	snprintf(cmd, sizeof(cmd), "cd %s && rm new", g->dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(spool_claim(&g->sp, &job, &err), 0);
	assert_true(there(g, "new"));
}

static void
test_sweep_tmp(void **state)
{
	struct ground	*g = *state;
	char		 cmd[512];
	int		 fd;

	snprintf(cmd, sizeof(cmd), "cd %s && mkdir tmp/a.12.345 tmp/b.12.345 "
	    "tmp/c.12.345 tmp/mine tmp/d.1x.3 && echo x >tmp/a.12.345/log && "
	    "echo x >run/b.1.json && ln run/b.1.json tmp/b.12.345/job.json && "
	    "echo no >tmp/c.12.345/job.json && echo x >tmp/e.json", g->dir);
	assert_int_equal(system(cmd), 0);
	spool_sweep_tmp(&g->sp, 60);
	assert_true(there(g, "tmp/a.12.345"));
	snprintf(cmd, sizeof(cmd), "%s/tmp/a.12.345", g->dir);
	fd = open(cmd, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	spool_sweep_tmp(&g->sp, -1);
	assert_true(there(g, "tmp/a.12.345"));	/* it is being made */
	close(fd);
	spool_sweep_tmp(&g->sp, -1);
	assert_false(there(g, "tmp/a.12.345"));
	assert_false(there(g, "tmp/b.12.345"));
	assert_true(there(g, "run/b.1.json"));
	assert_false(there(g, "tmp/c.12.345"));
	assert_true(there(g, "failed/c/job.json"));	/* nowhere else */
	assert_true(there(g, "tmp/mine"));
	assert_true(there(g, "tmp/d.1x.3"));
	assert_true(there(g, "tmp/e.json"));
}

int
main(void)
{
	struct apw_err		 err = APW_ERR_NONE;
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test_setup_teardown(test_claim_and_settle, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_same_name_twice, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_take_over, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_held_is_held, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_settled_is_settled, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_and_others, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows_beside, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep_tmp, setup,
		    teardown),
		cmocka_unit_test(test_run_outcomes),
	};

	apw_log_open("/dev/null", APW_LOG_ALERT, APW_LOG_TEXT, &err);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
