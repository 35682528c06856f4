/* `source spool`: a directory in the app's place.  It answers the worker
 * contract from the job's own file, and keeps what the run reports beside it.
 * Room: source, in a slot.  One job at a time; replies come from the loop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_directive.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "modules/source/source.h"
#include "modules/source/spool.h"
#include "modules/source/spool_run.h"
#include "proto/apw_raw.h"

#define SPOOL_MAGIC		0x53504f4c
#define SPOOL_CALLS_MAX		1024	/* under way at once */
#define SPOOL_TROUBLE_SEC	5	/* rest after trouble with the directory */

struct spool_conf {
	char		*path;
	uint64_t	 max_job_bytes;
	unsigned	 attempts;
	int64_t		 flow_timeout_ms;
	char		*public_url;
	char		*api_url;
};

struct spool_call {
	uint32_t		 id;
	struct apw_source	*source;	/* borrowed */
	struct spool_call	*next;
	struct event		*ev;		/* owned */
	apw_source_reply_fn	*fn;
	void			*arg;		/* borrowed */
	bool			 refused;
	struct apw_buf		 result;
};

struct apw_source {
	uint32_t		 magic;
	const struct apw_source_env *env;	/* borrowed */
	const struct spool_conf	*conf;		/* borrowed */
	struct apw_source_events events;
	void			*arg;		/* borrowed: the slot */
	struct spool		 spool;
	struct event		*look;		/* owned: look for a job soon */
	struct event		*ready;		/* owned: tell on_ready once */
	struct event		*watch;		/* owned: inotify */
	int			 inotify_fd;
	bool			 wanted, unwanting;
	struct spool_job	*job;		/* owned; NULL between jobs */
	struct spool_run	 run;		/* what the job has reported */
	struct spool_call	*calls;		/* owned list */
	size_t			 ncalls;
	uint32_t		 last_call;
	void			(*left)(void *);
	void			*left_arg;
};

/* A job as the app would hand it out. */
static int
spool_job_object(const struct spool_job *job, struct apw_buf *out)
{
	apw_buf_puts(out, "{\"jobId\":");
	apw_buf_json_c(out, job->id);
	apw_buf_puts(out, ",\"jobData\":");
	apw_buf_str(out, job->job_data);
	apw_buf_printf(out, ",\"attempsStarted\":%u,\"engineToken\":",
	    job->attempt - 1);
	if (job->engine_token.n != 0)
		apw_buf_str(out, job->engine_token);
	else
		apw_buf_puts(out, "\"spool\"");
	apw_buf_puts(out, ",\"token\":");
	apw_buf_json_c(out, job->id);
	return apw_buf_puts(out, ",\"queueName\":\"spool\"}");
}

static void
spool_look(struct apw_source *src)
{
	struct apw_buf	object = APW_BUF_INIT(0);
	struct apw_err	err = APW_ERR_NONE;
	struct timeval	later = { SPOOL_TROUBLE_SEC, 0 };

	if (src->unwanting) {
		src->wanted = src->unwanting = false;
		src->events.on_idle(src->arg);
		return;
	}
	if (src->job != NULL || !src->wanted)
		return;
	switch (spool_claim(&src->spool, &src->job, &err)) {
	case -1:
		apw_error("cannot look for jobs in the spool",
		    APW_S("path", src->conf->path), APW_E(&err));
		src->events.on_blocked(src->arg, err.text);
		event_add(src->look, &later);
		return;
	case 0:
		src->events.on_blocked(src->arg, NULL);
		return;
	}
	src->events.on_blocked(src->arg, NULL);
	src->wanted = false;
	spool_run_begin(&src->run);
	if (spool_job_object(src->job, &object) == -1)
		apw_error("job too large", APW_S("id", src->job->id));
	src->events.on_job(src->arg, apw_buf_view(&object));
	apw_buf_free(&object);
}

static void
spool_on_look(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	spool_look(src);
}

