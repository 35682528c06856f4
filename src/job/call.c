/* Calls to the app on behalf of a job.  Room: job.
 *
 * A call whose fate is unknown (time-out, lost connection) may have happened
 * or not: only methods that may happen twice are repeated, and only for a
 * bounded time.  The source itself holds calls back while there is no
 * connection, so a repetition waits for the reconnect. */
#include "job/job_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

#define CALL_MAGIC	0x43414c4c
#define CALL_PAUSE_MS	1		/* the first: keeps the order of calls */
#define CALL_PAUSE_MORE	500		/* then this, doubling */
#define CALL_PAUSE_MAX	5000

struct job_call {
	uint32_t	 magic;
	struct job_call	*next;
	struct apw_job	*job;		/* borrowed */
	const char	*method;
	struct apw_buf	 payload;	/* owned; empty when not repeated */
	uint32_t	 handle;	/* 0: not under way */
	struct event	*timer;		/* owned; pause, or a failed start */
	int64_t		 until_ms;	/* 0: one try */
	bool		 leased;	/* then for as long as the lease lasts */
	int64_t		 pause_ms;
	unsigned	 refusals;	/* that are still borne */
	bool		 unsent_only;
	job_reply_fn	*reply;
	void		*arg;
};

static void
call_free(struct job_call *c)
{
	struct apw_job	*job = c->job;
	struct job_call	**at;

	for (at = &job->calls; *at != NULL; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	if (c->handle != 0)
		job->env.source->cancel(job->env.source_of, c->handle);
	if (c->timer != NULL)
		event_free(c->timer);
	apw_buf_free(&c->payload);
	c->magic = 0;
	free(c);
}

static void
call_done(struct job_call *c, const struct apw_reply *reply)
{
	struct apw_job	*job = c->job;
	job_reply_fn	*fn = c->reply;
	void		*arg = c->arg;

	call_free(c);
	fn(job, arg, reply);
}

static void
call_pause(struct job_call *c)
{
	struct timeval	tv;

	tv.tv_sec = c->pause_ms / 1000;
	tv.tv_usec = c->pause_ms % 1000 * 1000;
	event_add(c->timer, &tv);
	c->pause_ms = c->pause_ms < CALL_PAUSE_MORE ? CALL_PAUSE_MORE :
	    c->pause_ms * 2;
	if (c->pause_ms > CALL_PAUSE_MAX)
		c->pause_ms = CALL_PAUSE_MAX;
}

/* How long tries may still go on. */
static int64_t
call_left(const struct job_call *c)
{
	return c->leased ? job_lease_left_ms(c->job) :
	    c->until_ms - apw_now_ms();
}

static bool
call_may_repeat(struct job_call *c, const struct apw_reply *reply)
{
	if (c->payload.len == 0 || c->pause_ms >= call_left(c))
		return false;
	if (reply->kind == APW_REPLY_REFUSED && c->refusals > 0) {
		c->refusals--;
		return true;
	}
	return reply->kind == APW_REPLY_UNSENT ||
	    (reply->kind == APW_REPLY_UNKNOWN && !c->unsent_only);
}

static void
call_on_reply(void *arg, const struct apw_reply *reply)
{
	struct job_call	*c;

	APW_CAST(c, arg, CALL_MAGIC);
	c->handle = 0;
	if (call_may_repeat(c, reply)) {
		apw_info("a call is repeated", APW_S("method", c->method),
		    APW_S("why", reply->error));
		call_pause(c);
		return;
	}
	call_done(c, reply);
}

/* How long one try may take: until the end of all tries at most. */
static unsigned
call_limit(const struct job_call *c)
{
	int64_t	left;

	if (c->until_ms == 0)
		return JOB_RPC_MS;
	left = call_left(c);
	return left > JOB_RPC_MS ? JOB_RPC_MS : left < 1000 ? 1000 :
	    (unsigned)left;
}

/* The call could not be made: said from the loop, as every reply. */
static void
call_try(struct job_call *c, const struct apw_str *parts, size_t nparts)
{
	struct apw_job	*job = c->job;
	struct apw_err	 err = APW_ERR_NONE;
	struct timeval	 soon = { 0, 0 };

	c->handle = job->env.source->call(job->env.source_of, c->method,
	    parts, nparts, call_limit(c), call_on_reply, c, &err);
	if (c->handle != 0)
		return;
	apw_warn("a call could not be made", APW_S("method", c->method),
	    APW_E(&err));
	if (c->payload.len != 0 && c->pause_ms < call_left(c))
		call_pause(c);
	else {
		c->until_ms = 1;	/* over */
		apw_buf_reset(&c->payload);
		event_add(c->timer, &soon);
	}
}

static void
call_on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct apw_reply	failed = { .kind = APW_REPLY_UNSENT,
	    .error = "the call could not be made" };
	struct apw_str			payload;
	struct job_call			*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CALL_MAGIC);
	if (c->payload.len == 0) {
		call_done(c, &failed);
		return;
	}
	payload = apw_buf_view(&c->payload);
	call_try(c, &payload, 1);
}

struct job_call *
job_call(struct apw_job *job, const char *method, const struct apw_str *parts,
    size_t nparts, const struct job_repeat *repeat, job_reply_fn *reply,
    void *arg)
{
	struct job_call	*c = calloc(1, sizeof(*c));
	size_t		 i;

	APW_ASSERT(c != NULL);
	c->magic = CALL_MAGIC;
	c->job = job;
	c->method = method;
	c->reply = reply;
	c->arg = arg;
	c->pause_ms = CALL_PAUSE_MS;
	c->timer = evtimer_new(job->env.base, call_on_timer, c);
	APW_ASSERT(c->timer != NULL);
	if (repeat != NULL && (repeat->ms > 0 || repeat->leased)) {
		c->until_ms = apw_now_ms() + repeat->ms;
		c->leased = repeat->leased;
		c->refusals = repeat->refusals;
		c->unsent_only = repeat->unsent_only;
		for (i = 0; i < nparts; i++)
			apw_buf_str(&c->payload, parts[i]);
		if (c->payload.failed)
			apw_buf_free(&c->payload);
	}
	c->next = job->calls;
	job->calls = c;
	call_try(c, parts, nparts);
	return c;
}

void
job_call_cancel(struct apw_job *job, struct job_call *c)
{
	(void)job;
	if (c != NULL)
		call_free(c);
}

void
job_calls_free(struct apw_job *job)
{
	while (job->calls != NULL)
		call_free(job->calls);
}

static void
call_on_posted(void *arg, const struct apw_reply *reply)
{
	if (reply->kind != APW_REPLY_OK)
		apw_notice("a call that nobody waits for failed",
		    APW_S("method", arg), APW_S("error", reply->error));
}

void
job_post(struct apw_job *job, const char *method, const struct apw_str *parts,
    size_t nparts)
{
	struct apw_err	err = APW_ERR_NONE;

	if (job->env.source->call(job->env.source_of, method, parts, nparts,
	    JOB_RPC_MS, call_on_posted, (void *)(uintptr_t)method, &err) == 0)
		apw_notice("a call could not be made",
		    APW_S("method", method), APW_E(&err));
}
