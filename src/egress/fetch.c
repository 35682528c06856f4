/* GET and PUT of what the app names; see fetch.h.  Room: egress, in a slot.
 * The exchange is dial/ask.c's; here is what is fetched, and that the app may
 * name any address. */
#include "egress/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/apw_err.h"
#include "core/apw_log.h"
#include "dial/ask.h"

#define FETCH_MAGIC	0x46455443

struct apw_fetcher {
	struct apw_resolver	*resolver;	/* owned: the system's servers,
						   as the app is one of ours */
	struct apw_asker	*asker;		/* owned */
	LIST_HEAD(, apw_fetch)	 all;		/* owned */
};

struct apw_fetch {
	uint32_t		 magic;
	LIST_ENTRY(apw_fetch)	 link;
	struct apw_ask		*ask;		/* owned */
	apw_fetch_fn		*done;
	void			*arg;		/* borrowed */
};

static void
fetch_free(struct apw_fetch *f)
{
	LIST_REMOVE(f, link);
	apw_ask_cancel(f->ask);
	f->magic = 0;
	free(f);
}

/* The callback may do anything but with this fetch. */
static void
fetch_on_answer(void *arg, const struct apw_answer *answer)
{
	struct apw_fetch	*f;
	apw_fetch_fn		*done;
	char			 why[64];
	const char		*error = answer->error;

	APW_CAST(f, arg, FETCH_MAGIC);
	f->ask = NULL;
	done = f->done;
	arg = f->arg;
	fetch_free(f);
	if (error == NULL && answer->status / 100 != 2) {
		snprintf(why, sizeof(why), "status %d", answer->status);
		error = why;
	}
	done(arg, error == NULL ? answer->body : APW_STR(""), error);
}

struct apw_fetch *
apw_fetch(struct apw_fetcher *fetcher, const struct apw_fetch_order *o,
    apw_fetch_fn *done, void *arg)
{
	struct apw_fetch	*f = calloc(1, sizeof(*f));
	struct apw_ask_order	 order = {
		.method = o->put ? "PUT" : "GET",
		.url = o->url,
		.head = o->put ? "Accept: */*\r\n"
		    "Content-Type: application/octet-stream\r\n" :
		    "Accept: */*\r\n",
		.body = o->put ? o->body : (struct apw_str){ NULL, 0 },
		.wanted = true,
		.max_bytes = o->max_bytes,
		.timeout_ms = o->timeout_ms,
		.done = fetch_on_answer,
		.arg = f,
	};

	if (f == NULL)
		return NULL;
	f->magic = FETCH_MAGIC;
	f->done = done;
	f->arg = arg;
	LIST_INSERT_HEAD(&fetcher->all, f, link);
	if (order.body.p == NULL && o->put)
		order.body = APW_STR("");
	f->ask = apw_ask(fetcher->asker, &order);
	if (f->ask != NULL)
		return f;
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
apw_fetcher_new(struct event_base *base)
{
	static const struct apw_strlist	 system = { NULL, 0 };
	struct apw_fetcher		*fetcher = calloc(1, sizeof(*fetcher));

	if (fetcher == NULL)
		return NULL;
	LIST_INIT(&fetcher->all);
	fetcher->resolver = apw_resolver_new(base, &system, NULL);
	if (fetcher->resolver != NULL)
		fetcher->asker = apw_asker_new(base, fetcher->resolver, NULL,
		    0);
	if (fetcher->asker != NULL)
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
	apw_resolver_free(fetcher->resolver);
	free(fetcher);
}
