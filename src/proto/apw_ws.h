/*
 * RFC 6455 opening handshake, both sides.  Room: proto.  Frames are wslay's.
 */
#ifndef APW_PROTO_WS_H
#define APW_PROTO_WS_H

#include "core/apw_err.h"
#include "core/apw_str.h"
#include "proto/apw_http.h"

#define APW_WS_KEY_BYTES	25	/* 24 of base64, NUL */
#define APW_WS_ACCEPT_BYTES	29	/* 28 of base64, NUL */

/* Does the request ask for an upgrade at all? */
bool	apw_ws_wanted(const struct apw_http_head *);

/* Is it an upgrade request we can answer with 101?  key: its key. */
int	apw_ws_request_check(const struct apw_http_head *,
	    struct apw_str *key, struct apw_err *);

/* The answer to a key.  -1: no SHA-1. */
int	apw_ws_accept(struct apw_str key, char out[APW_WS_ACCEPT_BYTES]);

/* A fresh client key. */
int	apw_ws_key(char out[APW_WS_KEY_BYTES]);

/* Is it the 101 to our key, without extensions we did not ask for? */
int	apw_ws_response_check(const struct apw_http_head *, const char *key,
	    struct apw_err *);

#endif
