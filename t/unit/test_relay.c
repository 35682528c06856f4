/* What an engine may say: about its own run all, about another's nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "job/job_priv.h"

static const struct apw_job_ids	mine = {
	.platform_id = "pl1", .project_id = "p1", .flow_id = "f1",
	.flow_version_id = "fv1", .run_id = "r1", .logs_file_id = "log1",
	.worker_handler_id = "w1", .http_request_id = "q1",
};

static const struct {
	const char	*method, *payload;
	const char	*wrong;		/* NULL: it passes */
} rows[] = {
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\"}", NULL },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"logsFileId\":\"log1\",\"status\":\"RUNNING\",\"tags\":[]}", NULL },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"logsFileId\":null}", NULL },
	{ "uploadRunLog", " { \"runId\" : \"\\u00721\" , \"projectId\":\"p1\"} ",
	    NULL },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"stepResponse\":{\"runId\":\"r1\",\"success\":true}}", NULL },
	{ "uploadRunLog", "{\"runId\":\"r2\",\"projectId\":\"p1\"}", "runId" },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p2\"}",
	    "projectId" },
	{ "uploadRunLog", "{\"runId\":\"r1\"}", "projectId" },
	{ "uploadRunLog", "{\"runId\":null,\"projectId\":\"p1\"}", "runId" },
	{ "uploadRunLog", "{\"runId\":[\"r1\"],\"projectId\":\"p1\"}", "runId" },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"runId\":\"r2\"}", "runId" },
	{ "uploadRunLog", "{\"runId\":\"r2\",\"projectId\":\"p1\","
	    "\"runId\":\"r1\"}", "runId" },
	{ "uploadRunLog", "{\"run\\u0049d\":\"r2\",\"runId\":\"r1\","
	    "\"projectId\":\"p1\"}", "runId" },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"logsFileId\":\"log2\"}", "logsFileId" },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\","
	    "\"stepResponse\":{\"runId\":\"r2\"}}", "runId" },
	{ "uploadRunLog", "{\"runId\":\"r1\",\"projectId\":\"p1\",}",
	    "payload" },
	{ "uploadRunLog", "null", "payload" },
	{ "uploadRunLog", "[]", "payload" },
	{ "uploadRunLog", "", "payload" },
	{ "updateRunProgress", "{\"flowRun\":{\"id\":\"r1\",\"projectId\":\"p1\","
	    "\"flowId\":\"f1\",\"flowVersionId\":\"fv1\"},\"step\":{}}", NULL },
	{ "updateRunProgress", "{\"flowRun\":{\"id\":\"r1\",\"projectId\":"
	    "\"p1\"}}", NULL },
	{ "updateRunProgress", "{\"flowRun\":{\"id\":\"r2\",\"projectId\":"
	    "\"p1\"}}", "id" },
	{ "updateRunProgress", "{\"flowRun\":{\"id\":\"r1\",\"projectId\":"
	    "\"p1\",\"flowId\":\"f2\"}}", "flowId" },
	{ "updateRunProgress", "{\"flowRun\":7}", "payload" },
	{ "updateRunProgress", "{\"step\":{}}", "flowRun" },
	{ "sendFlowResponse", "{\"workerHandlerId\":\"w1\",\"httpRequestId\":"
	    "\"q1\",\"runResponse\":{}}", NULL },
	{ "sendFlowResponse", "{\"workerHandlerId\":\"w1\",\"httpRequestId\":"
	    "\"q2\"}", "httpRequestId" },
	{ "sendFlowResponse", "{\"workerHandlerId\":\"w2\",\"httpRequestId\":"
	    "\"q1\"}", "workerHandlerId" },
	{ "updateStepProgress", "{\"projectId\":\"p1\",\"stepResponse\":"
	    "{\"runId\":\"r1\"}}", NULL },
	{ "updateStepProgress", "{\"projectId\":\"p1\",\"stepResponse\":"
	    "{\"runId\":\"r2\"}}", "runId" },
	{ "completeJob", "{\"jobId\":\"r1\"}", "method" },
	{ "poll", "{}", "method" },
	{ "getFlowVersion", "{\"versionId\":\"fv1\"}", "method" },
	{ "uploadRunLog2", "{\"runId\":\"r1\",\"projectId\":\"p1\"}", "method" },
	{ "", "{}", "method" },
};

static void
test_rows(void **state)
{
	const char	*wrong;
	size_t		 i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		wrong = apw_relay_refused(&mine, apw_str_c(rows[i].method),
		    apw_str_c(rows[i].payload));
		if ((wrong == NULL) != (rows[i].wrong == NULL) ||
		    (wrong != NULL && strcmp(wrong, rows[i].wrong) != 0))
			fail_msg("%s %s: %s", rows[i].method, rows[i].payload,
			    wrong == NULL ? "passes" : wrong);
	}
}

/* A run that no HTTP caller waits for has no response to give. */
static void
test_nobody_waits(void **state)
{
	struct apw_job_ids	ids = mine;

	(void)state;
	ids.worker_handler_id = ids.http_request_id = NULL;
	assert_string_equal(apw_relay_refused(&ids,
	    APW_STR("sendFlowResponse"), APW_STR("{\"workerHandlerId\":\"w1\","
	    "\"httpRequestId\":\"q1\"}")), "workerHandlerId");
	assert_string_equal(apw_relay_refused(&ids,
	    APW_STR("sendFlowResponse"), APW_STR("{\"workerHandlerId\":null,"
	    "\"httpRequestId\":null}")), "workerHandlerId");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nobody_waits),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
