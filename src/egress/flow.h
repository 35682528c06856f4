/* One direction of bytes between two sockets.  Room: egress, inside the
 * proxy.  Bytes move by splice(2), without being looked at or copied; where
 * their frame has to be read (chunks), through a buffer.  What the receiver
 * does not take is not read from the sender: a flow holds one pipe's worth,
 * and only while it is stuck. */
#ifndef APW_EGRESS_FLOW_H
#define APW_EGRESS_FLOW_H

#include "core/apw_buf.h"
#include "egress/frame.h"

#define EGRESS_PIPES_SPARE	4

/* Empty pipes between two uses. */
struct egress_pipes {
	int		fds[EGRESS_PIPES_SPARE][2];
	unsigned	n;
	unsigned	used;		/* and those in between */
	bool		useless;	/* this kernel does not splice sockets */
};

void	egress_pipes_free(struct egress_pipes *);

struct egress_flow {
	int		in_fd, out_fd;	/* borrowed */
	struct apw_egress_framing frame;
	struct apw_buf	stash;		/* goes out before all else */
	int		pipe[2];	/* owned while piped > 0; else -1 */
	size_t		piped;
	uint64_t	bytes;		/* of the body, taken from in */
	bool		in_end;
	bool		ended;		/* and told so to out, if need be */
};

enum egress_flow_wait {
	EGRESS_FLOW_READ,	/* until in has more */
	EGRESS_FLOW_WRITE,	/* until out takes more */
	EGRESS_FLOW_END,	/* everything has gone out */
	EGRESS_FLOW_BROKEN,	/* an error, or an end before its time */
};

void	egress_flow_init(struct egress_flow *, int in_fd, int out_fd);
void	egress_flow_free(struct egress_flow *, struct egress_pipes *);
/* The body's first bytes, which came with the head.  -1: broken chunks or
 * out of memory; else how many of them belong to the body. */
ssize_t	egress_flow_early(struct egress_flow *, const char *, size_t);
/* Only what is held already. */
enum egress_flow_wait
	egress_flow_flush(struct egress_flow *, struct egress_pipes *);
/* Move what can be moved without waiting, within limits. */
enum egress_flow_wait
	egress_flow_step(struct egress_flow *, struct egress_pipes *);

#endif
