/* Archive pieces: what the registry does not have comes from the app, before
 * the order is placed.  Room: job. */
#include "job/job_priv.h"

static const struct job_repeat archive_repeat = { .ms = 120000 };

static void archive_next(struct apw_job *);

static void
archive_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	struct apw_recipe_piece	*p = arg;
	struct apw_err		 err = APW_ERR_NONE;

	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK || reply->nbinary != 1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPieceArchive of %s@%s: %s", p->name, p->version,
		    reply->kind == APW_REPLY_OK ? "no archive was sent" :
		    reply->error);
		return;
	}
	if (apw_stock_archive_put(job->env.stock, &p->order,
	    job->env.sandbox->boxed, reply->binary[0], &err) == -1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED, "%s",
		    err.text);
		return;
	}
	archive_next(job);
}

static void
archive_ask(struct apw_job *job, struct apw_recipe_piece *p)
{
	struct apw_buf	buf = APW_BUF_INIT(8192);
	struct apw_str	payload;

	apw_buf_puts(&buf, "{\"archiveId\":");
	apw_buf_json_c(&buf, p->order.archive_id);
	apw_buf_puts(&buf, "}");
	payload = apw_buf_view(&buf);
	job_call(job, "getPieceArchive", &payload, 1, &archive_repeat,
	    archive_on_reply, p);
	apw_buf_free(&buf);
}

/* One after the other: an archive may be large. */
static void
archive_next(struct apw_job *job)
{
	struct apw_recipe_piece	*p;

	while (job->next_archive < job->recipe->npieces) {
		p = &job->recipe->pieces[job->next_archive++];
		if (p->ordered && p->order.archive_id != NULL &&
		    !apw_stock_archive_has(job->env.stock, &p->order,
		    job->env.sandbox->boxed)) {
			archive_ask(job, p);
			return;
		}
	}
	job_next(job);
}

void
job_archives_enter(struct apw_job *job)
{
	archive_next(job);
}
