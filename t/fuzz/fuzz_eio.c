/* Engine.IO: polling payloads, base64, the open packet; whole, and cut at
 * every byte. */
#include "fuzz_main.h"

#include "proto/apw_base64.h"
#include "proto/apw_eio.h"
#include "proto/apw_raw.h"

static void
base64(struct apw_str text)
{
	struct apw_buf	 plain = APW_BUF_INIT(0);
	size_t		 n;
	char		*again;

	if (apw_base64_decode(&plain, text) == 0) {
		/* strict: one text for one sequence of bytes */
		n = apw_base64_bytes(plain.len);
		FUZZ_CHECK(n == text.n);
		again = malloc(n + 1);
		apw_base64_encode(again, plain.data, plain.len);
		FUZZ_CHECK(memcmp(again, text.p, n) == 0);
		free(again);
	}
	apw_buf_free(&plain);
}

/* What was understood is written so that it is understood the same. */
static void
opened(const struct apw_eio_open *open)
{
	struct apw_buf		text = APW_BUF_INIT(0);
	struct apw_eio_open	again;
	struct apw_err		err;

	if (strpbrk(open->sid, "\"\\") == NULL) {
		apw_eio_open_put(&text, open);
		FUZZ_CHECK(apw_raw_check(apw_buf_view(&text), 0) == 0);
		/* none is not written as it was */
		if (open->max_payload_bytes > 0) {
			FUZZ_CHECK(apw_eio_open_parse(apw_buf_view(&text),
			    &again, &err) == 0);
			FUZZ_CHECK(memcmp(open, &again, sizeof(again)) == 0);
		}
	}
	apw_buf_free(&text);
}

static void
one(const uint8_t *data, size_t n)
{
	struct apw_str		payload = { (const char *)data, n };
	struct apw_eio_packet	pkt;
	struct apw_eio_open	open;
	struct apw_err		err;
	size_t			total = 0;

	if (n == 0)
		return;
	while (apw_eio_next(&payload, &pkt) == 1) {
		total += 1 + pkt.data.n;
		FUZZ_CHECK(total <= n);
		if (pkt.type == APW_EIO_BINARY)
			base64(pkt.data);
		if (pkt.type == APW_EIO_OPEN &&
		    apw_eio_open_parse(pkt.data, &open, &err) == 0)
			opened(&open);
	}
	apw_eio_parse((struct apw_str){ (const char *)data, n }, false, &pkt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_steps(one, data, n);
	return 0;
}
