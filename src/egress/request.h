/* What a client of the proxy asks for, and the heads that go on from here.
 * Room: egress.  Pure: text in, text out; no sockets, no look-ups.
 *
 * Must never be lenient: what two programs could read in two ways is
 * refused, not repaired. */
#ifndef APW_EGRESS_REQUEST_H
#define APW_EGRESS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "egress/frame.h"
#include "egress/rules.h"
#include "proto/apw_http.h"

struct apw_egress_request {
	bool		connect;		/* else forward */
	char		method[17];
	bool		head;			/* its answer has no body */
	int		minor;			/* of HTTP/1.x */
	char		host[APW_HOST_SIZE]; /* name in lower case, or an
						 * address as apw_addr_text()
						 * writes it; no brackets */
	uint16_t	port;
	bool		numeric;
	struct apw_addr	addr;			/* when it is */
	struct apw_egress_framing body;
};

/* A refusal: the status and body text of the answer. */
struct apw_egress_refusal {
	int		status;
	char		text[APW_HOST_SIZE + 64];
};

/* Read a complete head.  -1: *no says what to answer.  For a forward request
 * *out (reset by the caller) gets the head as the origin shall see it. */
int	apw_egress_request_read(struct apw_str head,
	    struct apw_egress_request *, struct apw_buf *out,
	    struct apw_egress_refusal *no);

/* The origin's answer.  *out gets the head for the client and *body how its
 * body ends.  1: an interim one (1xx), another follows; 0: the answer; -1:
 * err says what is wrong with it. */
int	apw_egress_answer_read(struct apw_str head,
	    const struct apw_egress_request *, struct apw_buf *out,
	    struct apw_egress_framing *body, struct apw_err *err);

#endif
