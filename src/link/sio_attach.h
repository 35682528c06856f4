/*
 * Socket.IO packets and the binary messages that belong to them, put
 * together again; both roles.  Room: link.
 */
#ifndef APW_LINK_SIO_ATTACH_H
#define APW_LINK_SIO_ATTACH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"
#include "proto/apw_sio.h"

struct apw_sio_attach {
	struct apw_buf	text;		/* of the packet that waits */
	struct apw_buf	bytes;		/* its attachments so far */
	size_t		ends[APW_SIO_ATTACHMENTS_MAX];
	unsigned	wanted;		/* 0: nothing waits */
	unsigned	have;
};

/* The attachments of one packet together, and its text, are at most so
 * long each. */
void	apw_sio_attach_init(struct apw_sio_attach *, size_t max_bytes);
/* They may be longer from now on. */
void	apw_sio_attach_allow(struct apw_sio_attach *, size_t max_bytes);
void	apw_sio_attach_free(struct apw_sio_attach *);

/*
 * One Engine.IO message.  1: pkt is complete, with its attachments in parts;
 * call apw_sio_attach_done() when it was used.  0: attachments are to come.
 * -1: a violation.
 */
int	apw_sio_attach_take(struct apw_sio_attach *, bool binary,
	    struct apw_str, struct apw_sio_packet *,
	    struct apw_str parts[APW_SIO_ATTACHMENTS_MAX], size_t *nparts,
	    struct apw_err *);
void	apw_sio_attach_done(struct apw_sio_attach *);

#endif
