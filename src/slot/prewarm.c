/* Flows made ready; see prewarm.h.  Room: slot.
 *
 *	wait ─ getPrewarmData ─ flow, flow, ... ─ wait
 *
 * Each flow is a job without a lease (job/prewarm.c).  What waits is bounded:
 * of more than that the newest are left out. */
#include "slot/prewarm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/apw_log.h"
#include "proto/apw_raw.h"

#define PREWARM_MAGIC	0x50524557
#define PREWARM_DELAY_MS 1000	/* of idleness: a job of this flow comes first,
				 * and has it ready for the others */
#define PREWARM_ALL_MS	3000	/* the jobs that wait come first */
#define PREWARM_CALL_MS	60000
#define PREWARM_TOLD_MAX 256
#define PREWARM_ALL_MAX	4096
#define PREWARM_TEXT	1024	/* of the three ids, as raw JSON */
#define PREWARM_TOKEN	16384
#define PREWARM_TRIES	3	/* of one that others interrupt */

/* `"id":…` of a flow that was told, or is to be made ready. */
struct prewarm_flow {
	STAILQ_ENTRY(prewarm_flow) link;
	unsigned	 tries;
	char		*flow, *version, *project;	/* raw, into text */
	char		 text[];
};

STAILQ_HEAD(prewarm_list, prewarm_flow);

struct apw_prewarmer {
	uint32_t		 magic;
	struct apw_job_env	 env;
	struct apw_score_slot	*score;		/* owned; nobody reads it */
	struct event		*timer;		/* owned */
	struct prewarm_list	 told, ready;	/* owned: for which the app has
						 * to be asked; was asked */
	unsigned		 ntold, nready;
	bool			 all;		/* to be asked for, too */
	bool			 idle;		/* between go and pause */
	uint32_t		 call;		/* 0: none under way */
	unsigned		 fails;		/* of it, in a row */
	struct prewarm_flow	*asked;		/* owned: what it is about; NULL:
						 * all */
	struct apw_job		*job;		/* owned: of the first that is
						 * ready; NULL: none */
	struct apw_buf		 token, platform;	/* raw; of the answer */
};

static void prewarm_next(struct apw_prewarmer *);

static void
prewarm_arm(struct apw_prewarmer *p, int64_t ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	if (p->idle)
		event_add(p->timer, &tv);
}

