/* Heads of the egress proxy: what goes on to the origin, or back to the
 * client, reads the same as what came, and as one thing only. */
#include "fuzz_main.h"

#include <ctype.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "egress/request.h"

static void
check_host(const struct apw_egress_request *rq)
{
	const char	*p;

	FUZZ_CHECK(rq->port != 0 && rq->host[0] != '\0');
	for (p = rq->host; *p != '\0'; p++)
		FUZZ_CHECK(isalnum((unsigned char)*p) || *p == '-' ||
		    *p == '_' || *p == '.' || (*p == ':' && rq->numeric));
}

static void
check_frame(const struct apw_egress_framing *f,
    const struct apw_http_head *h)
{
	FUZZ_CHECK((f->frame == APW_EGRESS_CHUNKED) == h->chunked);
	if (f->frame == APW_EGRESS_LENGTH)
		FUZZ_CHECK(h->content_length == (int64_t)f->left);
	if (f->frame == APW_EGRESS_NONE)
		FUZZ_CHECK(h->content_length <= 0 && !h->chunked);
}

static void
check_hops(const struct apw_http_head *h)
{
	static const char *const	hops[] = { "keep-alive", "upgrade",
	    "proxy-authorization", "proxy-connection", "te", "trailer" };
	size_t				i, n = 0;

	for (i = 0; i < APW_COUNT(hops); i++)
		FUZZ_CHECK(apw_http_header(h, hops[i]).p == NULL);
	for (i = 0; i < h->nheaders; i++)
		n += h->headers[i].name.n == 10 && strncasecmp(
		    h->headers[i].name.p, "connection", 10) == 0;
	FUZZ_CHECK(n == 1 && !h->keep_alive);
}

static void
check_request(const struct apw_egress_request *rq, const struct apw_buf *out)
{
	struct apw_http_head	 h;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_str		 host;
	char			 want[APW_HOST_SIZE + 16];

	check_host(rq);
	if (rq->connect) {
		FUZZ_CHECK(out->len == 0);
		return;
	}
	/* one header more than came, and a host that may be longer */
	if (apw_http_request(apw_buf_view(out), &h, &err) == -1) {
		FUZZ_CHECK(strcmp(err.text, "too many headers") == 0);
		return;
	}
	check_frame(&rq->body, &h);
	check_hops(&h);
	snprintf(want, sizeof(want), strchr(rq->host, ':') != NULL ?
	    "[%s]:%u" : "%s:%u", rq->host, rq->port);
	if (rq->port == 80)
		*strrchr(want, ':') = '\0';
	host = apw_http_header(&h, "host");
	FUZZ_CHECK(apw_str_is(host, want));
	FUZZ_CHECK(apw_str_is(h.method, rq->method));
}

static void
answer(struct apw_str text, bool of_head)
{
	struct apw_egress_request	rq = { .head = of_head };
	struct apw_egress_framing	body;
	struct apw_http_head		h;
	struct apw_err			err = APW_ERR_NONE;
	struct apw_buf			out = APW_BUF_INIT(1 << 16);

	if (apw_egress_answer_read(text, &rq, &out, &body, &err) != -1) {
		if (apw_http_response(apw_buf_view(&out), &h, &err) == -1)
			FUZZ_CHECK(strcmp(err.text, "too many headers") == 0);
		else {
			check_hops(&h);
			if (!of_head && h.status != 204 && h.status != 304)
				check_frame(&body, &h);
		}
	}
	apw_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_egress_request	rq;
	struct apw_egress_refusal	no = { .status = 0 };
	struct apw_buf			out = APW_BUF_INIT(1 << 16);
	struct apw_str			text = { (const char *)data, n };
	ssize_t				head = apw_http_head_length(text);
	char				*copy;

	if (head <= 0)
		return 0;
	/* of exactly its length, so that a read past its end is seen */
	copy = malloc((size_t)head);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, (size_t)head);
	text = (struct apw_str){ copy, (size_t)head };
	if (apw_egress_request_read(text, &rq, &out, &no) == 0)
		check_request(&rq, &out);
	else
		FUZZ_CHECK(no.status / 100 == 4 && no.text[0] != '\0');
	apw_buf_free(&out);
	answer(text, false);
	answer(text, true);
	free(copy);
	return 0;
}
