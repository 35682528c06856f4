/*
 * App link: emits, and those of them that wait for a reply.  Room: link.
 *
 * Must never call a reply function twice, nor from inside a call of its
 * owner.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "link/app_link_priv.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"

#define TIMEOUT_MS	60000
#define PARTS_MAX	32

static void
emit_disarm(struct apw_app_link *l)
{
	l->reply_due_ms = 0;
	if (l->reply_timer != NULL)
		event_del(l->reply_timer);
}

/*
 * Set the timer to the nearest deadline.  It stays when what it was set for is
 * answered, and looks around when it comes: calls cost it nothing then.
 */
static void
emit_arm(struct apw_app_link *l)
{
	struct timeval		 tv = { 0, 0 };
	struct app_pending	*p;
	int64_t			 first = INT64_MAX, left;

	TAILQ_FOREACH(p, &l->pending, link)
		if (p->deadline_ms < first)
			first = p->deadline_ms;
	if (first == INT64_MAX) {
		emit_disarm(l);
		return;
	}
	l->reply_due_ms = first;
	left = first - apw_now_ms();
	if (left > 0) {
		tv.tv_sec = left / 1000;
		tv.tv_usec = left % 1000 * 1000;
	}
	event_add(l->reply_timer, &tv);
}

static void
pending_free(struct apw_app_link *l, struct app_pending *p)
{
	TAILQ_REMOVE(&l->pending, p, link);
	l->npending--;
	free(p);
}

/* Take it off the list first: the callback may do anything. */
static void
pending_tell(struct apw_app_link *l, struct app_pending *p,
    const struct apw_app_link_reply *r)
{
	apw_app_link_reply_fn	*reply = p->reply;
	void			*arg = p->arg;

	pending_free(l, p);
	reply(arg, r);
}

static void
pending_fail(struct apw_app_link *l, struct app_pending *p,
    enum apw_app_link_outcome outcome)
{
	struct apw_app_link_reply	r = {
		.outcome = outcome,
		.error = outcome == APW_APP_LINK_TIMEOUT ?
		    "operation has timed out" :
		    "socket has been disconnected",
		.result = APW_STR("null"),
	};

	pending_tell(l, p, &r);
}

void
app_emit_fail_all(struct apw_app_link *l)
{
	struct app_pending	*p;

	emit_disarm(l);
	while (!l->dead && (p = TAILQ_FIRST(&l->pending)) != NULL)
		pending_fail(l, p, APW_APP_LINK_LOST);
}

void
app_emit_forget_all(struct apw_app_link *l)
{
	struct app_pending	*p;

	emit_disarm(l);
	while ((p = TAILQ_FIRST(&l->pending)) != NULL)
		pending_free(l, p);
}

void
app_emit_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct app_pending	*p;
	struct apw_app_link	*l;
	int64_t			 now = apw_now_ms();

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)fd;
	(void)what;
	app_link_enter(l);
	do {
		TAILQ_FOREACH(p, &l->pending, link)
			if (p->deadline_ms <= now)
				break;
		/* from the start again: the list may be another now */
		if (p != NULL)
			pending_fail(l, p, APW_APP_LINK_TIMEOUT);
	} while (p != NULL && !l->dead);
	if (!l->dead)
		emit_arm(l);
	app_link_leave(l);
}

void
app_emit_ack(struct apw_app_link *l, const struct apw_sio_packet *pkt,
    const struct apw_str *binary, size_t nbinary)
{
	struct apw_app_link_reply	 r = { .outcome = APW_APP_LINK_OK,
	    .binary = binary, .nbinary = nbinary };
	struct apw_buf			 error = APW_BUF_INIT(0);
	struct app_pending		*p;

	TAILQ_FOREACH(p, &l->pending, link)
		if (p->id == pkt->id)
			break;
	if (p == NULL) {
		/* late: its time-out was told long ago */
		apw_debug("acknowledgement that nobody awaits",
		    APW_I("id", pkt->id));
		return;
	}
	r.result = apw_rpc_first(pkt->args);
	if (p->rpc && apw_rpc_error(r.result, &error) == 1) {
		r.outcome = APW_APP_LINK_REFUSED;
		r.error = error.data != NULL ? error.data : "";
	}
	pending_tell(l, p, &r);
	apw_buf_free(&error);
}

/* --- sending --- */

/* The peer's limit is one of a message: an attachment is one of its own. */
static int
check_size(const struct apw_app_link *l, const struct apw_str *parts,
    size_t nparts, const struct apw_str *binary, struct apw_err *err)
{
	size_t	n = 1, i, peer = apw_app_link_max_payload(l), max;

	if (l->state != APP_OPEN)
		return apw_err_set(err, ENOTCONN, "app link");
	for (i = 0; i < nparts; i++)
		n += parts[i].n;
	if (n > peer || (binary != NULL && binary->n > peer))
		return apw_err_set(err, EMSGSIZE, "message of %zu bytes, the "
		    "app takes %zu", n > peer ? n : binary->n, peer);
	if (binary != NULL)
		n += binary->n;
	max = l->max_output_bytes;
	if (max == 0)
		max = peer > SIZE_MAX / 2 ? SIZE_MAX : 2 * peer;
	if (n > max || apw_link_ws_unsent(l->ws) > max - n)
		return apw_err_set(err, ENOBUFS, "app link");
	return 0;
}