/* A string's raw text of an object; empty: it is none. */
static struct apw_str
prewarm_member(struct apw_str object, const char *key)
{
	struct apw_str	v;

	if (apw_raw_type(object) != APW_RAW_OBJECT ||
	    apw_raw_member(object, key, &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_STRING)
		return APW_STR("");
	return apw_raw_trim(v);
}

static char *
prewarm_copy(char **at, struct apw_str s)
{
	char	*text = *at;

	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*at += s.n + 1;
	return text;
}

/* NULL: it is no flow, too long, or there is no memory. */
static struct prewarm_flow *
prewarm_flow_new(struct apw_str object, const char *flow_key,
    const char *version_key)
{
	struct apw_str		 flow = prewarm_member(object, flow_key);
	struct apw_str		 version = prewarm_member(object, version_key);
	struct apw_str		 project = prewarm_member(object, "projectId");
	struct prewarm_flow	*f;
	char			*at;

	if (flow.n <= 2 || version.n <= 2 || project.n <= 2 ||
	    flow.n + version.n + project.n > PREWARM_TEXT)
		return NULL;
	f = calloc(1, sizeof(*f) + flow.n + version.n + project.n + 3);
	if (f == NULL)
		return NULL;
	at = f->text;
	f->flow = prewarm_copy(&at, flow);
	f->version = prewarm_copy(&at, version);
	f->project = prewarm_copy(&at, project);
	return f;
}

/* false: it is in there, or the list is full; then it is freed. */
static bool
prewarm_add(struct prewarm_list *list, unsigned *n, unsigned max,
    struct prewarm_flow *f)
{
	struct prewarm_flow	*other;

	STAILQ_FOREACH(other, list, link)
		if (strcmp(other->version, f->version) == 0)
			break;
	if (other != NULL || *n >= max) {
		free(f);
		return false;
	}
	STAILQ_INSERT_TAIL(list, f, link);
	(*n)++;
	return true;
}

static void
prewarm_drop(struct prewarm_list *list, unsigned *n)
{
	struct prewarm_flow	*f = STAILQ_FIRST(list);

	STAILQ_REMOVE_HEAD(list, link);
	(*n)--;
	free(f);
}

void
apw_prewarmer_published(struct apw_prewarmer *p, struct apw_str flow)
{
	struct prewarm_flow	*f;

	if ((f = prewarm_flow_new(flow, "flowId", "flowVersionId")) != NULL &&
	    prewarm_add(&p->told, &p->ntold, PREWARM_TOLD_MAX, f) &&
	    p->call == 0 && p->job == NULL)
		prewarm_arm(p, PREWARM_DELAY_MS);
}

/* --- which flows, and with which token --- */

static bool
prewarm_keep(struct apw_buf *to, struct apw_str answer, const char *key)
{
	struct apw_str	v = prewarm_member(answer, key);

	apw_buf_reset(to);
	return v.n > 2 && apw_buf_str(to, v) == 0;
}

static void
prewarm_take_list(struct apw_prewarmer *p, struct apw_str answer)
{
	struct apw_raw_iter	 it;
	struct apw_str		 flows, item;
	struct prewarm_flow	*f;

	if (apw_raw_type(answer) != APW_RAW_OBJECT ||
	    apw_raw_member(answer, "flows", &flows) != 1 ||
	    apw_raw_type(flows) != APW_RAW_ARRAY ||
	    !prewarm_keep(&p->token, answer, "engineToken") ||
	    !prewarm_keep(&p->platform, answer, "platformId") ||
	    apw_raw_iter(&it, flows) == -1)
		return;
	while (p->nready < PREWARM_ALL_MAX &&
	    apw_raw_next(&it, NULL, &item) == 1)
		if ((f = prewarm_flow_new(item, "id", "versionId")) != NULL)
			prewarm_add(&p->ready, &p->nready, PREWARM_ALL_MAX, f);
}

static void
prewarm_put_back(struct apw_prewarmer *p)
{
	if (p->asked == NULL)
		return;
	STAILQ_INSERT_HEAD(&p->told, p->asked, link);
	p->ntold++;
	p->asked = NULL;
}

static void
prewarm_on_data(void *arg, const struct apw_reply *reply)
{
	struct apw_prewarmer	*p;

	APW_CAST(p, arg, PREWARM_MAGIC);
	p->call = 0;
	if (reply->kind == APW_REPLY_OK)
		prewarm_take_list(p, reply->result);
	else
		apw_info("the app did not say which flows to make ready",
		    APW_S("why", reply->error));
	/* asked again when the connection was lost meanwhile, for a while */
	if ((reply->kind == APW_REPLY_UNKNOWN ||
	    reply->kind == APW_REPLY_UNSENT) && ++p->fails < PREWARM_TRIES)
		prewarm_put_back(p);
	else {
		p->fails = 0;
		if (p->asked == NULL)
			p->all = false;
		free(p->asked);
		p->asked = NULL;
	}
	prewarm_arm(p, p->fails == 0 ? 0 : PREWARM_ALL_MS);
}

static void
prewarm_ask(struct apw_prewarmer *p)
{
	struct apw_buf		 b = APW_BUF_INIT(2 * PREWARM_TEXT);
	struct apw_str		 payload;
	struct apw_err		 err = APW_ERR_NONE;

	if ((p->asked = STAILQ_FIRST(&p->told)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->told, link);
		p->ntold--;
		apw_buf_printf(&b, "{\"flow\":{\"id\":%s,\"versionId\":%s,"
		    "\"projectId\":%s}}", p->asked->flow, p->asked->version,
		    p->asked->project);
	} else
		apw_buf_puts(&b, "{}");
	payload = apw_buf_view(&b);
	p->call = p->env.source->call(p->env.source_of, "getPrewarmData",
	    &payload, 1, PREWARM_CALL_MS, prewarm_on_data, p, &err);
	apw_buf_free(&b);
	if (p->call == 0) {
		free(p->asked);
		p->asked = NULL;
		p->all = false;
	}
}

/* --- one flow --- */

static void
prewarm_on_end(void *arg)
{
	struct prewarm_flow	*f;
	struct apw_prewarmer	*p;
	bool			 again;

	APW_CAST(p, arg, PREWARM_MAGIC);
	f = STAILQ_FIRST(&p->ready);
	again = apw_job_yielded(p->job) && ++f->tries < PREWARM_TRIES;
	apw_job_free(p->job);
	p->job = NULL;
	if (!again)
		prewarm_drop(&p->ready, &p->nready);
	prewarm_arm(p, again ? PREWARM_ALL_MS : 0);
}

static void
prewarm_begin(struct apw_prewarmer *p)
{
	const struct prewarm_flow	*f = STAILQ_FIRST(&p->ready);
	struct apw_buf			 b = APW_BUF_INIT(4 * PREWARM_TOKEN);

	apw_buf_puts(&b, "{\"jobId\":\"prewarm\",\"token\":\"\","
	    "\"queueName\":\"\",\"engineToken\":");
	apw_buf_str(&b, apw_buf_view(&p->token));
	apw_buf_printf(&b, ",\"jobData\":{\"flowId\":%s,\"flowVersionId\":%s,"
	    "\"projectId\":%s,\"platformId\":", f->flow, f->version,
	    f->project);
	apw_buf_str(&b, apw_buf_view(&p->platform));
	apw_buf_puts(&b, "}}");
	p->job = b.failed ? NULL : apw_job_new(&p->env, apw_buf_view(&b));
	apw_buf_free(&b);
	if (p->job != NULL)
		apw_job_begin(p->job);
	else
		prewarm_drop(&p->ready, &p->nready);
}

static void
prewarm_next(struct apw_prewarmer *p)
{
	if (!STAILQ_EMPTY(&p->ready))
		prewarm_begin(p);
	else if (!STAILQ_EMPTY(&p->told) || p->all)
		prewarm_ask(p);
}

static void
prewarm_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_prewarmer	*p;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, PREWARM_MAGIC);
	if (p->call == 0 && p->job == NULL)
		prewarm_next(p);
}

