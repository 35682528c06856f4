/* Requests as the HTTP server reads them: the same whole and as they come. */
#include "fuzz_main.h"

#include "http/httpd_priv.h"

#define HEAD_MAX	2048

static void
check(const struct apw_httpd_request *rq, struct apw_str in, ssize_t n)
{
	FUZZ_CHECK((size_t)n <= in.n && n <= HEAD_MAX + 2);
	FUZZ_CHECK(rq->path.n > 0 && rq->path.n <= sizeof(rq->path_text));
	FUZZ_CHECK(rq->path.p[0] == '/');
	FUZZ_CHECK(memchr(rq->path.p, '\0', rq->path.n) == NULL);
	FUZZ_CHECK(rq->query.n < in.n && rq->method.n > 0);
	FUZZ_CHECK(rq->body_bytes >= -1);
	FUZZ_CHECK(!rq->expects || rq->body_bytes != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_str			 in = { (const char *)data, n };
	static struct apw_httpd_request	 rq, part;
	ssize_t				 whole, now = 0;
	size_t				 i;
	int				 status, early;

	whole = httpd_request_read(in, HEAD_MAX, &rq, &status);
	if (whole > 0)
		check(&rq, in, whole);
	else if (whole == -1)
		FUZZ_CHECK(status == 400 || status == 414 || status == 417);
	/* byte by byte: never a request before its end, none that is refused
	 * when it comes at once, and none refused that is taken then */
	for (i = 0; i <= n && i < 4096 && now == 0; i++) {
		now = httpd_request_read((struct apw_str){ in.p, i },
		    HEAD_MAX, &part, &early);
		if (now > 0)
			FUZZ_CHECK(now == whole && (size_t)now == i);
		else if (now == -1)
			FUZZ_CHECK(whole == -1 && status == early);
	}
	return 0;
}