static void
spool_look_soon(struct apw_source *src)
{
	struct timeval	now = { 0, 0 };

	event_add(src->look, &now);
}

/* Something came into new/, or a slot died: what it was is found by looking. */
static void
spool_on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;
	char			 events[4096];

	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	while (read(fd, events, sizeof(events)) > 0)
		;
	spool_look_soon(src);
}

static int
spool_watch(struct apw_source *src, struct apw_err *err)
{
	static const struct { enum spool_dir dir; uint32_t mask; } watched[] = {
		{ SPOOL_NEW, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB },
		{ SPOOL_RUN, IN_CLOSE_WRITE },
	};
	char	path[64];
	size_t	i;

	src->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (src->inotify_fd == -1)
		return apw_err_set(err, errno, "cannot watch the spool");
	for (i = 0; i < APW_COUNT(watched); i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d",
		    src->spool.dir_fd[watched[i].dir]);
		if (inotify_add_watch(src->inotify_fd, path,
		    watched[i].mask) == -1)
			return apw_err_set(err, errno, "cannot watch the spool "
			    "%s", src->conf->path);
	}
	src->watch = event_new(src->env->base, src->inotify_fd,
	    EV_READ | EV_PERSIST, spool_on_watch, src);
	if (src->watch == NULL || event_add(src->watch, NULL) == -1)
		return apw_err_set(err, ENOMEM, "spool");
	return 0;
}

/* The app's settings, as far as a spool has an opinion; the rest are the
 * app's own defaults. */
static void
spool_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;
	struct apw_buf		 settings = APW_BUF_INIT(1 << 16);

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	apw_buf_puts(&settings, "{\"PUBLIC_URL\":");
	apw_buf_json_c(&settings, src->conf->public_url);
	apw_buf_printf(&settings, ",\"FLOW_TIMEOUT_SECONDS\":%lld",
	    (long long)(src->conf->flow_timeout_ms + 999) / 1000);
	apw_buf_puts(&settings, ",\"ENVIRONMENT\":\"prod\",\"EDITION\":\"ce\","
	    "\"NETWORK_MODE\":\"UNRESTRICTED\"}");
	src->events.on_ready(src->arg, apw_buf_view(&settings));
	apw_buf_free(&settings);
}

static void spool_source_close(struct apw_source *);

static struct apw_source *
spool_source_open(const struct apw_source_env *env,
    const struct apw_source_events *events, void *arg, struct apw_err *err)
{
	struct apw_source	*src = calloc(1, sizeof(*src));
	struct timeval		 now = { 0, 0 };

	if (src == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		return NULL;
	}
	src->magic = SPOOL_MAGIC;
	src->env = env;
	src->conf = env->conf;
	src->events = *events;
	src->arg = arg;
	src->inotify_fd = -1;
	src->spool.max_job_bytes = src->conf->max_job_bytes;
	src->spool.attempts = src->conf->attempts;
	src->look = evtimer_new(env->base, spool_on_look, src);
	src->ready = evtimer_new(env->base, spool_on_ready, src);
	if (src->look == NULL || src->ready == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		spool_source_close(src);
		return NULL;
	}
	if (spool_open(&src->spool, src->conf->path, env->slot, err) == -1 ||
	    spool_watch(src, err) == -1) {
		spool_source_close(src);
		return NULL;
	}
	event_add(src->ready, &now);
	return src;
}

static void
spool_call_free(struct spool_call *call)
{
	if (call->ev != NULL)
		event_free(call->ev);
	apw_buf_free(&call->result);
	free(call);
}

static void
spool_source_close(struct apw_source *src)
{
	struct spool_call	*call;

	if (src == NULL)
		return;
	while ((call = src->calls) != NULL) {
		src->calls = call->next;
		spool_call_free(call);
	}
	if (src->watch != NULL)
		event_free(src->watch);
	if (src->inotify_fd != -1)
		close(src->inotify_fd);
	if (src->look != NULL)
		event_free(src->look);
	if (src->ready != NULL)
		event_free(src->ready);
	spool_job_free(src->job);	/* unsettled: the next slot has it */
	spool_run_end(&src->run);
	if (src->spool.path != NULL)
		spool_close(&src->spool);
	src->magic = 0;
	free(src);
}

