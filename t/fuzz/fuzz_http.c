/* HTTP heads and chunked bodies, whole and byte by byte; queries. */
#include "fuzz_main.h"

#include "proto/apw_chunk.h"
#include "proto/apw_http.h"

static void
query(const struct apw_http_head *h)
{
	static const char *const	keys[] = { "transport", "EIO", "sid" };
	char				out[65];
	size_t				i;

	for (i = 0; i < 3; i++)
		if (apw_http_query(h->query, keys[i], out, sizeof(out)) == 1)
			FUZZ_CHECK(strlen(out) < sizeof(out));
}

/* Read the input in steps; how it ended, what it said, and where. */
static enum apw_chunk_got
chunks(const uint8_t *bytes, size_t n, size_t step, uint8_t *out,
    size_t *nout, size_t *end)
{
	struct apw_chunk	k = { 0 };
	enum apw_chunk_got	got = APW_CHUNK_MORE;
	const char		*p = (const char *)bytes;
	struct apw_str		data;
	size_t			left;

	*nout = *end = 0;
	while (*end < n && got == APW_CHUNK_MORE) {
		left = n - *end < step ? n - *end : step;
		*end += left;
		while ((got = apw_chunk_read(&k, &p, &left, &data)) ==
		    APW_CHUNK_DATA) {
			FUZZ_CHECK(data.n > 0 && *nout + data.n <= n);
			memcpy(out + *nout, data.p, data.n);
			*nout += data.n;
		}
		*end -= left;
	}
	return got;
}

static void
body(const uint8_t *data, size_t n)
{
	uint8_t	*whole = malloc(n + 1), *part = malloc(n + 1);
	size_t	 nwhole, npart, end, end_part;

	FUZZ_CHECK(chunks(data, n, n, whole, &nwhole, &end) ==
	    chunks(data, n, 1, part, &npart, &end_part));
	FUZZ_CHECK(nwhole == npart && memcmp(whole, part, npart) == 0);
	FUZZ_CHECK(end == end_part);
	free(whole);
	free(part);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_str		text = { (const char *)data, n };
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	ssize_t			whole = apw_http_head_length(text), part;
	size_t			i;

	/* the end is found where it is, however the bytes arrive */
	for (i = 0; i < n && i < 2048; i++) {
		part = apw_http_head_length((struct apw_str){ text.p, i });
		if (whole > 0 && (size_t)whole > i)
			FUZZ_CHECK(part == 0);
		else if (whole > 0)
			FUZZ_CHECK(part == whole);
	}
	if (whole > 0)
		text.n = (size_t)whole;
	if (apw_http_request(text, &head, &err) == 0) {
		FUZZ_CHECK(whole > 0);
		FUZZ_CHECK(head.path.n > 0 && head.path.p[0] == '/');
		FUZZ_CHECK(!head.chunked || head.content_length == -1);
		query(&head);
		apw_http_has_token(apw_http_header(&head, "connection"),
		    "upgrade");
	}
	if (apw_http_response(text, &head, &err) == 0)
		FUZZ_CHECK(head.status >= 0 && head.status <= 999);
	body(data, n);
	head.query = text;
	query(&head);
	return 0;
}
