/* Where a body ends: by length, by chunks, or with its connection.  Room:
 * egress.  Bytes are passed on as they are; only their frame is read. */
#ifndef APW_EGRESS_FRAME_H
#define APW_EGRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/apw_chunk.h"

enum apw_egress_frame {
	APW_EGRESS_NONE,	/* no body */
	APW_EGRESS_LENGTH,
	APW_EGRESS_CHUNKED,
	APW_EGRESS_UNTIL_END,	/* of the connection: answers, tunnels */
};

struct apw_egress_framing {
	enum apw_egress_frame	 frame;
	uint64_t		 left;		/* LENGTH: of the body */
	struct apw_chunk	 chunk;		/* CHUNKED */
	bool			 done;		/* nothing of it is to come */
};

/* How many of the n bytes belong to the body (all, or up to its end: then
 * done is set); -1: broken chunks. */
ssize_t	apw_egress_frame_take(struct apw_egress_framing *, const char *,
	    size_t n);

#endif
