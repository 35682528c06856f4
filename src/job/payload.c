/* Payloads for engines that take the value alone: unwrapped, or fetched from
 * the app where the job has but a reference.  Room: job. */
#include "job/job_priv.h"

#include "proto/apw_raw.h"

static const struct job_repeat payload_repeat = { .ms = 60000 };

static void
payload_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	(void)arg;
	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK || reply->nbinary != 1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPayloadFile: %s", reply->kind == APW_REPLY_OK ?
		    "no file was sent" : reply->error);
		return;
	}
	job->payload_file.max = reply->binary[0].n + 1;
	if (apw_raw_check(reply->binary[0], APW_RAW_UTF8) == -1 ||
	    apw_buf_str(&job->payload_file, reply->binary[0]) == -1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPayloadFile: the payload is no JSON");
		return;
	}
	job->payload = apw_buf_view(&job->payload_file);
	job_next(job);
}

static void
payload_fetch(struct apw_job *job, struct apw_str file_id)
{
	struct apw_buf	buf = APW_BUF_INIT(8192);
	struct apw_str	payload;

	apw_buf_puts(&buf, "{\"fileId\":");
	apw_buf_str(&buf, file_id);
	apw_buf_puts(&buf, ",\"projectId\":");
	apw_buf_json_c(&buf, job->ids.project_id);
	apw_buf_puts(&buf, "}");
	payload = apw_buf_view(&buf);
	if (buf.failed)
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPayloadFile: the file's id is too long");
	else
		job_call(job, "getPayloadFile", &payload, 1, &payload_repeat,
		    payload_on_reply, NULL);
	apw_buf_free(&buf);
}

void
job_payload_enter(struct apw_job *job)
{
	const struct apw_engine_form	*form;
	struct apw_str			 raw, type, v;

	if (job->ops->payload == NULL) {
		job_next(job);
		return;
	}
	form = apw_engine_form(job->env.engine);
	if (!(job->ops->family == APW_FAMILY_FLOW ? form->plain_payloads :
	    form->plain_webhooks) || (raw = job->ops->payload(job)).n == 0) {
		job_next(job);
		return;
	}
	job->payload = raw;
	if (apw_raw_type(raw) == APW_RAW_OBJECT &&
	    apw_raw_member(raw, "type", &type) == 1) {
		type = apw_raw_trim(type);
		if (apw_raw_equals(type, "inline") &&
		    apw_raw_member(raw, "value", &v) == 1)
			job->payload = apw_raw_trim(v);
		else if (apw_raw_equals(type, "ref") &&
		    apw_raw_member(raw, "fileId", &v) == 1 &&
		    apw_raw_type(v) == APW_RAW_STRING) {
			payload_fetch(job, apw_raw_trim(v));
			return;
		}
	}
	job_next(job);
}
