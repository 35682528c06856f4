/*
 * Engine.IO v4: packets, polling payloads, the open packet.  Room: proto.
 * No sockets, no events; slices in, bytes out.
 */
#ifndef APW_PROTO_EIO_H
#define APW_PROTO_EIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

/* The first byte of a text packet; BINARY exists in polling only. */
enum apw_eio_type {
	APW_EIO_OPEN	= '0',
	APW_EIO_CLOSE	= '1',
	APW_EIO_PING	= '2',
	APW_EIO_PONG	= '3',
	APW_EIO_MESSAGE	= '4',
	APW_EIO_UPGRADE	= '5',
	APW_EIO_NOOP	= '6',
	APW_EIO_BINARY	= 'b'
};

/* Between the packets of a polling payload. */
#define APW_EIO_SEPARATOR	'\x1e'

struct apw_eio_packet {
	enum apw_eio_type	type;
	struct apw_str		data;	/* borrowed; base64 for BINARY */
};

/* A text packet; binary 'b' is accepted in polling only.  -1: unknown type. */
int	apw_eio_parse(struct apw_str, bool polling, struct apw_eio_packet *);

/* Take the first packet off a polling payload: 1, 0 when it is used up, -1
 * for an unknown type or an empty packet.  An empty payload is the caller's
 * to refuse. */
int	apw_eio_next(struct apw_str *payload, struct apw_eio_packet *);

#define APW_EIO_SID_MAX		64

/* What the open packet says. */
struct apw_eio_open {
	char		sid[APW_EIO_SID_MAX + 1];
	bool		upgrade;	/* "upgrades":["websocket"] */
	unsigned	ping_interval_ms;
	unsigned	ping_timeout_ms;
	size_t		max_payload_bytes;	/* 0: not told */
};

/* Append the JSON of an open packet, without the leading '0'. */
int	apw_eio_open_put(struct apw_buf *, const struct apw_eio_open *);
/* Read it; bounds are checked, unknown keys ignored. */
int	apw_eio_open_parse(struct apw_str, struct apw_eio_open *,
	    struct apw_err *);

/* A fresh session id, 20 letters of the URL-safe base64 alphabet, NUL. */
#define APW_EIO_SID_BYTES	21
int	apw_eio_sid(char sid[APW_EIO_SID_BYTES]);

#endif
