/* Pieces: from the names in a flow to packages.  Room: job.
 *
 * The app is asked for each piece that the stock does not know, a few at a
 * time. */
#include "job/job_priv.h"

#include <ctype.h>
#include <string.h>

#include "core/apw_log.h"
#include "proto/apw_raw.h"
#include "stock/release.h"

#define RESOLVE_PARALLEL	8
static const struct job_repeat resolve_repeat = { .ms = 90000 };

static void resolve_more(struct apw_job *);

/* "1.2.3": what it means does not change. */
static bool
resolve_exact(const char *version)
{
	int	dots = 0;

	if (!isdigit((unsigned char)*version))
		return false;
	for (; *version != '\0'; version++) {
		if (*version == '.') {
			dots++;
			if (!isdigit((unsigned char)version[1]))
				return false;
		} else if (!isdigit((unsigned char)*version))
			return false;
	}
	return dots == 2;
}

static bool
resolve_cacheable(const struct apw_job *job, const struct apw_recipe_piece *p)
{
	return resolve_exact(p->version) &&
	    strcmp(job->env.settings->environment, "test") != 0 &&
	    !apw_settings_dev_piece(job->env.settings, p->name);
}

/* Make the order's entry and the PiecePackage from one object: metadata
 * of the app, or a PiecePackage that was kept. */
static int
resolve_read(struct apw_job *job, struct apw_recipe_piece *p, struct apw_str text,
    bool kept)
{
	struct apw_stock_piece	*o = &p->order;
	struct apw_str		 v;

#define MEMBER(key)							\
	(apw_raw_member(text, (key), &v) == 1 ? job_text(job->recipe->arena, v) : NULL)
	o->package_type = MEMBER("packageType");
	o->piece_type = MEMBER("pieceType");
	o->name = kept ? MEMBER("pieceName") : MEMBER("name");
	o->version = kept ? MEMBER("pieceVersion") : MEMBER("version");
	o->archive_id = MEMBER("archiveId");
#undef MEMBER
	if (o->package_type == NULL || o->piece_type == NULL ||
	    o->name == NULL || o->version == NULL)
		return -1;
	if (strcmp(o->package_type, "ARCHIVE") != 0)
		o->archive_id = NULL;
	else if (o->archive_id == NULL)
		return -1;
	if (strcmp(o->piece_type, "CUSTOM") == 0 || o->archive_id != NULL)
		o->platform_id = job->recipe->platform_id;
	p->ordered = !apw_settings_dev_piece(job->env.settings, o->name);
	return 0;
}

static int
resolve_package(struct apw_job *job, struct apw_recipe_piece *p)
{
	const struct apw_stock_piece	*o = &p->order;
	const struct { const char *key, *value; } members[] = {
		{ "packageType", o->package_type },
		{ "pieceType", o->piece_type },
		{ "pieceName", o->name },
		{ "pieceVersion", o->version },
		{ "archiveId", o->archive_id },
		{ "platformId", o->platform_id },
	};
	struct apw_buf	buf = APW_BUF_INIT(16384);
	char		*text;
	size_t		i;

	for (i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (members[i].value == NULL)
			continue;
		apw_buf_puts(&buf, buf.len == 0 ? "{" : ",");
		apw_buf_json_c(&buf, members[i].key);
		apw_buf_puts(&buf, ":");
		apw_buf_json_c(&buf, members[i].value);
	}
	apw_buf_puts(&buf, "}");
	text = buf.failed ? NULL : apw_arena_str(job->recipe->arena, apw_buf_view(&buf));
	apw_buf_free(&buf);
	if (text == NULL)
		return -1;
	p->package = apw_str_c(text);
	return 0;
}

/* A worker that published the flow has asked the app before us. */
static int
resolve_from_bundle(struct apw_job *job, struct apw_recipe_piece *p)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_str	text;

	if (!resolve_cacheable(job, p) ||
	    !job_bundle_piece(job, p->name, p->version, &text) ||
	    resolve_read(job, p, text, true) == -1 ||
	    resolve_package(job, p) == -1)
		return -1;
	if (apw_stock_piece_put(job->env.stock, p->name, p->version,
	    job->ids.platform_id, p->package, &err) == -1)
		apw_warn("piece metadata was not kept", APW_E(&err));
	return 0;
}

static int
resolve_from_stock(struct apw_job *job, struct apw_recipe_piece *p)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_buf	buf = APW_BUF_INIT(65536);
	int		rv = -1;

	if (!resolve_cacheable(job, p))
		return -1;
	if (apw_stock_piece_get(job->env.stock, p->name, p->version,
	    job->ids.platform_id, &buf, &err) == 1 &&
	    apw_raw_check(apw_buf_view(&buf), 0) == 0 &&
	    apw_raw_type(apw_buf_view(&buf)) == APW_RAW_OBJECT)
		rv = resolve_read(job, p, apw_buf_view(&buf), true);
	apw_buf_free(&buf);
	return rv == -1 ? -1 : resolve_package(job, p);
}

