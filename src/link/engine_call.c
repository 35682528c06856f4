/*
 * Engine link: calls of the engine that wait for an answer.  Room: link.
 *
 * Must never let a call wait for ever, nor let an engine keep more bytes of
 * calls in flight than it is allowed.
 */
#include <event2/event.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "link/engine_link_priv.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"

void
engine_call_refuse(struct apw_engine_link *l, uint64_t id, const char *text)
{
	struct apw_str	parts[3];

	if (l->dialect->commands || l->conf.silent)
		return;		/* that generation takes silence for failure */
	apw_buf_reset(&l->scratch);
	if (apw_rpc_error_put(&l->scratch, text) == -1)
		return;
	parts[0] = APW_STR("[");
	parts[1] = apw_buf_view(&l->scratch);
	parts[2] = APW_STR("]");
	apw_sio_socket_ack(l->sock, id, parts, 3, NULL, 0);
}

/* Set the timer to the oldest call. */
static void
call_arm(struct apw_engine_link *l)
{
	int64_t		 first = INT64_MAX, left;
	struct timeval	 tv = { 0, 0 };
	unsigned	 i;

	for (i = 0; i < l->conf.max_calls; i++)
		if (l->calls[i].handle != 0 &&
		    l->calls[i].deadline_ms < first)
			first = l->calls[i].deadline_ms;
	if (first == INT64_MAX) {
		event_del(l->timer);
		return;
	}
	left = first - apw_now_ms();
	if (left > 0) {
		tv.tv_sec = left / 1000;
		tv.tv_usec = left % 1000 * 1000;
	}
	event_add(l->timer, &tv);
}

static void
call_forget(struct apw_engine_link *l, struct engine_call *c)
{
	l->call_bytes -= c->bytes;
	l->ncalls--;
	c->handle = 0;
}

static void
call_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine_link	*l;
	struct engine_call	*c;
	int64_t			 now = apw_now_ms();
	unsigned		 i;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	(void)fd;
	(void)what;
	for (i = 0; i < l->conf.max_calls; i++) {
		c = &l->calls[i];
		if (c->handle == 0 || c->deadline_ms > now)
			continue;
		apw_warn_often("call of the engine was not answered in time");
		engine_call_refuse(l, c->id, "the worker got no answer in time");
		call_forget(l, c);
	}
	call_arm(l);
}

int
engine_call_init(struct apw_engine_link *l)
{
	l->timer = event_new(l->base, -1, 0, call_on_timer, l);
	return l->timer == NULL ? -1 : 0;
}

void
engine_call_settle(struct apw_engine_link *l)
{
	if (l->nrefused > 1)
		apw_warn_often("calls of the engine were refused: too many in "
		    "flight", APW_I("count", l->nrefused));
	l->nrefused = 0;
}

void
engine_call_drop_all(struct apw_engine_link *l)
{
	engine_call_settle(l);
	memset(l->calls, 0, sizeof(l->calls));
	l->ncalls = 0;
	l->call_bytes = 0;
	event_del(l->timer);
}

void
engine_call_begin(struct apw_engine_link *l, struct apw_str method,
    struct apw_str payload, uint64_t id, size_t bytes)
{
	struct engine_call	*c = l->calls;

	if (l->ncalls == l->conf.max_calls ||
	    l->call_bytes + bytes > l->conf.max_call_bytes) {
		/* an engine may do this as fast as it can: said once */
		if (l->nrefused++ == 0)
			apw_warn_often("engine has too many calls in flight",
			    APW_I("calls", l->ncalls),
			    APW_I("bytes", l->call_bytes));
		engine_call_refuse(l, id, "too many calls in flight");
		return;
	}
	while (c->handle != 0)
		c++;
	if (++l->next_handle == 0)
		l->next_handle = 1;
	c->handle = l->next_handle;
	c->id = id;
	c->bytes = bytes;
	c->deadline_ms = apw_now_ms() + l->conf.call_timeout_ms;
	l->call_bytes += bytes;
	l->ncalls++;
	/* it may have been set for one that is answered: it looks then */
	if (!event_pending(l->timer, EV_TIMEOUT, NULL))
		call_arm(l);
	l->ev.on_call(l->arg, c->handle, method, payload);
}

void
apw_engine_link_answer(struct apw_engine_link *l, uint32_t call,
    const struct apw_str *result, const char *error)
{
	struct apw_str	 parts[3] = { APW_STR("["), APW_STR("null"),
	    APW_STR("]") };
	uint64_t	 id;
	unsigned	 i;

	for (i = 0; i < l->conf.max_calls; i++)
		if (call != 0 && l->calls[i].handle == call)
			break;
	if (i == l->conf.max_calls || l->sock == NULL)
		return;
	id = l->calls[i].id;
	call_forget(l, &l->calls[i]);
	if (error != NULL) {
		engine_call_refuse(l, id, error);
		return;
	}
	if (l->dialect->commands)
		parts[1].n = 0;		/* its handlers answer [] */
	else if (result != NULL)
		parts[1] = *result;
	apw_sio_socket_ack(l->sock, id, parts, 3, NULL, 0);
}
