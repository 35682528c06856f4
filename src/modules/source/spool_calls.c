/* The worker contract, answered from the job's own file in the spool; what a
 * run reports is kept beside it.  Room: source, in a slot.  Replies come from
 * the loop. */
#include <errno.h>
#include <stdlib.h>

#include "core/apw_log.h"
#include "modules/source/source_spool_priv.h"
#include "proto/apw_raw.h"

#define SPOOL_CALLS_MAX	1024	/* under way at once */

static void
spool_call_free(struct spool_call *call)
{
	if (call->ev != NULL)
		event_free(call->ev);
	apw_buf_free(&call->result);
	free(call);
}

/* completeJob: the end of the job here. */
static void
spool_complete(struct apw_source *src, struct apw_str payload,
    struct apw_err *err)
{
	struct spool_outcome	o = {
		.slot = src->env->slot,
		.files = src->files,
	};

	if (src->job == NULL)
		return;		/* the app, too, answers a second call with nothing */
	if (spool_run_outcome(&src->run, payload, &o) == -1) {
		apw_err_set(err, 0, "completeJob without a status");
		return;
	}
	if (spool_settle(&src->spool, src->job, &o, err) == -1) {
		apw_error("cannot write the job's result",
		    APW_S("id", src->job->id), APW_E(err));
		return;
	}
	spool_job_free(src->job);
	src->job = NULL;
	spool_run_end(&src->run);
	if (src->files != NULL)
		spool_files_begin(src->files, APW_STR(""));
}

static void
spool_answer_flow(struct apw_source *src, struct apw_str payload,
    struct apw_buf *out, struct apw_err *err)
{
	struct apw_buf	id = APW_BUF_INIT(256);
	struct apw_str	want, have;

	if (src->job != NULL && src->job->flow_version.n != 0) {
		apw_buf_str(out, src->job->flow_version);
		/* a job that names another version than it brings */
		if (apw_raw_member(payload, "versionId", &want) == 1 &&
		    apw_raw_member(src->job->flow_version, "id", &have) == 1 &&
		    !apw_str_eq(apw_raw_trim(want), apw_raw_trim(have))) {
			apw_buf_reset(out);
			apw_err_set(err, 0, "found flowVersion.id %.*s in the "
			    "job's file; expected jobData.flowVersionId %.*s",
			    (int)(have.n < 80 ? have.n : 80), have.p,
			    (int)(want.n < 80 ? want.n : 80), want.p);
		}
	} else if (apw_raw_member(payload, "versionId", &want) == 1 &&
	    apw_raw_decode(&id, want) == 0 &&
	    spool_flow(&src->spool, apw_buf_view(&id), out, err) == 0) {
		apw_buf_puts(out, "null");
		/* the job ends with a status alone: the app knows the rest */
		apw_buf_reset(&src->run.missing);
		apw_buf_printf(&src->run.missing, "flow version %.200s is "
		    "neither in the job's file (\"flowVersion\") nor in the "
		    "spool (flows/%.200s.json)", id.data == NULL ? "" :
		    id.data, id.data == NULL ? "" : id.data);
	}
	apw_buf_free(&id);
}

/* The registry is the spool's only shop: whatever piece a flow names is taken
 * as an official one of exactly that version. */
static void
spool_answer_piece(struct apw_str payload, struct apw_buf *out,
    struct apw_err *err)
{
	struct apw_buf	version = APW_BUF_INIT(256);
	struct apw_str	name, v;

	if (apw_raw_member(payload, "name", &name) != 1 ||
	    apw_raw_member(payload, "version", &v) != 1 ||
	    apw_raw_decode(&version, v) == -1) {
		apw_err_set(err, 0, "getPiece without name and version");
	} else {
		v = apw_buf_view(&version);
		if (v.n != 0 && (v.p[0] == '^' || v.p[0] == '~'))
			v = (struct apw_str){ v.p + 1, v.n - 1 };
		apw_buf_puts(out, "{\"name\":");
		apw_buf_str(out, apw_raw_trim(name));
		apw_buf_puts(out, ",\"version\":");
		apw_buf_json(out, v);
		apw_buf_puts(out, ",\"packageType\":\"REGISTRY\","
		    "\"pieceType\":\"OFFICIAL\"}");
	}
	apw_buf_free(&version);
}

