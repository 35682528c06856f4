/* The engine at work for the job: taken, given its operation, listened to.
 * Room: job. */
#include "job/job_priv.h"

#include "core/apw_clock.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"
#include "slot/capture.h"

#define RUN_TRIES_MAX	2	/* engines that end before the operation is sent */

static void run_acquire(struct apw_job *);

static void
run_on_ready(void *arg)
{
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	job_next(job);
}

/* Not an EngineResponse: the engine could not run the operation at all. */
static void
run_no_response(struct apw_job *job, struct apw_str response)
{
	struct apw_buf	text = APW_BUF_INIT(2 * JOB_ERROR_MAX);

	apw_buf_puts(&text, "RPC [executeOperation] handler threw: ");
	if (apw_rpc_error(response, &text) != 1) {
		apw_buf_reset(&text);
		apw_buf_puts(&text, "the engine's answer is no EngineResponse");
	}
	job_conclude_text(job, APW_ENDING_BROKEN, apw_buf_view(&text));
	apw_buf_free(&text);
}

/* Another operation for the same engine, if it is still there. */
static void
run_again(struct apw_job *job)
{
	job->operation_sent = false;
	job->answer = APW_STR("");
	apw_buf_reset(&job->message);
	job_run_again(job);
}

/* What the family makes of the answer. */
static void
run_answered(struct apw_job *job, enum apw_ending ending)
{
	enum apw_then	then = APW_THEN_END;

	if (job->ops->answered != NULL)
		then = job->ops->answered(job, ending == APW_ENDING_ENGINE_OK,
		    job->answer);
	if (job->concluded)
		return;
	switch (then) {
	case APW_THEN_AGAIN:
		run_again(job);
		break;
	case APW_THEN_WAIT:
		job_go(job, &job_step_follow);
		break;
	default:
		job_conclude_text(job, ending, apw_buf_view(&job->message));
	}
}

/* The answer in a word: what became of the operation. */
static void
run_on_result(void *arg, struct apw_str response)
{
	struct apw_str	 status, error;
	struct apw_job	*job;
	enum apw_ending	 ending;

	APW_CAST(job, arg, JOB_MAGIC);
	if (job->concluded)
		return;
	apw_buf_reset(&job->response);
	apw_buf_str(&job->response, apw_raw_trim(response));
	response = apw_buf_view(&job->response);
	if (job->response.failed ||
	    apw_raw_type(response) != APW_RAW_OBJECT ||
	    apw_raw_member(response, "status", &status) != 1 ||
	    apw_raw_type(status) != APW_RAW_STRING) {
		run_no_response(job, response);
		return;
	}
	ending = apw_ending_of_status(apw_raw_trim(status));
	if (apw_raw_member(response, "response", &job->answer) != 1)
		job->answer = APW_STR("");
	if (apw_raw_member(response, "error", &error) != 1)
		error = APW_STR("");
	apw_buf_reset(&job->message);
	if (apw_raw_type(error) == APW_RAW_STRING)
		apw_raw_decode(&job->message, apw_raw_trim(error));
	else if (ending == APW_ENDING_ENGINE_INTERNAL_ERROR)
		apw_buf_puts(&job->message,
		    "the engine ended the operation with INTERNAL_ERROR");
	run_answered(job, ending);
}

static void
run_on_call(void *arg, uint32_t call, struct apw_str method,
    struct apw_str payload)
{
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	job_relay(job, call, method, payload);
}

/* The engine ended and has not seen the operation: was that the host?  Not if
 * it was we who ended it, for the operation's sake. */
static bool
run_kept(struct apw_job *job, const struct apw_evidence *ev,
    struct apw_str text)
{
	char	why[400];

	if (apw_verdict_fault(ev) != APW_FAULT_HOST &&
	    (ev->timer || ev->ours != NULL))
		return false;
	snprintf(why, sizeof(why), "%.*s", (int)(text.n < 399 ? text.n : 399),
	    text.p);
	return job_wait(job, why);
}

static void
run_on_gone(void *arg, const struct apw_evidence *ev, const struct apw_err *err)
{
	struct apw_buf	 text = APW_BUF_INIT(0);
	enum apw_verdict verdict;
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	if (job->concluded)
		return;
	if (job->step == &job_step_follow)	/* it has had its say */
		return;
	if (ev == NULL) {
		if (err->fault != APW_FAULT_APP && job_wait(job, err->text))
			return;
		job_conclude(job, APW_ENDING_BROKEN,
		    "SANDBOX_INTERNAL_ERROR: the engine could not be "
		    "started: %s", err->text);
		return;
	}
	/* it was whole and has not seen the operation: another may try */
	if (!job->operation_sent && ev->connected &&
	    ++job->engine_tries < RUN_TRIES_MAX) {
		apw_engine_release(job->env.engine);
		job->has_engine = false;
		run_acquire(job);
		return;
	}
	verdict = apw_verdict(ev);
	apw_verdict_message(verdict, ev, &text);
	if (!job->operation_sent && run_kept(job, ev, apw_buf_view(&text))) {
		apw_buf_free(&text);
		return;
	}
	job_conclude_text(job, apw_ending_of_verdict(verdict),
	    apw_buf_view(&text));
	apw_buf_free(&text);
}