void
apw_prewarmer_go(struct apw_prewarmer *p, const struct apw_settings *settings,
    const struct apw_sandbox_ops *sandbox)
{
	if (!apw_app_can(settings->release, APW_APP_PREWARM))
		return;
	p->env.settings = settings;
	p->env.sandbox = sandbox;
	p->idle = true;
	if (p->call == 0 && p->job == NULL && (p->all ||
	    !STAILQ_EMPTY(&p->told) || !STAILQ_EMPTY(&p->ready)))
		prewarm_arm(p, STAILQ_EMPTY(&p->told) ? PREWARM_ALL_MS :
		    PREWARM_DELAY_MS);
}

void
apw_prewarmer_pause(struct apw_prewarmer *p)
{
	p->idle = false;
	event_del(p->timer);
	if (p->call != 0)
		p->env.source->cancel(p->env.source_of, p->call);
	p->call = 0;
	prewarm_put_back(p);
	apw_job_free(p->job);
	p->job = NULL;
}

struct apw_prewarmer *
apw_prewarmer_new(const struct apw_job_env *env, bool all)
{
	struct apw_prewarmer	*p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->magic = PREWARM_MAGIC;
	p->all = all;
	p->env = *env;
	p->env.prewarm = true;
	p->env.engine = NULL;
	p->env.journal = NULL;
	p->env.on_end = prewarm_on_end;
	p->env.on_kept = NULL;
	p->env.arg = p;
	p->token.max = p->platform.max = PREWARM_TOKEN;
	STAILQ_INIT(&p->told);
	STAILQ_INIT(&p->ready);
	p->env.score = p->score = calloc(1, sizeof(*p->score));
	p->timer = evtimer_new(env->base, prewarm_on_timer, p);
	if (p->score != NULL && p->timer != NULL)
		return p;
	apw_prewarmer_free(p);
	return NULL;
}

void
apw_prewarmer_free(struct apw_prewarmer *p)
{
	if (p == NULL)
		return;
	if (p->timer != NULL) {
		apw_prewarmer_pause(p);
		event_free(p->timer);
	}
	while (!STAILQ_EMPTY(&p->told))
		prewarm_drop(&p->told, &p->ntold);
	while (!STAILQ_EMPTY(&p->ready))
		prewarm_drop(&p->ready, &p->nready);
	apw_buf_free(&p->token);
	apw_buf_free(&p->platform);
	free(p->score);
	p->magic = 0;
	free(p);
}
