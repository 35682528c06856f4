/*
 * The RPC envelopes on top of Socket.IO events, as raw text: what is inside
 * a payload is neither copied nor looked at.  Room: proto.
 */
#ifndef APW_PROTO_RPC_H
#define APW_PROTO_RPC_H

#include <stddef.h>

#include "core/apw_buf.h"
#include "core/apw_str.h"

/*
 * The first argument of "rpc", "rpc-notify" or (older engines) "command":
 * {"<method key>":"name","payload":…}; what follows it is not looked at.
 * method is the text between the quotes; payload is "null" when absent.  -1:
 * not such an object, or the name is empty, longer than 64 bytes or holds an
 * escape.
 */
int	apw_rpc_parse(struct apw_str arg, const char *method_key,
	    struct apw_str *method, struct apw_str *payload);

/* {"message":"…"}: append the decoded text; -1 when it has none. */
int	apw_rpc_message(struct apw_str payload, struct apw_buf *out);

/*
 * Does a reply carry an error?  1: its text was appended to out (raw JSON
 * when it is not a string); 0: no.
 */
int	apw_rpc_error(struct apw_str reply, struct apw_buf *out);

/* Append {"__rpcError":"text"}. */
int	apw_rpc_error_put(struct apw_buf *, const char *text);

/* The first argument of an ack's inside; "null" when there is none. */
struct apw_str
	apw_rpc_first(struct apw_str args);

#endif