/* Answer a call of the worker contract; err is set for a refusal. */
static void
spool_answer(struct apw_source *src, const char *method,
    struct apw_str payload, struct apw_buf *out, struct apw_err *err)
{
	if (strcmp(method, "completeJob") == 0)
		spool_complete(src, payload, err);
	else if (strcmp(method, "getFlowVersion") == 0)
		spool_answer_flow(src, payload, out, err);
	else if (strcmp(method, "getPiece") == 0)
		spool_answer_piece(payload, out, err);
	else if (strcmp(method, "getUsedPieces") == 0 ||
	    strcmp(method, "submitPayloads") == 0)
		apw_buf_puts(out, "[]");
	else if (strcmp(method, "getPieceArchive") == 0)
		apw_err_set(err, 0, "a spool has no piece archives");

	if (src->job != NULL)
		spool_run_note(&src->run, method, payload);
	if (out->len == 0)
		apw_buf_puts(out, "null");
}

static void
spool_on_reply(evutil_socket_t fd, short what, void *arg)
{
	struct spool_call	*call = arg, **link;
	struct apw_source	*src = call->source;
	struct apw_reply	 reply = { .kind = APW_REPLY_OK };

	(void)fd;
	(void)what;
	for (link = &src->calls; *link != call; link = &(*link)->next)
		;
	*link = call->next;
	src->ncalls--;
	if (call->refused) {
		reply.kind = APW_REPLY_REFUSED;
		reply.error = call->result.data;
		reply.result = APW_STR("null");
	} else {
		reply.result = apw_buf_view(&call->result);
	}
	call->fn(call->arg, &reply);
	spool_call_free(call);
}

uint32_t
spool_call(struct apw_source *src, const char *method,
    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
    apw_source_reply_fn *fn, void *arg, struct apw_err *err)
{
	struct spool_call	*call;
	struct apw_buf		 payload = APW_BUF_INIT(0);
	struct apw_err		 refusal = APW_ERR_NONE;
	struct timeval		 now = { 0, 0 };
	size_t			 i;

	(void)timeout_ms;	/* answered at once */
	if (src->ncalls >= SPOOL_CALLS_MAX) {
		apw_err_set(err, 0, "%zu calls are under way", src->ncalls);
		return 0;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL || (call->ev = evtimer_new(src->env->base,
	    spool_on_reply, call)) == NULL) {
		free(call);
		apw_err_set(err, ENOMEM, "spool");
		return 0;
	}
	for (i = 0; i < nparts; i++)
		apw_buf_str(&payload, parts[i]);
	if (payload.failed)
		apw_err_set(&refusal, 0, "payload too large");
	else
		spool_answer(src, method, apw_buf_view(&payload),
		    &call->result, &refusal);
	apw_buf_free(&payload);
	if (refusal.text[0] != '\0') {
		call->refused = true;
		apw_buf_reset(&call->result);
		apw_buf_puts(&call->result, refusal.text);
	}
	if (++src->last_call == 0)
		src->last_call = 1;
	call->id = src->last_call;
	call->source = src;
	call->fn = fn;
	call->arg = arg;
	call->next = src->calls;
	src->calls = call;
	src->ncalls++;
	event_add(call->ev, &now);
	return call->id;
}

void
spool_cancel(struct apw_source *src, uint32_t id)
{
	struct spool_call	**link, *call;

	for (link = &src->calls; (call = *link) != NULL; link = &call->next) {
		if (call->id != id)
			continue;
		*link = call->next;
		src->ncalls--;
		spool_call_free(call);
		return;
	}
}

void
spool_calls_drop(struct apw_source *src)
{
	struct spool_call	*call;

	while ((call = src->calls) != NULL) {
		src->calls = call->next;
		spool_call_free(call);
	}
	src->ncalls = 0;
}