static void
spool_source_want(struct apw_source *src)
{
	src->wanted = true;
	src->unwanting = false;
	spool_look_soon(src);
}

static void
spool_source_unwant(struct apw_source *src)
{
	src->unwanting = true;
	spool_look_soon(src);
}

/* completeJob: the end of the job here. */
static void
spool_complete(struct apw_source *src, struct apw_str payload,
    struct apw_err *err)
{
	struct spool_outcome	o = { .slot = src->env->slot };

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
	    spool_flow(&src->spool, apw_buf_view(&id), out, err) == 0)
		apw_buf_puts(out, "null");
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

static uint32_t
spool_source_call(struct apw_source *src, const char *method,
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

static void
spool_source_cancel(struct apw_source *src, uint32_t id)
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

static const char *
spool_source_api_url(struct apw_source *src)
{
	return src->conf->api_url;
}

static void
spool_on_left(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	src->left(src->left_arg);
}

static void
spool_source_leave(struct apw_source *src, void (*done)(void *), void *arg)
{
	struct timeval	now = { 0, 0 };

	src->left = done;
	src->left_arg = arg;
	event_free(src->look);
	src->look = evtimer_new(src->env->base, spool_on_left, src);
	APW_ASSERT(src->look != NULL);
	event_add(src->look, &now);
	if (src->watch != NULL)
		event_del(src->watch);
}

const char *
spool_conf_path(const void *conf)
{
	return ((const struct spool_conf *)conf)->path;
}

static const struct apw_source_ops spool_source_ops = {
	.open = spool_source_open,
	.want = spool_source_want,
	.unwant = spool_source_unwant,
	.call = spool_source_call,
	.cancel = spool_source_cancel,
	.internal_api_url = spool_source_api_url,
	.leave = spool_source_leave,
	.close = spool_source_close,
};

static const struct apw_directive spool_directives[] = {
	{ .name = "path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = offsetof(struct spool_conf, path),
	  .dflt = APW_LOCALSTATEDIR "/spool/apworkerd",
	  .reload = APW_NEW_SLOTS, .arg_help = "DIRECTORY",
	  .help = "The spool: jobs are files that are renamed into its folder "
	    "new; results appear in done and failed." },
	{ .name = "max_job_size", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = offsetof(struct spool_conf, max_job_bytes),
	  .limits = APW_BOUNDS(1024, 256 << 20), .dflt = "64m",
	  .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "A job file that is larger is moved to failed unread." },
	{ .name = "attempts", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = offsetof(struct spool_conf, attempts),
	  .limits = APW_BOUNDS(1, 100), .dflt = "3",
	  .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How often a job is started when its slot dies under it." },
	{ .name = "flow_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct spool_conf, flow_timeout_ms),
	  .limits = APW_BOUNDS(1000, 7 * 86400000LL), .dflt = "600s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "The time limit of one flow run." },
	{ .name = "public_url", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = offsetof(struct spool_conf, public_url),
	  .dflt = "http://127.0.0.1/", .reload = APW_NEW_SLOTS,
	  .arg_help = "URL",
	  .help = "What flows see as the address of their webhooks." },
	{ .name = "api_url", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = offsetof(struct spool_conf, api_url),
	  .dflt = "http://127.0.0.1:9/api/", .reload = APW_NEW_SLOTS,
	  .arg_help = "URL",
	  .help = "The API that engines are told to call; it ends in a slash. "
	    "The reference engine does without one." },
	{ .name = NULL }
};

struct apw_module apw_source_spool_module = {
	.name = "source_spool",
	.block = "spool",
	.kind = APW_MODULE_SOURCE,
	.directives = spool_directives,
	.conf_size = sizeof(struct spool_conf),
	.ops.source = &spool_source_ops,
};
