/* HTTP POSTs of our own to where users say; see post.h.  Room: egress, in a
 * slot.  The exchange is dial/ask.c's; here are the rules, the redirects and
 * what is told of it.  URLs are never logged: they may hold keys. */
#include "egress/post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "dial/ask.h"
#include "egress/account.h"

#define POST_MAGIC	0x504f5354
#define POST_URL_MAX	8192

struct apw_poster {
	struct apw_egress_rules	*rules;		/* a reference */
	struct apw_asker	*asker;		/* owned */
	struct apw_score_slot	*score;		/* borrowed; or NULL */
	LIST_HEAD(, apw_post)	 all;		/* owned */
};

struct apw_post {
	uint32_t		 magic;
	struct apw_poster	*poster;	/* borrowed */
	LIST_ENTRY(apw_post)	 link;
	struct apw_buf		 url;		/* owned; of this hop */
	struct apw_buf		 body;		/* owned */
	char			 host[APW_HOST_SIZE];	/* of this hop */
	bool			 get;		/* a redirect made it one */
	unsigned		 hops;
	const char		*what;
	int64_t			 end_ms;
	int64_t			 asked_us;	/* this hop began */
	struct apw_ask		*ask;		/* owned */
	apw_post_fn		*done;
	void			*arg;		/* borrowed */
};

static void
post_free(struct apw_post *p)
{
	LIST_REMOVE(p, link);
	apw_ask_cancel(p->ask);
	apw_buf_free(&p->url);
	apw_buf_free(&p->body);
	p->magic = 0;
	free(p);
}

static void
post_done(struct apw_post *p, int status, const char *error)
{
	if (status == -1)
		apw_warn("a request of ours was not answered",
		    APW_S("what", p->what), APW_S("host", p->host),
		    APW_S("error", error));
	else
		apw_info("a request of ours was answered",
		    APW_S("what", p->what), APW_S("host", p->host),
		    APW_I("status", status));
	if (p->done != NULL)
		p->done(p->arg, status, error);
	post_free(p);
}

/* A line and a count for each hop, as flows have them. */
static void
post_on_dialled(void *arg, const struct apw_url *to,
    const struct apw_dialled *end)
{
	struct apw_egress_books		books = { .score = NULL };
	struct apw_egress_record	r;
	struct apw_post			*p;

	APW_CAST(p, arg, POST_MAGIC);
	books.score = p->poster->score;
	r = (struct apw_egress_record){
		.method = p->get ? "GET" : "POST",
		.host = to->host,
		.port = to->port,
		.address = end->address[0] != '\0' ? end->address : NULL,
		.verdict = apw_egress_verdict_of(end->end),
		.why = end->why[0] != '\0' ? end->why : NULL,
		.ms = (apw_now_us() - p->asked_us) / 1000,
	};
	apw_egress_books_enter(&books, &r);
}

/* --- redirects --- */

static void	post_on_answer(void *, const struct apw_answer *);

static int
post_ask(struct apw_post *p)
{
	struct apw_ask_order	 order = {
		.method = p->get ? "GET" : "POST",
		.url = p->url.data,
		.head = p->get ?
		    "Accept: application/json, text/plain, */*\r\n" :
		    "Accept: application/json, text/plain, */*\r\n"
		    "Content-Type: application/json\r\n",
		.body = p->get ? (struct apw_str){ NULL, 0 } :
		    apw_buf_view(&p->body),
		.timeout_ms = p->end_ms - apw_now_ms(),
		.dialled = post_on_dialled,
		.done = post_on_answer,
		.arg = p,
	};
	struct apw_url		 to;

	if (order.timeout_ms < 0)
		order.timeout_ms = 0;
	if (p->url.failed || p->url.len == 0 ||
	    memchr(p->url.data, '\0', p->url.len) != NULL)
		order.url = "";			/* which is none */
	apw_url_read(&to, order.url);
	memcpy(p->host, to.host, sizeof(p->host));
	p->asked_us = apw_now_us();
	p->ask = apw_ask(p->poster->asker, &order);
	return p->ask == NULL ? -1 : 0;
}

/* As the usual clients have it: 307 and 308 repeat the POST, the others ask
 * with GET. */
static bool
post_redirect(struct apw_post *p, const struct apw_answer *answer)
{
	struct apw_buf	url = APW_BUF_INIT(POST_URL_MAX);

	if (answer->status / 100 != 3 || answer->status == 304 ||
	    answer->location.n == 0 || p->hops == APW_POST_HOPS)
		return false;
	if (answer->status != 307 && answer->status != 308)
		p->get = true;
	p->hops++;
	apw_url_join(p->url.data, answer->location, &url);
	apw_buf_free(&p->url);
	p->url = url;
	if (post_ask(p) == -1)
		post_done(p, -1, "out of memory");
	return true;
}

static void
post_on_answer(void *arg, const struct apw_answer *answer)
{
	struct apw_post	*p;

	APW_CAST(p, arg, POST_MAGIC);
	p->ask = NULL;
	if (answer->error != NULL || !post_redirect(p, answer))
		post_done(p, answer->status, answer->error);
}

struct apw_post *
apw_post(struct apw_poster *poster, const struct apw_post_order *o,
    apw_post_fn *done, void *arg)
{
	struct apw_post	*p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->magic = POST_MAGIC;
	p->poster = poster;
	LIST_INSERT_HEAD(&poster->all, p, link);
	p->url.max = POST_URL_MAX;
	apw_buf_puts(&p->url, o->url);
	apw_buf_str(&p->body, o->body);
	p->what = o->what;
	p->done = done;
	p->arg = arg;
	p->end_ms = apw_now_ms() + o->timeout_ms;
	if (!p->body.failed && post_ask(p) == 0)
		return p;
	post_free(p);
	return NULL;
}

void
apw_post_cancel(struct apw_post *p)
{
	if (p != NULL)
		post_free(p);
}

struct apw_poster *
apw_poster_new(struct event_base *base, struct apw_egress_rules *rules,
    struct apw_resolver *resolver, struct apw_score_slot *score)
{
	const struct apw_dial_rules	 dial = apw_egress_rules_dial(rules);
	struct apw_poster		*poster = calloc(1, sizeof(*poster));

	if (poster == NULL)
		return NULL;
	LIST_INIT(&poster->all);
	poster->rules = apw_egress_rules_ref(rules);
	poster->score = score;
	poster->asker = apw_asker_new(base, resolver, &dial,
	    apw_egress_rules_limits(rules)->connect_ms);
	if (poster->asker != NULL)
		return poster;
	apw_poster_free(poster);
	return NULL;
}

bool
apw_poster_idle(const struct apw_poster *poster)
{
	return LIST_EMPTY(&poster->all);
}

void
apw_poster_free(struct apw_poster *poster)
{
	struct apw_post	*p;

	if (poster == NULL)
		return;
	while ((p = LIST_FIRST(&poster->all)) != NULL)
		post_free(p);
	apw_asker_free(poster->asker);
	apw_egress_rules_unref(poster->rules);
	free(poster);
}
