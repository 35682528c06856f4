/* A flow's bundle: flow version, packages and built code steps, as another
 * worker has published them (from 0.86 on).  Room: job.
 *
 * It saves time, and is never needed: whatever is wrong with it, the job goes
 * on as if there were none.  Only those of a form that is known for the app's
 * release (stock/release.h) are asked for and published. */
#include "job/job_priv.h"

#include <string.h>

#include "egress/fetch.h"
#include "proto/apw_raw.h"
#include "stock/release.h"

#define BUNDLE_ASK_MS	10000
#define BUNDLE_FETCH_MS	20000
#define BUNDLE_PAUSE_MS	60000	/* after a question without an answer */

/* Not repeated for its own sake: the way without it is there. */
static const struct job_repeat bundle_repeat = { .ms = BUNDLE_ASK_MS,
    .unsent_only = true };

static void
bundle_none(struct apw_job *job, const char *why)
{
	if (why != NULL)
		apw_notice("the flow's bundle is not used", APW_S("why", why));
	apw_buf_free(&job->bundle.text);
	job->bundle.pieces = job->bundle.codes = APW_STR("");
	job_flow_version_ask(job);
}

static const char *
bundle_schema(const struct apw_job *job)
{
	return apw_stock_release_of(job->env.settings->release)->bundle_schema;
}

/* Is it the bundle of this flow version, in the schema of this release?
 * NULL: yes. */
static const char *
bundle_unfit(struct apw_job *job, struct apw_str *flow_version)
{
	struct apw_walk	walk;
	struct apw_err	err = APW_ERR_NONE;
	struct apw_str	text = apw_buf_view(&job->bundle.text), v;

	if (apw_raw_check(text, APW_RAW_UTF8) == -1 ||
	    apw_raw_type(text) != APW_RAW_OBJECT)
		return "it is no JSON object";
	if (apw_raw_member(text, "flowVersion", flow_version) != 1 ||
	    apw_raw_type(*flow_version) != APW_RAW_OBJECT ||
	    apw_raw_member(text, "pieces", &job->bundle.pieces) != 1 ||
	    apw_raw_type(job->bundle.pieces) != APW_RAW_ARRAY ||
	    apw_raw_member(text, "codes", &job->bundle.codes) != 1 ||
	    apw_raw_type(job->bundle.codes) != APW_RAW_ARRAY)
		return "a part of it is missing";
	if (apw_raw_member(*flow_version, "id", &v) != 1 ||
	    !apw_raw_equals(apw_raw_trim(v), job->ids.flow_version_id))
		return "it is that of another flow version";
	if (apw_raw_member(*flow_version, "state", &v) != 1 ||
	    !apw_raw_equals(apw_raw_trim(v), "LOCKED"))
		return "its flow version may still change";
	if (apw_raw_member(*flow_version, "schemaVersion", &v) != 1 ||
	    !apw_raw_equals(apw_raw_trim(v), bundle_schema(job)))
		return "its flow version has another release's schema";
	if (apw_walk(job->arena, *flow_version, &walk, &err) == -1)
		return "its flow version cannot be read";
	return NULL;
}

static void
bundle_take(struct apw_job *job, struct apw_str text)
{
	struct apw_str	 flow_version;
	const char	*why;

	job->bundle.text.max = APW_BUNDLE_BYTES;
	if (apw_buf_str(&job->bundle.text, text) == -1)
		why = "it is too large";
	else
		why = bundle_unfit(job, &flow_version);
	if (why != NULL) {
		/* what is no good may be replaced by what we build */
		job->publish = true;
		bundle_none(job, why);
		return;
	}
	apw_info("the flow's bundle is used", APW_I("bytes", text.n));
	job_flow_version_given(job, flow_version);
}

static void
bundle_on_fetched(void *arg, const struct apw_fetched *end)
{
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	job->fetch = NULL;
	if (end->error != NULL)
		bundle_none(job, end->error);
	else
		bundle_take(job, end->body);
}