static int
send_event(struct apw_app_link *l, const uint64_t *id,
    const struct apw_str *body, size_t nbody, const struct apw_str *binary,
    struct apw_err *err)
{
	struct apw_sio_packet	pkt = { .type = binary != NULL ?
	    APW_SIO_BINARY_EVENT : APW_SIO_EVENT,
	    .attachments = binary != NULL,
	    .nsp = APW_STR("/"), .has_id = id != NULL,
	    .id = id != NULL ? *id : 0 };
	struct apw_str		all[PARTS_MAX + 8];
	size_t			i;

	apw_buf_reset(&l->scratch);
	if (apw_sio_head(&l->scratch, &pkt) == -1)
		return apw_err_set(err, ENOMEM, "app link");
	all[0] = apw_buf_view(&l->scratch);
	for (i = 0; i < nbody; i++)
		all[i + 1] = body[i];
	if (check_size(l, all, nbody + 1, binary, err) == -1)
		return -1;
	if (app_conn_send(l, all, nbody + 1) == -1 || (binary != NULL &&
	    apw_link_ws_send(l->ws, true, 0, binary, 1) == -1))
		return apw_err_set(err, ENOTCONN, "app link");
	return 0;
}

/* Send, and wait for the reply.  The handle, or 0. */
static uint32_t
send_waiting(struct apw_app_link *l, const struct apw_str *body, size_t nbody,
    const struct apw_str *binary, bool rpc, unsigned timeout_ms, apw_app_link_reply_fn *reply, void *arg,
    struct apw_err *err)
{
	struct app_pending	*p;

	if (l->npending >= l->max_pending) {
		apw_err_set(err, ENOBUFS, "app link: %u calls wait",
		    l->npending);
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		apw_err_set(err, ENOMEM, "app link");
		return 0;
	}
	p->id = l->next_id;
	if (send_event(l, &p->id, body, nbody, binary, err) == -1) {
		free(p);
		return 0;
	}
	l->next_id++;
	if (++l->next_handle == 0)
		l->next_handle = 1;
	p->handle = l->next_handle;
	p->rpc = rpc;
	p->reply = reply;
	p->arg = arg;
	p->deadline_ms = apw_now_ms() + (timeout_ms != 0 ? timeout_ms :
	    TIMEOUT_MS);
	TAILQ_INSERT_TAIL(&l->pending, p, link);
	l->npending++;
	if (l->reply_due_ms == 0 || p->deadline_ms < l->reply_due_ms)
		emit_arm(l);
	return p->handle;
}

static size_t
event_body(struct apw_str *body, const char *event,
    const struct apw_str *parts, size_t nparts)
{
	size_t	n = 0, i;

	body[n++] = APW_STR("[\"");
	body[n++] = apw_str_c(event);
	body[n++] = nparts > 0 ? APW_STR("\",") : APW_STR("\"");
	for (i = 0; i < nparts; i++)
		body[n++] = parts[i];
	body[n++] = APW_STR("]");
	return n;
}

uint32_t
apw_app_link_emit_ack(struct apw_app_link *l, const char *event,
    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
    apw_app_link_reply_fn *reply, void *arg, struct apw_err *err)
{
	struct apw_str	body[PARTS_MAX + 4];

	if (nparts > PARTS_MAX) {
		apw_err_set(err, EINVAL, "app link");
		return 0;
	}
	return send_waiting(l, body, event_body(body, event, parts, nparts),
	    NULL, false, timeout_ms, reply, arg, err);
}

int
apw_app_link_emit(struct apw_app_link *l, const char *event,
    const struct apw_str *parts, size_t nparts, struct apw_err *err)
{
	struct apw_str	body[PARTS_MAX + 4];

	if (nparts > PARTS_MAX)
		return apw_err_set(err, EINVAL, "app link");
	return send_event(l, NULL, body, event_body(body, event, parts,
	    nparts), NULL, err);
}

uint32_t
apw_app_link_rpc(struct apw_app_link *l, const char *method,
    const struct apw_str *parts, size_t nparts, const struct apw_str *binary,
    unsigned timeout_ms, apw_app_link_reply_fn *reply, void *arg,
    struct apw_err *err)
{
	struct apw_str	body[PARTS_MAX + 4];
	size_t		n = 0, i;

	if (nparts > PARTS_MAX) {
		apw_err_set(err, EINVAL, "app link");
		return 0;
	}
	body[n++] = APW_STR("[\"rpc\",{\"method\":\"");
	body[n++] = apw_str_c(method);
	body[n++] = APW_STR("\",\"payload\":");
	for (i = 0; i < nparts; i++)
		body[n++] = parts[i];
	body[n++] = APW_STR("}]");
	return send_waiting(l, body, n, binary, true, timeout_ms, reply, arg,
	    err);
}

void
apw_app_link_cancel(struct apw_app_link *l, uint32_t id)
{
	struct app_pending	*p;

	TAILQ_FOREACH(p, &l->pending, link)
		if (p->handle == id)
			break;
	if (p != NULL)
		pending_free(l, p);
}
