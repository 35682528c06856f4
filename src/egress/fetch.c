/* GET and PUT of what the app names; see fetch.h.  Room: egress, in a slot.
 * The exchange is dial/ask.c's; here is what is fetched, the redirects, and
 * that the app may name any address.  URLs are never logged: they may hold
 * keys. */
#include "egress/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "core/apw_err.h"
#include "core/apw_log.h"
#include "dial/ask.h"
#include "dial/url.h"
#include "egress/rules.h"

#define FETCH_MAGIC		0x46455443
#define FETCH_URL_MAX		16384
#define FETCH_TOKEN_MAX		8192
#define FETCH_CONNECT_MS	10000
#define FETCH_UNANSWERED_MS	300000

struct apw_fetcher {
	struct apw_resolver	*resolver;	/* owned: the system's servers,
						   as the app is one of ours */
	struct apw_asker	*asker;		/* owned */
	struct apw_egress_rules	*rules;		/* a reference */
	struct apw_asker	*checked;	/* owned; by those */
	char			 mute[APW_AUTHORITY_SIZE]; /* who did not answer */
	int64_t			 mute_until_ms;
	LIST_HEAD(, apw_fetch)	 all;		/* owned */
};

struct apw_fetch {
	uint32_t		 magic;
	LIST_ENTRY(apw_fetch)	 link;
	struct apw_fetcher	*fetcher;	/* borrowed */
	struct apw_ask		*ask;		/* owned */
	struct apw_buf		 url;		/* owned; of this hop */
	struct apw_buf		 head;		/* owned; may hold a secret */
	struct apw_fetch_order	 order;		/* what is left of it */
	bool			 away;		/* from the server of the order */
	int64_t			 end_ms;
	apw_fetch_fn		*done;
	void			*arg;		/* borrowed */
};

static void
fetch_free(struct apw_fetch *f)
{
	LIST_REMOVE(f, link);
	apw_ask_cancel(f->ask);
	if (f->head.data != NULL)
		explicit_bzero(f->head.data, f->head.len);
	apw_buf_free(&f->head);
	apw_buf_free(&f->url);
	f->magic = 0;
	free(f);
}

/* The callback may do anything but with this fetch. */
static void
fetch_done(struct apw_fetch *f, const struct apw_fetched *end)
{
	apw_fetch_fn	*done = f->done;
	void		*arg = f->arg;

	fetch_free(f);
	done(arg, end);
}

static void
fetch_fail(struct apw_fetch *f, int status, const char *error)
{
	fetch_done(f, &(struct apw_fetched){ .error = error,
	    .status = status });
}

/* Only the first server's silence says something of the app's address. */
static void
fetch_note_mute(struct apw_fetch *f)
{
	struct apw_fetcher	*fetcher = f->fetcher;
	struct apw_url		 u;

	if (f->away || apw_url_read(&u, f->url.data) != NULL)
		return;
	apw_url_authority(&u, fetcher->mute);
	fetcher->mute_until_ms = apw_now_ms() + FETCH_UNANSWERED_MS;
}

bool
apw_fetch_unanswered(const struct apw_fetcher *fetcher, const char *url)
{
	char		authority[APW_AUTHORITY_SIZE];
	struct apw_url	u;

	return apw_now_ms() < fetcher->mute_until_ms &&
	    apw_url_read(&u, url) == NULL &&
	    strcasecmp(apw_url_authority(&u, authority), fetcher->mute) == 0;
}

/* --- redirects --- */

/* The same server, or the same host's usual port for TLS in the place of the
 * one without. */
static bool
fetch_same(const struct apw_url *a, const struct apw_url *b)
{
	if (strcasecmp(a->host, b->host) != 0)
		return false;
	return (a->tls == b->tls && a->port == b->port) ||
	    (!a->tls && a->port == 80 && b->tls && b->port == 443);
}

/* To the next URL; NULL: it may be asked; else why not. */
static const char *
fetch_move(struct apw_fetch *f, struct apw_str location)
{
	struct apw_buf	 next = APW_BUF_INIT(FETCH_URL_MAX);
	struct apw_url	 from, to;
	const char	*why;

	apw_url_join(f->url.data, location, &next);
	if (apw_url_read(&from, f->url.data) != NULL || next.failed ||
	    next.len == 0 || strlen(next.data) != next.len ||
	    (why = apw_url_read(&to, next.data)) != NULL) {
		apw_buf_free(&next);
		return "it is redirected to what is no URL";
	}
	if (from.tls && !to.tls)
		why = "it is redirected from TLS to plain HTTP";
	else if (!fetch_same(&from, &to))
		f->away = true;
	/* on a way back it is not given either */
	if (f->away) {
		if (f->head.data != NULL)
			explicit_bzero(f->head.data, f->head.len);
		apw_buf_reset(&f->head);
		apw_buf_puts(&f->head, "Accept: */*\r\n");
	}
	apw_buf_free(&f->url);
	f->url = next;
	return why;
}

static int	fetch_ask(struct apw_fetch *);

static bool
fetch_is_redirect(const struct apw_fetch *f, const struct apw_answer *answer)
{
	return !f->order.put && f->order.hops > 0 &&
	    answer->status / 100 == 3 && answer->status != 304 &&
	    answer->location.n > 0;
}

