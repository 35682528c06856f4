/* Socket.IO packets, attachments: what is taken prints as it was.  Input:
 * messages separated by 0x1e; one that starts with 'b' is binary.  Whole, and
 * cut at every byte. */
#include "fuzz_main.h"

#include "link/sio_attach.h"
#include "proto/apw_raw.h"
#include "proto/apw_sio.h"

static void
reprint(const struct apw_sio_packet *pkt)
{
	struct apw_sio_packet	again;
	struct apw_buf		text = APW_BUF_INIT(0);
	struct apw_err		err;

	FUZZ_CHECK(apw_sio_head(&text, pkt) == 0);
	apw_buf_str(&text, pkt->data);
	FUZZ_CHECK(apw_sio_parse(apw_buf_view(&text), &again, &err) == 0);
	FUZZ_CHECK(again.type == pkt->type && again.id == pkt->id &&
	    again.has_id == pkt->has_id &&
	    again.attachments == pkt->attachments &&
	    apw_str_eq(again.nsp, pkt->nsp) &&
	    apw_str_eq(again.name, pkt->name) &&
	    apw_str_eq(again.args, pkt->args));
	apw_buf_free(&text);
}

static int
message(struct apw_sio_attach *a, struct apw_str text)
{
	struct apw_sio_packet	pkt;
	struct apw_str		parts[APW_SIO_ATTACHMENTS_MAX];
	struct apw_err		err = APW_ERR_NONE;
	size_t			nparts;
	bool			binary = text.n > 0 && text.p[0] == 'b';
	int			r;

	if (binary) {
		text.p++;
		text.n--;
	}
	r = apw_sio_attach_take(a, binary, text, &pkt, parts, &nparts, &err);
	if (r == 1) {
		FUZZ_CHECK(nparts == pkt.attachments);
		FUZZ_CHECK(nparts <= APW_SIO_ATTACHMENTS_MAX);
		/* a namespace may be written with a query or without */
		if (memchr(text.p, '?', text.n) == NULL)
			reprint(&pkt);
		apw_sio_placeholder(pkt.name);
		apw_sio_attach_done(a);
	}
	return r;
}

static void
one(const uint8_t *data, size_t n)
{
	struct apw_sio_attach	 a;
	const char		*p = (const char *)data, *end = p + n, *at;

	apw_sio_attach_init(&a, 4096);
	while (p < end) {
		at = memchr(p, '\x1e', end - p);
		if (at == NULL)
			at = end;
		if (message(&a, (struct apw_str){ p, at - p }) == -1)
			break;
		p = at + 1;
	}
	apw_sio_attach_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_steps(one, data, n);
	return 0;
}
