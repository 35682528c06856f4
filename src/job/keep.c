/* What the journal gets of a job, and how a job goes on from there.  Room:
 * job.  See journal.h; life-of-a-job.md says what each record is worth. */
#include "job/job_priv.h"

#include <openssl/evp.h>
#include <string.h>

#include "core/apw_log.h"

void
apw_job_scope(const char *scope, uint8_t out[16])
{
	unsigned char	digest[EVP_MAX_MD_SIZE];

	memset(out, 0, 16);
	if (EVP_Digest(scope, strlen(scope), digest, NULL, EVP_sha256(),
	    NULL) == 1)
		memcpy(out, digest, 16);
}

/* Before anything is done for it. */
static void
keep_new(struct apw_job *job)
{
	struct apw_lease_terms		terms = { .scope = "" };
	struct apw_journal_lease	lease = {
		.release = job->env.settings->release,
		.until_boot_ms = job->lease.ours_until_ms,
	};

	if (job->env.journal == NULL || job->env.source->terms == NULL)
		return;
	job->env.source->terms(job->env.source_of, &terms);
	apw_job_scope(terms.scope, lease.scope);
	apw_journal_begin(job->env.journal, job->text, &lease);
}

/* Where its slots died, for those who look for the reason. */
static void
keep_give_up(struct apw_job *job, const struct apw_journal_record *r)
{
	struct apw_buf	text = APW_BUF_INIT(4096);
	uint32_t	i;

	apw_buf_printf(&text, "SANDBOX_INTERNAL_ERROR: the worker died %u "
	    "times while it had this job:", r->crashes);
	for (i = 0; i < r->crashes && i < APW_JOURNAL_CRASHES; i++)
		apw_buf_printf(&text, "%s in \"%s\" after %u ms",
		    i == 0 ? "" : ",", r->crash[i].phase, r->crash[i].ran_ms);
	job_conclude_text(job, APW_ENDING_BROKEN, apw_buf_view(&text));
	apw_buf_free(&text);
}

bool
job_keep_begin(struct apw_job *job)
{
	const struct apw_journal_record	*r;

	if (!job->env.again) {
		keep_new(job);
		return false;
	}
	r = apw_journal_record(job->env.journal);
	if (r->state != APW_JOURNAL_RESULT)
		return false;
	job->concluded = true;
	job_go_report(job);
	return true;
}

bool
job_keep_forbids(struct apw_job *job)
{
	const struct apw_journal_record	*r;

	if (!job->env.again)
		return false;
	r = apw_journal_record(job->env.journal);
	if (r->crashes > job->env.cycle->main.retries)
		keep_give_up(job, r);
	else if ((r->flags & APW_JOURNAL_COMMITTED) != 0)
		job_conclude(job, APW_ENDING_CALL_UNKNOWN, "the worker died "
		    "after it had begun to tell the app");
	else
		return false;
	return true;
}

void
apw_job_restore(struct apw_job *job, struct apw_str report,
    struct apw_str complete)
{
	apw_buf_str(&job->report, report);
	apw_buf_str(&job->complete, complete);
}

/* The result, before the app hears of it: from now on it is told, and not
 * run again. */
void
job_keep_result(struct apw_job *job)
{
	job_report_compose(job);
	job_complete_compose(job);
	apw_journal_result(job->env.journal, apw_buf_view(&job->report),
	    apw_buf_view(&job->complete));
}