static const struct apw_engine_events run_events = {
	.on_ready = run_on_ready,
	.on_result = run_on_result,
	.on_call = run_on_call,
	.on_gone = run_on_gone,
};

static void
run_acquire(struct apw_job *job)
{
	struct apw_tenant	tenant = { job->ids.platform_id,
	    job->ids.project_id, job->ids.flow_id,
	    job->ids.code_folder != NULL ? job->ids.code_folder :
	    job->ids.flow_version_id };

	if (!job->has_run)
		apw_engine_run(job->env.engine, job->id);
	job->has_engine = job->has_run = true;
	if (apw_engine_acquire(job->env.engine, &tenant, &run_events,
	    job) == 1)
		job_next(job);
}

void
job_boot_enter(struct apw_job *job)
{
	const char	*why = job->ops->forbids == NULL ? NULL :
	    job->ops->forbids(job);

	job->boot_ms = apw_now_ms();
	if (job_expired(job))
		return;
	if (why != NULL)
		job_conclude(job, APW_ENDING_NOT_RUNNABLE, "%s", why);
	else if (job->ops->nothing != NULL && job->ops->nothing(job))
		job_conclude(job, APW_ENDING_DONE, "%s", "");
	else
		run_acquire(job);
}

static int
run_send(struct apw_job *job, struct apw_err *err)
{
	struct apw_job_parts	 parts = { .n = 0 };
	struct apw_str		 slices[APW_JOB_PARTS_MAX];
	const char		*type;
	int			 rv;

	type = job->ops->operation(job, &parts);
	if (type == NULL || parts.failed)
		rv = apw_err_set(err, 0, "it could not be composed");
	else
		rv = apw_engine_execute(job->env.engine, type, slices,
		    apw_parts_slices(&parts, slices), err);
	apw_parts_free(&parts);
	return rv;
}

/* The engine is gone, about to be, or of no use: another may try. */
static void
run_another(struct apw_job *job, const char *why)
{
	const char	*id;
	pid_t		 pid;
	bool		 busy;

	if (apw_engine_info(job->env.engine, &id, &pid, &busy)) {
		/* when its end is told */
		apw_engine_kill(job->env.engine, false, why);
		job_go(job, &job_step_boot_again);
	} else if (++job->engine_tries < RUN_TRIES_MAX) {
		/* it ended with its last answer, and nobody will tell */
		job_go(job, &job_step_boot_again);
		job_engine_release(job);
		run_acquire(job);
	} else
		job_conclude(job, APW_ENDING_BROKEN,
		    "SANDBOX_INTERNAL_ERROR: %s", why);
}

void
job_run_enter(struct apw_job *job)
{
	struct apw_err	err = APW_ERR_NONE;

	if (job_expired(job))
		return;
	if (run_send(job, &err) == 0) {
		job->operation_sent = true;
		if (job->run_ms == 0)
			job->run_ms = apw_now_ms();
		job_mark_pieces(job);
		return;
	}
	apw_err_wrap(&err, "the operation could not be sent");
	apw_warn("an engine takes no operation", APW_E(&err));
	run_another(job, err.text);
}

/* In whole seconds of what is left, where somebody waits for so long. */
int64_t
job_run_limit(const struct apw_job *job)
{
	int64_t	ms = job->ops->limit_ms(job->env.settings), left;

	if (job->ids.expires_ms == 0)
		return ms;
	left = (job->ids.expires_ms - apw_wall_ms()) / 1000 * 1000;
	return left < 0 ? 0 : left < ms ? left : ms;
}

/* Nothing is begun that nobody waits for any more. */
bool
job_expired(struct apw_job *job)
{
	if (job->ids.expires_ms == 0 || job_run_limit(job) > 0)
		return false;
	job_conclude(job, APW_ENDING_NEVER_STARTED, "the time that its "
	    "caller gave it was over before it could begin");
	return true;
}

/* The operation took its time: its engine and all below it go. */
void
job_run_timeout(struct apw_job *job)
{
	apw_engine_kill(job->env.engine, true, NULL);
	job_go(job, &job_step_stop);
}

/* It was killed and its end did not come. */
void
job_stop_timeout(struct apw_job *job)
{
	job_conclude(job, APW_ENDING_TIME_LIMIT, "SANDBOX_EXECUTION_TIMEOUT");
}

void
job_engine_release(struct apw_job *job)
{
	if (!job->has_engine)
		return;
	job->has_engine = false;
	apw_engine_release(job->env.engine);
}