/* The app does not know the piece, or hides it: the flow cannot run. */
static void
resolve_missing(struct apw_job *job, const struct apw_recipe_piece *p)
{
	struct apw_buf	buf = APW_BUF_INIT(8192);
	struct apw_str	payload;

	if (job->ids.flow_id != NULL && job->ids.project_id != NULL &&
	    !job->env.prewarm) {
		apw_buf_puts(&buf, "{\"flowId\":");
		apw_buf_json_c(&buf, job->ids.flow_id);
		apw_buf_puts(&buf, ",\"projectId\":");
		apw_buf_json_c(&buf, job->ids.project_id);
		apw_buf_puts(&buf, "}");
		payload = apw_buf_view(&buf);
		job_post(job, "disableFlow", &payload, 1);
	}
	job->failed_step = p->step;
	job->failed_step_title = p->title;
	if (job->ids.flow_id == NULL)
		job_conclude(job, APW_ENDING_PIECE_MISSING,
		    "piece %s@%s does not exist", p->name, p->version);
	else
		job_conclude(job, APW_ENDING_PIECE_MISSING,
		    "piece %s@%s%s%s%s is not installed on this platform, or "
		    "an administrator has hidden it, so the flow has been "
		    "turned off; install this version, or change the step, "
		    "then publish the flow and turn it on again", p->name,
		    p->version, p->step == NULL ? "" : " of step \"",
		    p->step == NULL ? "" : p->step,
		    p->step == NULL ? "" : "\"");
	apw_buf_free(&buf);
}

static void
resolve_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	struct apw_recipe_piece	*p = arg;
	struct apw_err		 err = APW_ERR_NONE;

	job->open_pieces--;
	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPiece %s@%s: %s", p->name, p->version, reply->error);
		return;
	}
	if (apw_raw_type(reply->result) == APW_RAW_NULL) {
		resolve_missing(job, p);
		return;
	}
	if (apw_raw_type(reply->result) != APW_RAW_OBJECT ||
	    resolve_read(job, p, reply->result, false) == -1 ||
	    resolve_package(job, p) == -1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getPiece %s@%s answered no piece", p->name, p->version);
		return;
	}
	if (resolve_cacheable(job, p) && apw_stock_piece_put(job->env.stock,
	    p->name, p->version, job->ids.platform_id, p->package, &err) == -1)
		apw_warn("piece metadata was not kept", APW_E(&err));
	resolve_more(job);
}

static void
resolve_ask(struct apw_job *job, struct apw_recipe_piece *p)
{
	struct apw_buf	buf = APW_BUF_INIT(8192);
	struct apw_str	payload;

	apw_buf_puts(&buf, "{\"name\":");
	apw_buf_json_c(&buf, p->name);
	apw_buf_puts(&buf, ",\"version\":");
	apw_buf_json_c(&buf, p->version);
	if (job->ids.platform_id != NULL) {
		apw_buf_puts(&buf, ",\"platformId\":");
		apw_buf_json_c(&buf, job->ids.platform_id);
	}
	apw_buf_puts(&buf, "}");
	payload = apw_buf_view(&buf);
	job->open_pieces++;
	job_call(job, "getPiece", &payload, 1, &resolve_repeat,
	    resolve_on_reply, p);
	apw_buf_free(&buf);
}

static void
resolve_more(struct apw_job *job)
{
	struct apw_recipe_piece	*p;

	while (job->next_piece < job->recipe->npieces &&
	    job->open_pieces < RESOLVE_PARALLEL) {
		p = &job->recipe->pieces[job->next_piece++];
		if (resolve_from_stock(job, p) == -1 &&
		    resolve_from_bundle(job, p) == -1)
			resolve_ask(job, p);
	}
	if (job->next_piece == job->recipe->npieces && job->open_pieces == 0) {
		job->recipe->complete = true;
		job_next(job);
	}
}

/* The one piece that the job brings.  What is exact is what it says; the
 * app knows what else may be meant. */
static void
resolve_given(struct apw_job *job)
{
	struct apw_recipe	*r = job->recipe;
	struct apw_recipe_piece	*p;

	r->pieces = p = apw_arena_alloc(r->arena, sizeof(*p));
	APW_ASSERT(p != NULL);
	if (resolve_read(job, p, job->ids.piece, true) == -1) {
		job_conclude(job, APW_ENDING_BAD_JOB,
		    "VALIDATION: jobData.piece names no piece");
		return;
	}
	p->name = p->order.name;
	p->version = p->order.version;
	r->npieces = 1;
	if (!resolve_exact(p->version) && p->order.archive_id == NULL)
		resolve_more(job);
	else if (resolve_package(job, p) == -1)
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "out of memory");
	else
		job_next(job);
}

void
job_pieces_enter(struct apw_job *job)
{
	struct apw_recipe	*r = job->recipe;
	struct apw_recipe_piece	*p;
	bool			 tools;
	size_t			 i;

	if (r->complete) {
		job_next(job);
		return;
	}
	if (job->ids.piece.n != 0) {
		resolve_given(job);
		return;
	}
	r->pieces = apw_arena_alloc(r->arena,
	    (r->walk.npieces + 1) * sizeof(*r->pieces));
	APW_ASSERT(r->pieces != NULL);
	tools = apw_stock_release_of(job->env.settings->release)->agent_tools;
	for (i = 0; i < r->walk.npieces; i++) {
		if (r->walk.pieces[i].of_agent && !tools)
			continue;
		p = &r->pieces[r->npieces++];
		p->name = r->walk.pieces[i].name;
		p->version = r->walk.pieces[i].version;
		p->step = r->walk.pieces[i].step;
		p->title = r->walk.pieces[i].title;
		r->fixed = r->fixed && resolve_cacheable(job, p);
	}
	resolve_more(job);
}
