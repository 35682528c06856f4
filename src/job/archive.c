/* Packages of pieces that come from the app, before the order is placed.  Room:
 * job.
 *
 * From 0.86 on the app says where each is (v1/engine/pieces/bundle):
 *
 *	public URL ─ the app's own URL ─┬─ the package, or a place to fetch it
 *					├─ the registry's: left to the installer
 *					└─ no: archives by getPieceArchive, others
 *					   by the registry
 *
 * Before that archives come by getPieceArchive, all others by the registry. */
#include "job/job_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_log.h"
#include "egress/fetch.h"
#include "proto/apw_raw.h"
#include "stock/release.h"

#define ARCHIVE_FETCH_MS	60000
#define ARCHIVE_HOPS		5
#define ARCHIVE_TOKEN_MAX	8192

static const struct job_repeat archive_repeat = { .ms = 120000 };

static void archive_next(struct apw_job *);
static void archive_fetch(struct apw_job *);

/* The one in hand. */
static struct apw_recipe_piece *
archive_piece(const struct apw_job *job)
{
	return &job->recipe->pieces[job->next_archive - 1];
}

static void
archive_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	struct apw_recipe_piece	*p = arg;
	struct apw_err		 err = APW_ERR_NONE;

	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK || reply->nbinary != 1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "%s%sgetPieceArchive of %s@%s: %s", job->no_package,
		    job->no_package[0] == '\0' ? "" : "; ", p->name,
		    p->version, reply->kind == APW_REPLY_OK ?
		    "no archive was sent" : reply->error);
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

/* By HTTP it is not to be had. */
static void
archive_otherwise(struct apw_job *job)
{
	struct apw_recipe_piece	*p = archive_piece(job);

	if (p->order.archive_id != NULL) {
		archive_ask(job, p);
		return;
	}
	apw_info("the app does not give a piece's package: the registry is "
	    "asked", APW_S("piece", p->order.name),
	    APW_S("version", p->order.version), APW_S("why", job->no_package));
	archive_next(job);
}

/* NULL: taken. */
static const char *
archive_take(struct apw_job *job, struct apw_str tgz)
{
	struct apw_err	err = APW_ERR_NONE;

	/* a page that says welcome is none */
	if (tgz.n < 2 || memcmp(tgz.p, "\x1f\x8b", 2) != 0)
		return "what came is no package";
	if (apw_stock_archive_put(job->env.stock, &archive_piece(job)->order,
	    job->env.sandbox->boxed, tgz, &err) == 0)
		return NULL;
	apw_warn("a piece's package was not kept", APW_E(&err));
	return "it cannot be written to the stock";
}

static void
archive_on_fetched(void *arg, const struct apw_fetched *end)
{
	struct apw_recipe_piece	*p;
	struct apw_job		*job;
	const char		*why = end->error;

	APW_CAST(job, arg, JOB_MAGIC);
	job->fetch = NULL;
	p = archive_piece(job);
	if (why == NULL && !end->left)
		why = archive_take(job, end->body);
	if (why == NULL) {
		archive_next(job);
		return;
	}
	snprintf(job->no_package, sizeof(job->no_package),
	    "Failed to fetch piece bundle %.100s@%.40s: %.150s%s", p->name,
	    p->version, why, end->status == 404 ? " Not Found" : "");
	if (job->by_own_url)
		archive_otherwise(job);
	else {
		job->by_own_url = true;
		archive_fetch(job);
	}
}

/* The app sends us to the registry: the installer goes there by itself, to the
 * one that is configured, with its credentials. */
static bool
archive_leave(void *arg, const char *url)
{
	struct apw_job	*job;

	APW_CAST(job, arg, JOB_MAGIC);
	return apw_stock_registry_has(job->env.stock, url,
	    &archive_piece(job)->order);
}

static void
archive_put_escaped(struct apw_buf *b, const char *text)
{
	for (; *text != '\0'; text++)
		if (strchr("-_.~", *text) != NULL ||
		    (*text >= '0' && *text <= '9') ||
		    (*text >= 'a' && *text <= 'z') ||
		    (*text >= 'A' && *text <= 'Z'))
			apw_buf_put(b, text, 1);
		else
			apw_buf_printf(b, "%%%02X", (unsigned char)*text);
}

static void
archive_url(const struct apw_job *job, const char *base, struct apw_buf *url)
{
	const struct apw_stock_piece	*o = &archive_piece(job)->order;

	apw_buf_puts(url, base);
	apw_buf_puts(url, "v1/engine/pieces/bundle?");
	if (o->archive_id != NULL) {
		apw_buf_puts(url, "archiveId=");
		archive_put_escaped(url, o->archive_id);
		return;
	}
	apw_buf_puts(url, "name=");
	archive_put_escaped(url, o->name);
	apw_buf_puts(url, "&version=");
	archive_put_escaped(url, o->version);
}

/* The public URL is not asked where it is the other one, is none ("" of the
 * settings), or has just given no answer. */
static const char *
archive_base(struct apw_job *job)
{
	const char	*pub = job->env.settings->public_api_url;
	const char	*own = job->env.source->internal_api_url(
			    job->env.source_of);

	if (!job->by_own_url && (strncmp(pub, "http", 4) != 0 ||
	    strcmp(pub, own) == 0 ||
	    apw_fetch_unanswered(job->env.fetcher, pub)))
		job->by_own_url = true;
	return job->by_own_url ? own : pub;
}

static void
archive_fetch(struct apw_job *job)
{
	struct apw_buf		url = APW_BUF_INIT(8192);
	struct apw_buf		token = APW_BUF_INIT(ARCHIVE_TOKEN_MAX);
	struct apw_fetch_order	order = {
		.max_bytes = APW_STOCK_ARCHIVE_BYTES,
		.timeout_ms = ARCHIVE_FETCH_MS,
		.hops = ARCHIVE_HOPS,
		.leave = archive_leave,
	};

	archive_url(job, archive_base(job), &url);
	if (apw_raw_decode(&token, job->engine_token) == 0 &&
	    token.data != NULL)
		order.bearer = token.data;
	order.url = url.data;
	if (!url.failed)
		job->fetch = apw_fetch(job->env.fetcher, &order,
		    archive_on_fetched, job);
	if (token.data != NULL)
		explicit_bzero(token.data, token.len);
	apw_buf_free(&token);
	apw_buf_free(&url);
	if (job->fetch == NULL)
		archive_otherwise(job);
}

/* Is the app to be asked for it?  What a recipe once got is there, but for
 * archives, of which another may have the same name. */
static bool
archive_wanted(struct apw_job *job, const struct apw_recipe_piece *p,
    bool by_app)
{
	return p->ordered && (p->order.archive_id != NULL ||
	    (by_app && !job->recipe->stocked)) &&
	    !apw_stock_archive_has(job->env.stock, &p->order,
	    job->env.sandbox->boxed);
}

/* One after the other: a package may be large. */
static void
archive_next(struct apw_job *job)
{
	struct apw_recipe_piece	*p;
	bool			 by_app;

	by_app = apw_stock_release_of(job->env.settings->release)->by_app &&
	    job->engine_token.n != 0;
	while (job->next_archive < job->recipe->npieces) {
		p = &job->recipe->pieces[job->next_archive++];
		if (!archive_wanted(job, p, by_app))
			continue;
		job->no_package[0] = '\0';
		job->by_own_url = false;
		if (by_app)
			archive_fetch(job);
		else
			archive_ask(job, p);
		return;
	}
	job_next(job);
}

void
job_archives_enter(struct apw_job *job)
{
	archive_next(job);
}
