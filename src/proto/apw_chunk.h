/*
 * Chunked bodies of HTTP/1.1 as they come in: strict, bounded, in place.
 * Room: proto.
 */
#ifndef APW_PROTO_CHUNK_H
#define APW_PROTO_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "core/apw_str.h"

/* extensions of one chunk, all of the trailer: more is refused */
#define APW_CHUNK_LINE_MAX	1024
#define APW_CHUNK_TRAILER_MAX	8192

enum apw_chunk_got {
	APW_CHUNK_MORE,		/* input is used up */
	APW_CHUNK_DATA,		/* of the body */
	APW_CHUNK_END,		/* the body is complete; what is left of the
				   input comes behind it */
	APW_CHUNK_BROKEN
};

/* Zero it before a body. */
struct apw_chunk {
	unsigned	state;
	unsigned	line_bytes;	/* of the line under way */
	unsigned	trailer_bytes;
	unsigned	digits;
	uint64_t	left;		/* bytes of the chunk */
};

/* Take from the input and move *p and *n on. */
enum apw_chunk_got
	apw_chunk_read(struct apw_chunk *, const char **p, size_t *n,
	    struct apw_str *data);

#endif
