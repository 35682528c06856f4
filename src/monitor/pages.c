/* The pages, by path.  Room: monitor.  Everything else is 404 without a
 * body, as the Node worker's health server has it. */
#include "monitor/pages_priv.h"

#include "core/apw_auto.h"

#define PAGE_BYTES	(4U << 20)
#define JSON_TYPE	"application/json"

typedef void page_fn(const struct mon_view *, struct mon_reply *);

static void
page_live(const struct mon_view *v, struct mon_reply *r)
{
	if (!mon_view_alive(v))
		r->status = 503;
	mon_live_json(v, &r->body);
}

static void
page_ready(const struct mon_view *v, struct mon_reply *r)
{
	if (!mon_view_ready(v))
		r->status = 503;
	mon_ready_json(v, &r->body);
}

static void
page_status(const struct mon_view *v, struct mon_reply *r)
{
	mon_status_json(v, &r->body);
}

static void
page_metrics(const struct mon_view *v, struct mon_reply *r)
{
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	mon_metrics_text(v, &r->body);
}

/* The Node worker's: up means ok. */
static void
page_health(const struct mon_view *v, struct mon_reply *r)
{
	(void)v;
	apw_buf_puts(&r->body, "{\"status\":\"ok\"}");
}

static const struct {
	const char	*path;
	page_fn		*page;
	bool		 is_ours;	/* 405 for other methods, not 404 */
} pages[] = {
	{ "/livez",		page_live,	true  },
	{ "/readyz",		page_ready,	true  },
	{ "/status",		page_status,	true  },
	{ "/metrics",		page_metrics,	true  },
	{ "/worker/health",	page_health,	false },
	{ "/v1/health",		page_health,	false },
	{ "/api/v1/health",	page_health,	false },
};

void
mon_page(void *arg, struct apw_str method, struct apw_str target,
    struct mon_reply *r)
{
	const struct apw_score	*score = arg;
	struct mon_view		 view;
	size_t			 i;

	for (i = 0; i < APW_COUNT(pages); i++)
		if (apw_str_is(target, pages[i].path))
			break;
	if (i == APW_COUNT(pages))
		return;
	if (!apw_str_is(method, "GET")) {
		if (pages[i].is_ours)
			r->status = 405;
		return;
	}
	if (mon_view_take(&view, score) == -1) {
		r->status = 500;
		return;
	}
	r->status = 200;
	r->type = JSON_TYPE;
	r->body = (struct apw_buf)APW_BUF_INIT(PAGE_BYTES);
	pages[i].page(&view, r);
	mon_view_free(&view);
}
