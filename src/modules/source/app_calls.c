/* Calls to the app: they wait while there is no connection, and are sent
 * after the settings exchange, never before (the app would ignore them).
 * Room: source, in a slot. */
#include "modules/source/app_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

#define CALLS_MAX	1024
#define CALLS_BYTES	((size_t)256 << 20)

static void
call_free(struct app_call *call)
{
	if (call->ev != NULL)
		event_free(call->ev);
	apw_buf_free(&call->payload);
	apw_buf_free(&call->binary);
	free(call);
}

/* Take it off the list; the caller answers and frees it. */
static void
call_unlink(struct apw_source *src, struct app_call *call)
{
	struct app_call	**link = &src->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	src->ncalls--;
	src->waiting_bytes -= call->payload.len + call->binary.len;
}

/* A call that this app does not have (it is older or newer than we take it
 * for) is told once a method; what becomes of it is the caller's matter. */
static void
call_tell_missing(struct apw_source *src, const struct app_call *call,
    const char *error)
{
	size_t	i;

	if (error == NULL || strstr(error, "is not a function") == NULL)
		return;
	for (i = 0; i < src->nmissing; i++)
		if (strcmp(src->missing[i], call->method) == 0)
			return;
	if (src->nmissing == APP_MISSING_MAX)
		return;
	memcpy(src->missing[src->nmissing++], call->method,
	    sizeof(call->method));
	apw_warn("the app does not have a call that this build makes; what it "
	    "is for does not work here", APW_S("method", call->method),
	    APW_S("app_version", src->app_version),
	    APW_S("taken_for", src->dialect->name));
}

static void
call_on_reply(void *arg, const struct apw_app_link_reply *from)
{
	static const enum apw_reply_kind kinds[] = {
		[APW_APP_LINK_OK] = APW_REPLY_OK,
		[APW_APP_LINK_REFUSED] = APW_REPLY_REFUSED,
		[APW_APP_LINK_TIMEOUT] = APW_REPLY_UNKNOWN,
		[APW_APP_LINK_LOST] = APW_REPLY_UNKNOWN,
	};
	struct app_call		*call = arg;
	struct apw_reply	 reply = {
		.kind = kinds[from->outcome],
		.error = from->error,
		.result = from->result,
		.binary = from->binary,
		.nbinary = from->nbinary,
	};

	if (reply.kind == APW_REPLY_REFUSED)
		call_tell_missing(call->source, call, reply.error);
	call_unlink(call->source, call);
	call->fn(call->arg, &reply);
	call_free(call);
}

/* It was never sent: its time is up, or it cannot be. */
static void
call_on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const char *const texts[] = {
		[APW_REPLY_REFUSED] = "too much is waiting for the app",
		[APW_REPLY_UNSENT] = "no connection to the app",
		[APW_REPLY_TOO_LARGE] = "larger than the app accepts",
	};
	struct app_call		*call = arg;
	struct apw_reply	 reply = {
		.kind = call->failed,
		.error = texts[call->failed],
		.result = APW_STR("null"),
	};

	(void)fd;
	(void)what;
	call_unlink(call->source, call);
	call->fn(call->arg, &reply);
	call_free(call);
}

static void
call_fail_soon(struct app_call *call, enum apw_reply_kind kind)
{
	call->failed = kind;
	app_timer(call->ev, 0);
}

static void
call_send(struct apw_source *src, struct app_call *call)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_str	payload = apw_buf_view(&call->payload);
	struct apw_str	binary = apw_buf_view(&call->binary);
	int64_t		left_ms = call->deadline_ms - apw_now_ms();

	if (left_ms <= 0)
		return;		/* its timer is about to say so */
	call->link_id = apw_app_link_rpc(src->link, call->method, &payload, 1,
	    binary.n != 0 ? &binary : NULL, left_ms, call_on_reply, call,
	    &err);
	if (call->link_id == 0) {
		if (err.code == ENOTCONN)
			return;		/* on_closed is on its way */
		apw_warn("cannot send a call to the app",
		    APW_S("method", call->method), APW_E(&err));
		call_fail_soon(call, err.code == EMSGSIZE ?
		    APW_REPLY_TOO_LARGE : APW_REPLY_REFUSED);
		return;
	}
	event_del(call->ev);
	src->waiting_bytes -= call->payload.len + call->binary.len;
	apw_buf_free(&call->payload);
	apw_buf_free(&call->binary);
}

uint32_t
app_call(struct apw_source *src, const char *method,
    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
    apw_source_reply_fn *fn, void *arg, struct apw_err *err)
{
	return app_call_binary(src, method, parts, nparts, APW_STR(""),
	    timeout_ms, fn, arg, err);
}

uint32_t
app_call_binary(struct apw_source *src, const char *method,
    const struct apw_str *parts, size_t nparts, struct apw_str binary,
    unsigned timeout_ms, apw_source_reply_fn *fn, void *arg,
    struct apw_err *err)
{
	struct app_call	*call, **end;
	size_t		 bytes = binary.n, i;
	int64_t		 ms = timeout_ms != 0 ? timeout_ms :
			    src->conf->call_timeout_ms;

	for (i = 0; i < nparts; i++)
		bytes += parts[i].n;
	if (src->ncalls >= CALLS_MAX ||
	    bytes > CALLS_BYTES - src->waiting_bytes) {
		apw_err_set(err, 0, "%zu calls with %zu bytes wait for the app",
		    src->ncalls, src->waiting_bytes);
		return 0;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL || (call->ev = evtimer_new(src->env->base,
	    call_on_timer, call)) == NULL) {
		free(call);
		apw_err_set(err, ENOMEM, "call to the app");
		return 0;
	}
	for (i = 0; i < nparts; i++)
		apw_buf_str(&call->payload, parts[i]);
	if (nparts == 0)
		apw_buf_puts(&call->payload, "{}");
	apw_buf_str(&call->binary, binary);
	if (call->payload.failed || call->binary.failed) {
		call_free(call);
		apw_err_set(err, ENOMEM, "call to the app");
		return 0;
	}
	if (++src->last_call == 0)
		src->last_call = 1;
	call->id = src->last_call;
	call->source = src;
	snprintf(call->method, sizeof(call->method), "%s", method);
	call->fn = fn;
	call->arg = arg;
	call->deadline_ms = apw_now_ms() + ms;
	call->failed = APW_REPLY_UNSENT;
	for (end = &src->calls; *end != NULL; end = &(*end)->next)
		;
	*end = call;
	src->ncalls++;
	src->waiting_bytes += call->payload.len + call->binary.len;
	app_timer(call->ev, ms);
	if (src->state == APP_READY)
		call_send(src, call);
	return call->id;
}

void
app_cancel(struct apw_source *src, uint32_t id)
{
	struct app_call	*call;

	for (call = src->calls; call != NULL && call->id != id;
	    call = call->next)
		;
	if (call == NULL)
		return;
	if (call->link_id != 0)
		apw_app_link_cancel(src->link, call->link_id);
	call_unlink(src, call);
	call_free(call);
}

void
app_calls_flush(struct apw_source *src)
{
	struct app_call	*call;

	for (call = src->calls; call != NULL; call = call->next)
		if (call->link_id == 0)
			call_send(src, call);
}

void
app_calls_drop(struct apw_source *src)
{
	struct app_call	*call;

	while ((call = src->calls) != NULL) {
		src->calls = call->next;
		if (call->link_id != 0)
			apw_app_link_cancel(src->link, call->link_id);
		call_free(call);
	}
}
