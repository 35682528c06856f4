/* Publishing flow bundles; see publish.h.  Room: job, in a slot.
 *
 *	prepareFlowBundleUpload ─┬─ url: PUT
 *				 ├─ inline: uploadFlowBundle
 *				 └─ skip
 *
 * A failure is a line in the log and nothing else. */
#include "job/publish.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "egress/fetch.h"
#include "proto/apw_raw.h"

#define PUBLISH_MAGIC		0x5055424c
#define PUBLISH_MAX		8	/* bundles that wait */
#define PUBLISH_CALL_MS		30000
#define PUBLISH_PUT_MS		60000
#define PUBLISH_ANSWER_BYTES	65536
#define PUBLISH_SKIP_MS		600000	/* the app has no place for bundles */

struct publish_item {
	TAILQ_ENTRY(publish_item) link;
	struct apw_buf	 keys;		/* owned; `{"flowVersionId":…,…` */
	struct apw_buf	 bundle;	/* owned */
};

struct apw_publisher {
	uint32_t		 magic;
	const struct apw_source_ops *ops;	/* borrowed, as the next two */
	struct apw_source	*source;
	struct apw_fetcher	*fetcher;
	TAILQ_HEAD(, publish_item) items;	/* owned; the first is at work */
	unsigned		 n;
	uint32_t		 call;		/* under way; 0: none */
	struct apw_fetch	*put;		/* owned; NULL: none */
	int64_t			 paused_until_ms;	/* 0: not */
};

static void publish_next(struct apw_publisher *);

static void
item_free(struct apw_publisher *p, struct publish_item *item)
{
	TAILQ_REMOVE(&p->items, item, link);
	p->n--;
	apw_buf_free(&item->keys);
	apw_buf_free(&item->bundle);
	free(item);
}

/* The first one is done with. */
static void
publish_done(struct apw_publisher *p, const char *error)
{
	struct publish_item	*item = TAILQ_FIRST(&p->items);

	if (error != NULL)
		apw_notice("a flow's bundle was not published",
		    APW_S("why", error));
	else
		apw_info("a flow's bundle was published",
		    APW_I("bytes", item->bundle.len));
	item_free(p, item);
	publish_next(p);
}

static void
publish_on_put(void *arg, const struct apw_fetched *end)
{
	struct apw_publisher	*p;

	APW_CAST(p, arg, PUBLISH_MAGIC);
	p->put = NULL;
	publish_done(p, end->error);
}

static void
publish_put(struct apw_publisher *p, struct apw_str url)
{
	struct publish_item	*item = TAILQ_FIRST(&p->items);
	struct apw_buf		 text = APW_BUF_INIT(16384);
	struct apw_fetch_order	 order = { .put = true,
	    .body = apw_buf_view(&item->bundle),
	    .max_bytes = PUBLISH_ANSWER_BYTES, .timeout_ms = PUBLISH_PUT_MS };

	if (apw_raw_type(url) == APW_RAW_STRING &&
	    apw_raw_decode(&text, apw_raw_trim(url)) == 0 &&
	    text.data != NULL && strlen(text.data) == text.len) {
		order.url = text.data;
		p->put = apw_fetch(p->fetcher, &order, publish_on_put, p);
	}
	apw_buf_free(&text);
	if (p->put == NULL)
		publish_done(p, "the app's URL cannot be used");
}

static void
publish_on_uploaded(void *arg, const struct apw_reply *reply)
{
	struct apw_publisher	*p;

	APW_CAST(p, arg, PUBLISH_MAGIC);
	p->call = 0;
	publish_done(p, reply->kind == APW_REPLY_OK ? NULL : reply->error);
}

static void
publish_upload(struct apw_publisher *p)
{
	struct publish_item	*item = TAILQ_FIRST(&p->items);
	struct apw_str		 parts[] = { apw_buf_view(&item->keys),
	    APW_STR(",\"data\":{\"_placeholder\":true,\"num\":0}}") };
	struct apw_err		 err = APW_ERR_NONE;

	if (p->ops->call_binary == NULL)
		apw_err_set(&err, 0, "this source takes none");
	else
		p->call = p->ops->call_binary(p->source, "uploadFlowBundle",
		    parts, 2, apw_buf_view(&item->bundle), PUBLISH_CALL_MS,
		    publish_on_uploaded, p, &err);
	if (p->call == 0)
		publish_done(p, err.text);
}

