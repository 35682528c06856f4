/* Provisioning: one order to the stock gets code, engine and pieces.  Room:
 * job. */
#include "job/job_priv.h"

static void
stock_on_done(void *arg, enum apw_stock_fault fault, const struct apw_err *err)
{
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	job->ticket = NULL;
	if (fault == APW_STOCK_HOST && job_wait(job, err->text))
		return;
	job->yielded = fault == APW_STOCK_YIELDED;
	if (fault != APW_STOCK_OK && job->env.prewarm) {
		job_prewarm_give_up(job, apw_str_c(err->text));
		return;
	}
	if (fault != APW_STOCK_OK) {
		apw_warn("provisioning failed", APW_S("fault",
		    fault == APW_STOCK_USER ? "user" : "ours"), APW_E(err));
		job_conclude(job, APW_ENDING_PROVISION_FAILED, "%s",
		    err->text);
		return;
	}
	job->provisioned = job->recipe->stocked = true;
	if (job->env.prewarm)
		job_prewarm_done(job);
	else
		job_next(job);
}

void
job_stock_enter(struct apw_job *job)
{
	const struct apw_recipe	*r = job->recipe;
	struct apw_stock_piece	*pieces;
	size_t			 i, n = 0;

	pieces = apw_arena_alloc(job->arena,
	    (r->npieces + 1) * sizeof(*pieces));
	APW_ASSERT(pieces != NULL);
	for (i = 0; i < r->npieces; i++)
		if (r->pieces[i].ordered)
			pieces[n++] = r->pieces[i].order;
	job->order = (struct apw_stock_order){
		.flow_version_id = job->ids.flow_version_id,
		.code_folder = job->ids.code_folder,
		.platform_id = job->ids.platform_id,
		.packages = job->env.sandbox->packages,
		.release = job->env.settings->release,
		.per_platform = job->env.sandbox->boxed,
		.background = job->env.prewarm,
		.codes = job_bundle_codes(job), .ncodes = r->walk.ncodes,
		.pieces = pieces, .npieces = n,
	};
	job->ticket = apw_stock_order(job->env.stock, &job->order,
	    stock_on_done, job);
	if (job->ticket == NULL)
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "out of memory");
}

void
job_stock_forget(struct apw_job *job)
{
	if (job->ticket != NULL)
		apw_stock_cancel(job->ticket);
	job->ticket = NULL;
}

/* The app keeps count of what is used; gone since 0.86. */
void
job_mark_pieces(struct apw_job *job)
{
	const struct apw_recipe	*r = job->recipe;
	struct apw_buf		 buf = APW_BUF_INIT(4 * 1024 * 1024);
	struct apw_str		 payload;
	size_t			 i;

	if (r->npieces == 0 || job->marked ||
	    job->env.settings->release >= APW_RELEASE(0, 86, 0))
		return;
	job->marked = true;
	apw_buf_puts(&buf, "{\"pieces\":[");
	for (i = 0; i < r->npieces; i++) {
		apw_buf_puts(&buf, i == 0 ? "" : ",");
		apw_buf_str(&buf, r->pieces[i].package);
	}
	apw_buf_puts(&buf, "]}");
	payload = apw_buf_view(&buf);
	if (!buf.failed)
		job_post(job, "markPieceAsUsed", &payload, 1);
	apw_buf_free(&buf);
}
