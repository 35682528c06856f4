/*
 * Socket.IO protocol 5: packets.  Room: proto.
 * What cannot be a packet is a violation: the transport must be closed.
 */
#ifndef APW_PROTO_SIO_H
#define APW_PROTO_SIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

enum apw_sio_type {
	APW_SIO_CONNECT,
	APW_SIO_DISCONNECT,
	APW_SIO_EVENT,
	APW_SIO_ACK,
	APW_SIO_CONNECT_ERROR,
	APW_SIO_BINARY_EVENT,
	APW_SIO_BINARY_ACK
};

/* More attachments than the reference parser takes are refused. */
#define APW_SIO_ATTACHMENTS_MAX	10

struct apw_sio_packet {
	enum apw_sio_type	type;
	unsigned		attachments;	/* 0 unless BINARY_ */
	struct apw_str		nsp;		/* "/" when not named; the query
						   of "/x?y" is cut off */
	bool			has_id;
	uint64_t		id;		/* at most 2^53 - 1 */
	struct apw_str		data;		/* JSON text, empty: absent */
	/* events: the name, a JSON literal, and what follows it inside the
	 * array: "1,2" or empty.  Acks: args is the inside of the array. */
	struct apw_str		name;
	struct apw_str		args;
};

/*
 * The payload of an Engine.IO message.  All slices borrow from it.  The JSON
 * is checked once, here, UTF-8 excepted: the transport did that.
 */
int	apw_sio_parse(struct apw_str, struct apw_sio_packet *,
	    struct apw_err *);

/* Append everything in front of the JSON: type, attachments, namespace, id.
 * Uses type, attachments, nsp, has_id and id. */
int	apw_sio_head(struct apw_buf *, const struct apw_sio_packet *);

/* The number of a placeholder object, or -1 when the value is none. */
int	apw_sio_placeholder(struct apw_str value);

/* Do all placeholders in the text name one of so many attachments? */
bool	apw_sio_placeholders_ok(struct apw_str json, unsigned attachments);

const char *apw_sio_type_name(enum apw_sio_type);

#endif
