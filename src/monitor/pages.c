/* The pages, by path; a query changes nothing of ours.  Room: monitor.
 * Everything else is 404 without a body, as the Node worker's health server has
 * it, whose pages are there without a query only. */
#include "monitor/pages_priv.h"

#include "core/apw_auto.h"

#define PAGE_BYTES	(4U << 20)
#define JSON_TYPE	"application/json"

typedef void page_fn(const struct mon_view *, struct apw_httpd_answer *);

static void
page_live(const struct mon_view *v, struct apw_httpd_answer *r)
{
	if (!mon_view_alive(v))
		r->status = 503;
	mon_live_json(v, &r->body);
}

static void
page_ready(const struct mon_view *v, struct apw_httpd_answer *r)
{
	if (!mon_view_ready(v))
		r->status = 503;
	mon_ready_json(v, &r->body);
}

static void
page_status(const struct mon_view *v, struct apw_httpd_answer *r)
{
	mon_status_json(v, &r->body);
}

static void
page_metrics(const struct mon_view *v, struct apw_httpd_answer *r)
{
	r->type = "text/plain; version=0.0.4; charset=utf-8";
	mon_metrics_text(v, &r->body);
}

/* The Node worker's: up means ok, but for polls that do not come round. */
static void
page_health(const struct mon_view *v, struct apw_httpd_answer *r)
{
	bool	stalled = mon_view_stalled(v);

	if (stalled)
		r->status = 503;
	apw_buf_printf(&r->body, "{\"status\":\"%s\"}", stalled ?
	    "poll_loop_stalled" : "ok");
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

static void
mon_on_request(void *arg, const struct apw_httpd_request *rq,
    struct apw_httpd_answer *r)
{
	const struct apw_score	*score = arg;
	struct mon_view		 view;
	size_t			 i;

	if (rq->body_bytes != 0) {
		r->status = 413;
		return;
	}
	for (i = 0; i < APW_COUNT(pages); i++)
		if (apw_str_is(rq->path, pages[i].path))
			break;
	if (i == APW_COUNT(pages) || (!pages[i].is_ours && rq->query.n > 0))
		return;
	if (!rq->reads) {
		if (pages[i].is_ours) {
			r->status = 405;
			r->allow = "GET, HEAD";
		}
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

/* Nobody sends a body: what would take one is not there. */
const struct apw_httpd_ops mon_pages = { .on_request = mon_on_request };