static void
fetch_redirect(struct apw_fetch *f, const struct apw_answer *answer)
{
	const char	*why = fetch_move(f, answer->location);

	f->order.hops--;
	if (f->order.leave != NULL && f->order.leave(f->arg, f->url.data)) {
		fetch_done(f, &(struct apw_fetched){ .status = answer->status,
		    .left = true });
		return;
	}
	if (why == NULL && fetch_ask(f) == -1)
		why = "out of memory";
	if (why != NULL)
		fetch_fail(f, answer->status, why);
}

static void
fetch_on_answer(void *arg, const struct apw_answer *answer)
{
	struct apw_fetch	*f;
	char			 why[64];

	APW_CAST(f, arg, FETCH_MAGIC);
	f->ask = NULL;
	if (answer->error != NULL) {
		if (answer->status == -1)
			fetch_note_mute(f);
		fetch_fail(f, -1, answer->error);
	} else if (fetch_is_redirect(f, answer)) {
		fetch_redirect(f, answer);
	} else if (answer->status / 100 != 2) {
		snprintf(why, sizeof(why), "status %d", answer->status);
		fetch_fail(f, answer->status, why);
	} else
		fetch_done(f, &(struct apw_fetched){ .body = answer->body,
		    .status = answer->status });
}

/* --- the request --- */

static int
fetch_ask(struct apw_fetch *f)
{
	struct apw_ask_order	 order = {
		.method = f->order.put ? "PUT" : "GET",
		.url = f->url.data,
		.head = f->head.data,
		.body = f->order.put ? f->order.body :
		    (struct apw_str){ NULL, 0 },
		.wanted = true,
		.max_bytes = f->order.max_bytes,
		.timeout_ms = f->end_ms - apw_now_ms(),
		.done = fetch_on_answer,
		.arg = f,
	};

	if (order.timeout_ms < 0)
		order.timeout_ms = 0;
	if (order.body.p == NULL && f->order.put)
		order.body = APW_STR("");
	if (f->head.failed || f->url.failed || f->url.data == NULL)
		return -1;
	f->ask = apw_ask(f->away ? f->fetcher->checked : f->fetcher->asker,
	    &order);
	return f->ask == NULL ? -1 : 0;
}

/* A token of what can stand in a head. */
static bool
fetch_token_fits(const char *token)
{
	const char	*p;

	for (p = token; *p > ' ' && *p < 127; p++)
		;
	return *p == '\0' && p != token && p - token < FETCH_TOKEN_MAX;
}

static void
fetch_head(struct apw_fetch *f, const struct apw_fetch_order *o)
{
	f->head.max = FETCH_TOKEN_MAX + 256;
	apw_buf_puts(&f->head, "Accept: */*\r\n");
	if (o->put)
		apw_buf_puts(&f->head,
		    "Content-Type: application/octet-stream\r\n");
	if (o->bearer != NULL && fetch_token_fits(o->bearer))
		apw_buf_printf(&f->head, "Authorization: Bearer %s\r\n",
		    o->bearer);
}

struct apw_fetch *
apw_fetch(struct apw_fetcher *fetcher, const struct apw_fetch_order *o,
    apw_fetch_fn *done, void *arg)
{
	struct apw_fetch	*f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FETCH_MAGIC;
	f->fetcher = fetcher;
	f->order = *o;
	f->done = done;
	f->arg = arg;
	f->end_ms = apw_now_ms() + o->timeout_ms;
	f->url.max = FETCH_URL_MAX;
	apw_buf_puts(&f->url, o->url);
	fetch_head(f, o);
	LIST_INSERT_HEAD(&fetcher->all, f, link);
	if (fetch_ask(f) == 0) {
		/* copied, or the caller's no more */
		f->order.url = f->order.bearer = NULL;
		f->order.body = APW_STR("");
		return f;
	}
	fetch_free(f);
	return NULL;
}

void
apw_fetch_cancel(struct apw_fetch *f)
{
	if (f != NULL)
		fetch_free(f);
}

struct apw_fetcher *
apw_fetcher_new(struct event_base *base, struct apw_egress_rules *rules,
    struct apw_resolver *resolver)
{
	static const struct apw_strlist	 system = { NULL, 0 };
	struct apw_dial_rules		 dial;
	struct apw_fetcher		*fetcher = calloc(1, sizeof(*fetcher));

	if (fetcher == NULL)
		return NULL;
	LIST_INIT(&fetcher->all);
	dial = apw_egress_rules_dial(rules);
	fetcher->rules = apw_egress_rules_ref(rules);
	fetcher->checked = apw_asker_new(base, resolver, &dial,
	    FETCH_CONNECT_MS);
	fetcher->resolver = apw_resolver_new(base, &system, NULL);
	if (fetcher->resolver != NULL)
		fetcher->asker = apw_asker_new(base, fetcher->resolver, NULL,
		    FETCH_CONNECT_MS);
	if (fetcher->asker != NULL && fetcher->checked != NULL)
		return fetcher;
	apw_fetcher_free(fetcher);
	return NULL;
}

void
apw_fetcher_free(struct apw_fetcher *fetcher)
{
	struct apw_fetch	*f;

	if (fetcher == NULL)
		return;
	while ((f = LIST_FIRST(&fetcher->all)) != NULL)
		fetch_free(f);
	apw_asker_free(fetcher->asker);
	apw_asker_free(fetcher->checked);
	apw_egress_rules_unref(fetcher->rules);
	apw_resolver_free(fetcher->resolver);
	free(fetcher);
}