static void
bundle_fetch(struct apw_job *job, struct apw_str url)
{
	struct apw_fetch_order	order = {
		.url = job_text(job->arena, url),
		.max_bytes = APW_BUNDLE_BYTES,
		.timeout_ms = BUNDLE_FETCH_MS,
	};

	if (order.url != NULL)
		job->fetch = apw_fetch(job->env.fetcher, &order,
		    bundle_on_fetched, job);
	if (job->fetch == NULL)
		bundle_none(job, "it cannot be fetched");
}

static void
bundle_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	struct apw_str	kind, url;

	(void)arg;
	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK) {
		/* the next job would wait as long for nothing */
		if (reply->kind == APW_REPLY_UNKNOWN)
			apw_bundles_pause(job->env.publisher, BUNDLE_PAUSE_MS);
		bundle_none(job, reply->error);
	} else if (apw_raw_type(reply->result) == APW_RAW_NULL) {
		job->publish = true;
		bundle_none(job, NULL);
	} else if (apw_raw_member(reply->result, "kind", &kind) != 1)
		bundle_none(job, "the app's answer has no kind");
	else if (apw_raw_equals(apw_raw_trim(kind), "inline") &&
	    reply->nbinary == 1)
		bundle_take(job, reply->binary[0]);
	else if (apw_raw_equals(apw_raw_trim(kind), "url") &&
	    apw_raw_member(reply->result, "url", &url) == 1)
		bundle_fetch(job, url);
	else
		bundle_none(job, "the app's answer is of an unknown kind");
}

void
job_bundle_ask(struct apw_job *job)
{
	struct apw_buf	b = APW_BUF_INIT(8192);
	struct apw_str	payload;

	if (bundle_schema(job) == NULL || job->ids.project_id == NULL ||
	    apw_bundles_paused(job->env.publisher)) {
		job_flow_version_ask(job);
		return;
	}
	apw_buf_puts(&b, "{\"flowVersionId\":");
	apw_buf_json_c(&b, job->ids.flow_version_id);
	apw_buf_puts(&b, ",\"projectId\":");
	apw_buf_json_c(&b, job->ids.project_id);
	apw_buf_puts(&b, "}");
	payload = apw_buf_view(&b);
	job_call(job, "getFlowBundle", &payload, 1, &bundle_repeat,
	    bundle_on_reply, NULL);
	apw_buf_free(&b);
}

void
job_bundle_free(struct apw_job *job)
{
	apw_buf_free(&job->bundle.text);
	job->bundle.pieces = job->bundle.codes = APW_STR("");
}

/* The PiecePackage of a piece that the flow names exactly. */
bool
job_bundle_piece(struct apw_job *job, const char *name, const char *version,
    struct apw_str *package)
{
	struct apw_raw_iter	it;
	struct apw_str		v;

	if (job->bundle.pieces.n == 0 ||
	    apw_raw_iter(&it, job->bundle.pieces) == -1)
		return false;
	while (apw_raw_next(&it, NULL, package) == 1)
		if (apw_raw_type(*package) == APW_RAW_OBJECT &&
		    apw_raw_member(*package, "pieceName", &v) == 1 &&
		    apw_raw_equals(apw_raw_trim(v), name) &&
		    apw_raw_member(*package, "pieceVersion", &v) == 1 &&
		    apw_raw_equals(apw_raw_trim(v), version))
			return true;
	return false;
}

static struct apw_str
bundle_text(struct apw_job *job, struct apw_str literal)
{
	struct apw_buf	 b = APW_BUF_INIT(APW_BUNDLE_BYTES);
	struct apw_str	 text = { .n = 0 };

	if (apw_raw_type(literal) == APW_RAW_STRING &&
	    apw_raw_decode(&b, apw_raw_trim(literal)) == 0 && b.len > 0 &&
	    (text.p = apw_arena_str(job->arena, apw_buf_view(&b))) != NULL)
		text.n = b.len;
	apw_buf_free(&b);
	return text;
}

