/* Packets and their attachments; see sio_attach.h.  Room: link. */
#include "link/sio_attach.h"

void
apw_sio_attach_init(struct apw_sio_attach *a, size_t max_bytes)
{
	*a = (struct apw_sio_attach){ .text = APW_BUF_INIT(max_bytes + 1),
	    .bytes = APW_BUF_INIT(max_bytes + 1) };
}

void
apw_sio_attach_allow(struct apw_sio_attach *a, size_t max_bytes)
{
	a->text.max = a->bytes.max = max_bytes + 1;
}

void
apw_sio_attach_free(struct apw_sio_attach *a)
{
	apw_buf_free(&a->text);
	apw_buf_free(&a->bytes);
	a->wanted = a->have = 0;
}

void
apw_sio_attach_done(struct apw_sio_attach *a)
{
	if (a->wanted > 0)
		apw_sio_attach_free(a);
}

static int
take_text(struct apw_sio_attach *a, struct apw_str text,
    struct apw_sio_packet *pkt, struct apw_err *err)
{
	if (a->wanted > 0)
		return apw_err_set(err, 0, "text between attachments");
	if (apw_sio_parse(text, pkt, err) == -1)
		return -1;
	if (pkt->attachments == 0)
		return 1;
	if (apw_buf_str(&a->text, text) == -1)
		return apw_err_set(err, 0, "packet too large");
	a->wanted = pkt->attachments;
	a->have = 0;
	return 0;
}

int
apw_sio_attach_take(struct apw_sio_attach *a, bool binary,
    struct apw_str text, struct apw_sio_packet *pkt,
    struct apw_str parts[APW_SIO_ATTACHMENTS_MAX], size_t *nparts,
    struct apw_err *err)
{
	size_t	from = 0;

	*nparts = 0;
	if (!binary)
		return take_text(a, text, pkt, err);
	if (a->wanted == 0)
		return apw_err_set(err, 0, "attachment without a packet");
	if (apw_buf_str(&a->bytes, text) == -1)
		return apw_err_set(err, 0, "attachments too large");
	a->ends[a->have++] = a->bytes.len;
	if (a->have < a->wanted)
		return 0;
	/* the slices of the first look pointed into a text that is gone */
	if (apw_sio_parse(apw_buf_view(&a->text), pkt, err) == -1)
		return -1;
	for (; *nparts < a->wanted; (*nparts)++) {
		parts[*nparts] = (struct apw_str){
		    apw_buf_view(&a->bytes).p + from,
		    a->ends[*nparts] - from };
		from = a->ends[*nparts];
	}
	return 1;
}
