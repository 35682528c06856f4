/* Where a body ends; see frame.h.  Room: egress. */
#include "egress/frame.h"

static ssize_t
take_chunks(struct apw_egress_framing *f, const char *p, size_t n)
{
	const char		*from = p;
	struct apw_str		 data;
	enum apw_chunk_got	 got;

	do
		got = apw_chunk_read(&f->chunk, &p, &n, &data);
	while (got == APW_CHUNK_DATA);
	f->done = got == APW_CHUNK_END;
	return got == APW_CHUNK_BROKEN ? -1 : p - from;
}

ssize_t
apw_egress_frame_take(struct apw_egress_framing *f, const char *p, size_t n)
{
	switch (f->frame) {
	case APW_EGRESS_NONE:
		f->done = true;
		return 0;
	case APW_EGRESS_LENGTH:
		if (n > f->left)
			n = (size_t)f->left;
		f->left -= n;
		f->done = f->left == 0;
		return (ssize_t)n;
	case APW_EGRESS_CHUNKED:
		return take_chunks(f, p, n);
	case APW_EGRESS_UNTIL_END:
		break;
	}
	return (ssize_t)n;
}
