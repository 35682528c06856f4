/*
 * RFC 6455 frames as they come in.  wslay reads them; what it leaves to its
 * caller is here: who must mask, which frame may follow which, and how large
 * a message may become.  Room: proto.
 *
 * wslay's own message layer is not used: it checks text byte by byte, and
 * puts every message together in memory of its own.  The mask is taken off
 * before wslay sees a frame, and put on behind it: it does that byte by byte,
 * too, which was a third of what a message costs.
 */
#ifndef APW_PROTO_WS_FRAME_H
#define APW_PROTO_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>
#include <wslay/wslay.h>

#include "core/apw_str.h"

enum apw_ws_opcode {
	APW_WS_CONTINUATION = 0,
	APW_WS_TEXT	= 1,
	APW_WS_BINARY	= 2,
	APW_WS_CLOSE	= 8,
	APW_WS_PING	= 9,
	APW_WS_PONG	= 10
};

/* close codes */
#define APW_WS_CODE_PROTOCOL	1002
#define APW_WS_CODE_NOT_UTF8	1007
#define APW_WS_CODE_TOO_LARGE	1009

#define APW_WS_CONTROL_MAX	125

#define APW_WS_MASK_BYTES	4
/* the longest head of a frame, mask included */
#define APW_WS_HEAD_MAX		14

/* Zero it and set the first three. */
struct apw_ws_reader {
	bool		server;			/* frames must be masked */
	size_t		max_message_bytes;
	wslay_frame_context_ptr frames;		/* borrowed; its recv_callback
						   is apw_ws_get() */
	const char	*p;			/* input of the moment, borrowed */
	size_t		n;
	/* the frame on its way to wslay */
	uint8_t		head[APW_WS_HEAD_MAX];
	unsigned	nhead;
	bool		masked;
	uint8_t		key[APW_WS_MASK_BYTES];
	uint64_t	payload;		/* bytes it has left */
	/* the frame as wslay gave it */
	bool		in_frame;
	bool		fin;
	uint8_t		opcode;			/* of the frame */
	uint8_t		message;		/* of the message, 0: none */
	size_t		message_bytes;		/* of frames so far */
	uint64_t	left;			/* of the frame's payload */
	bool		started;		/* a piece was given out */
	char		control[APW_WS_CONTROL_MAX];
	unsigned	ncontrol;
};

/* For the recv_callback of the reader's wslay context. */
ssize_t	apw_ws_get(struct apw_ws_reader *, uint8_t *to, size_t n);

/* Mask or unmask n bytes of a payload; key is turned on for the next ones. */
void	apw_ws_mask(uint8_t *to, const char *from, size_t n,
	    uint8_t key[APW_WS_MASK_BYTES]);

enum apw_ws_got {
	APW_WS_MORE,		/* input is used up */
	APW_WS_PIECE,		/* of a message */
	APW_WS_CONTROL,		/* a whole control frame */
	APW_WS_BROKEN		/* the peer broke the protocol */
};

struct apw_ws_piece {
	uint8_t		opcode;		/* of the message, or control frame */
	bool		first, last;
	struct apw_str	data;		/* borrowed from the reader until the
					   next call */
	unsigned	code;		/* BROKEN: what to close with */
};

/*
 * Take from the input and move *p and *n on; MORE only when all of it is
 * used up.  Text is not checked for UTF-8 here: that is cheaper when it is
 * whole.
 */
enum apw_ws_got
	apw_ws_read(struct apw_ws_reader *, const char **p, size_t *n,
	    struct apw_ws_piece *);

/* Is it a payload a close frame may have, with a code fit for the wire? */
bool	apw_ws_close_ok(struct apw_str);

#endif