/* It had none of this flow, and wants none: what waits is as unwanted. */
static void
publish_skip(struct apw_publisher *p)
{
	struct publish_item	*item;

	apw_info("the app keeps no bundles of flows",
	    APW_I("asked_again_s", PUBLISH_SKIP_MS / 1000));
	apw_bundles_pause(p, PUBLISH_SKIP_MS);
	while ((item = TAILQ_FIRST(&p->items)) != NULL)
		item_free(p, item);
}

static void
publish_on_prepared(void *arg, const struct apw_reply *reply)
{
	struct apw_publisher	*p;
	struct apw_str		 kind, url;

	APW_CAST(p, arg, PUBLISH_MAGIC);
	p->call = 0;
	if (reply->kind != APW_REPLY_OK)
		publish_done(p, reply->error);
	else if (apw_raw_member(reply->result, "kind", &kind) != 1)
		publish_done(p, "the app's answer has no kind");
	else if (apw_raw_equals(apw_raw_trim(kind), "inline"))
		publish_upload(p);
	else if (apw_raw_equals(apw_raw_trim(kind), "url") &&
	    apw_raw_member(reply->result, "url", &url) == 1)
		publish_put(p, url);
	else if (apw_raw_equals(apw_raw_trim(kind), "skip"))
		publish_skip(p);
	else
		publish_done(p, "the app's answer is of an unknown kind");
}

static void
publish_next(struct apw_publisher *p)
{
	struct publish_item	*item;
	struct apw_buf		 size = APW_BUF_INIT(64);
	struct apw_str		 parts[2];
	struct apw_err		 err;

	while (p->call == 0 && p->put == NULL &&
	    (item = TAILQ_FIRST(&p->items)) != NULL) {
		apw_buf_reset(&size);
		apw_buf_printf(&size, ",\"size\":%zu}", item->bundle.len);
		parts[0] = apw_buf_view(&item->keys);
		parts[1] = apw_buf_view(&size);
		p->call = p->ops->call(p->source, "prepareFlowBundleUpload",
		    parts, 2, PUBLISH_CALL_MS, publish_on_prepared, p, &err);
		if (p->call == 0) {
			apw_notice("a flow's bundle was not published",
			    APW_E(&err));
			item_free(p, item);
		}
	}
	apw_buf_free(&size);
}

void
apw_publish(struct apw_publisher *p, const char *flow_version_id,
    const char *project_id, const char *platform_id, struct apw_buf *bundle)
{
	struct publish_item	*item;

	item = p->n < PUBLISH_MAX && !apw_bundles_paused(p) ?
	    calloc(1, sizeof(*item)) : NULL;
	if (item == NULL) {
		apw_buf_free(bundle);
		return;
	}
	item->bundle = *bundle;
	*bundle = (struct apw_buf){ .max = bundle->max };
	apw_buf_puts(&item->keys, "{\"flowVersionId\":");
	apw_buf_json_c(&item->keys, flow_version_id);
	apw_buf_puts(&item->keys, ",\"projectId\":");
	apw_buf_json_c(&item->keys, project_id);
	apw_buf_puts(&item->keys, ",\"platformId\":");
	apw_buf_json_c(&item->keys, platform_id);
	TAILQ_INSERT_TAIL(&p->items, item, link);
	p->n++;
	publish_next(p);
}

bool
apw_bundles_paused(const struct apw_publisher *p)
{
	return p->paused_until_ms != 0 && apw_now_ms() < p->paused_until_ms;
}

void
apw_bundles_pause(struct apw_publisher *p, int64_t ms)
{
	p->paused_until_ms = apw_now_ms() + ms;
}

bool
apw_publisher_idle(const struct apw_publisher *p)
{
	return TAILQ_EMPTY(&p->items);
}

struct apw_publisher *
apw_publisher_new(const struct apw_source_ops *ops, struct apw_source *source,
    struct apw_fetcher *fetcher)
{
	struct apw_publisher	*p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->magic = PUBLISH_MAGIC;
	p->ops = ops;
	p->source = source;
	p->fetcher = fetcher;
	TAILQ_INIT(&p->items);
	return p;
}

void
apw_publisher_free(struct apw_publisher *p)
{
	struct publish_item	*item;

	if (p == NULL)
		return;
	if (p->call != 0)
		p->ops->cancel(p->source, p->call);
	apw_fetch_cancel(p->put);
	while ((item = TAILQ_FIRST(&p->items)) != NULL)
		item_free(p, item);
	p->magic = 0;
	free(p);
}