/* The flow's code steps, with what the bundle has built of them; decoded in
 * the job's arena, while the recipe outlives the job. */
const struct apw_stock_code *
job_bundle_codes(struct apw_job *job)
{
	const struct apw_walk	*walk = &job->recipe->walk;
	struct apw_stock_code	*codes;
	struct apw_raw_iter	 it;
	struct apw_str		 code, name, js;
	size_t			 i;

	if (job->bundle.codes.n == 0 || walk->ncodes == 0 ||
	    apw_raw_iter(&it, job->bundle.codes) == -1)
		return walk->codes;
	codes = apw_arena_alloc(job->arena, walk->ncodes * sizeof(*codes));
	if (codes == NULL)
		return walk->codes;
	memcpy(codes, walk->codes, walk->ncodes * sizeof(*codes));
	while (apw_raw_next(&it, NULL, &code) == 1) {
		if (apw_raw_type(code) != APW_RAW_OBJECT ||
		    apw_raw_member(code, "stepName", &name) != 1 ||
		    apw_raw_member(code, "compiledJs", &js) != 1)
			continue;
		for (i = 0; i < walk->ncodes; i++)
			if (codes[i].built.n == 0 &&
			    apw_raw_equals(apw_raw_trim(name), codes[i].step))
				break;
		if (i < walk->ncodes)
			codes[i].built = bundle_text(job, js);
	}
	return codes;
}

/* Is the flow version in the schema that others expect in a bundle? */
static bool
bundle_fits(const struct apw_job *job)
{
	const char	*schema = bundle_schema(job);
	struct apw_str	 v;

	return schema != NULL &&
	    apw_raw_member(apw_buf_view(&job->recipe->flow_version),
	    "schemaVersion", &v) == 1 &&
	    apw_raw_equals(apw_raw_trim(v), schema);
}

/* Ours, for the others: of a version that never changes, all of whose steps
 * were built.  A script that only says why one was not is none of them, also
 * when it was there before this job. */
void
job_bundle_publish(struct apw_job *job)
{
	const struct apw_recipe	*r = job->recipe;
	struct apw_buf		 b = APW_BUF_INIT(APW_BUNDLE_BYTES);
	struct apw_buf		 js = APW_BUF_INIT(APW_BUNDLE_BYTES);
	struct apw_err		 err = APW_ERR_NONE;
	size_t			 i;

	if (!job->publish || !job->provisioned || !r->fixed ||
	    !bundle_fits(job) || job->ids.platform_id == NULL ||
	    job->ids.project_id == NULL)
		return;
	apw_buf_puts(&b, "{\"flowVersion\":");
	apw_buf_str(&b, apw_buf_view(&r->flow_version));
	apw_buf_puts(&b, ",\"pieces\":[");
	for (i = 0; i < r->npieces; i++) {
		apw_buf_puts(&b, i == 0 ? "" : ",");
		apw_buf_str(&b, r->pieces[i].package);
	}
	apw_buf_puts(&b, "],\"codes\":[");
	for (i = 0; i < job->order.ncodes && !b.failed; i++) {
		apw_buf_reset(&js);
		if (apw_stock_built(job->env.stock, &job->order,
		    &job->order.codes[i], &js, &err) != 1)
			b.failed = true;
		apw_buf_puts(&b, i == 0 ? "{\"stepName\":" :
		    ",{\"stepName\":");
		apw_buf_json_c(&b, job->order.codes[i].step);
		apw_buf_puts(&b, ",\"compiledJs\":");
		apw_raw_quote(&b, apw_buf_view(&js));
		apw_buf_puts(&b, "}");
	}
	apw_buf_puts(&b, "]}");
	if (!b.failed)
		apw_publish(job->env.publisher, job->ids.flow_version_id,
		    job->ids.project_id, job->ids.platform_id, &b);
	apw_buf_free(&b);
	apw_buf_free(&js);
}
