/*
 * The app link: a Socket.IO client on a WebSocket to the app.
 * Room: link.  Owned by whoever speaks to the app (source_app).
 *
 * One object, one connection at a time: open it, use it until on_closed,
 * open it again when the caller's own policy says so.  It never reconnects
 * by itself, never retries, and never resolves a name with a blocking call.
 * Payloads pass as raw JSON text.
 *
 * Callbacks (events and replies) come from the event loop only, never from
 * inside a function the owner calls.  Every text given to a callback is
 * borrowed and valid until the callback returns.  The owner may call
 * anything from a callback, apw_app_link_free() included.
 */
#ifndef APW_LINK_APP_LINK_H
#define APW_LINK_APP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_str.h"

struct event_base;
struct apw_app_link;

/* All strings are copied.  Zero means "the default in brackets". */
struct apw_app_link_conf {
	const char	*url;		/* http, https, ws or wss; a path in it
					   goes before "path" */
	const char	*path;		/* [/api/socket.io] */
	const char	*auth_json;	/* text of the CONNECT object, or NULL.
					   A secret: wiped on free */
	const char	*ca_file;	/* PEM to trust instead of the system's
					   (an https proxy: beside it), or
					   NULL */
	bool		 insecure;	/* true: do not verify the peer (tests,
					   explicit configuration only) */
	const char	*proxy;		/* http(s)://[user:password@]host:port
					   for CONNECT, or NULL: none */
	unsigned	 open_timeout_ms;	/* [20000] TCP, TLS, 101, open
						   packet and CONNECT reply */
	size_t		 max_message_bytes;	/* [104857600] received */
	size_t		 max_output_bytes;	/* [2 x the peer's maxPayload]
						   unsent bytes */
	unsigned	 max_pending;		/* [4096] emits awaiting a
						   reply */
};

struct apw_app_link_events {
	/* the namespace is joined */
	void	(*on_open)(void *arg);
	/*
	 * The connection, or the attempt to make one, is over; every emit
	 * awaiting a reply has been told before.  reason: "io server
	 * disconnect", "ping timeout", "transport close", "transport error",
	 * "parse error", "connect error", or such a word with ": " and
	 * detail behind it.  rejected: the server said no ("connect error",
	 * with its message, or "io server disconnect").  Not called after
	 * leave or free.
	 */
	void	(*on_closed)(void *arg, const char *reason, bool rejected);
	/* an event of the server: its name, and the inside of the JSON array
	   behind it ("1,2", or empty).  NULL: events are dropped */
	void	(*on_event)(void *arg, struct apw_str name,
		    struct apw_str args);
	/* The good-bye of apw_app_link_leave() is over.  NULL: not told */
	void	(*on_left)(void *arg);
};

/* NULL and err set for a URL or CA file that cannot be used. */
struct apw_app_link *
	apw_app_link_new(struct event_base *, const struct apw_app_link_conf *,
	    const struct apw_app_link_events *, void *arg, struct apw_err *);

/* Start connecting.  No-op while connecting or connected. */
void	 apw_app_link_open(struct apw_app_link *);

/* True between on_open and on_closed. */
bool	 apw_app_link_connected(const struct apw_app_link *);

/* How an emit that wanted a reply ended. */
enum apw_app_link_outcome {
	APW_APP_LINK_OK,
	APW_APP_LINK_REFUSED,	/* the app answered __rpcError (rpc only) */
	APW_APP_LINK_TIMEOUT,	/* no answer in time: may have happened */
	APW_APP_LINK_LOST	/* disconnected before the answer: likewise */
};

/* Everything in it is borrowed for the time of the callback. */
struct apw_app_link_reply {
	enum apw_app_link_outcome outcome;
	const char	*error;		/* text when not OK: "operation has
					   timed out", "socket has been
					   disconnected", the __rpcError */
	struct apw_str	 result;	/* first argument of the ack, raw;
					   "null" when there was none */
	const struct apw_str *binary;	/* attachments; the result refers to
					   them as {"_placeholder":true,…} */
	size_t		 nbinary;
};

/* Called exactly once for each accepted emit; never after cancel, leave or
 * free. */
typedef void apw_app_link_reply_fn(void *arg,
	    const struct apw_app_link_reply *);

/*
 * Emit event with one argument (the concatenated parts, JSON text; nparts 0:
 * no argument) and ask for an acknowledgement within timeout_ms (0: the
 * upstream worker's 60000).  Returns an id, never 0; 0 and err set when the
 * emit was not sent, and the reply function will not be called: err->code is
 * ENOTCONN (not connected), EMSGSIZE (above the peer's maxPayload) or
 * ENOBUFS (too much is queued).
 */
uint32_t apw_app_link_emit_ack(struct apw_app_link *, const char *event,
	    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
	    apw_app_link_reply_fn *, void *arg, struct apw_err *);

/*
 * The same for ["rpc",{"method":…,"payload":parts}]; an answer with the key
 * __rpcError becomes the error text.  binary: one attachment, which the payload
 * names as {"_placeholder":true,"num":0}; NULL: none.
 */
uint32_t apw_app_link_rpc(struct apw_app_link *, const char *method,
	    const struct apw_str *parts, size_t nparts,
	    const struct apw_str *binary, unsigned timeout_ms,
	    apw_app_link_reply_fn *, void *arg, struct apw_err *);

/* Forget a pending emit: its reply function will not be called. */
void	 apw_app_link_cancel(struct apw_app_link *, uint32_t id);

/* Emit without acknowledgement. */
int	 apw_app_link_emit(struct apw_app_link *, const char *event,
	    const struct apw_str *parts, size_t nparts, struct apw_err *);

/* How long the app took to answer the handshake's request, ms: a first figure
 * of how far it is.  Only while connected. */
int64_t	 apw_app_link_handshake_ms(const struct apw_app_link *);

/* Milliseconds, or -1: no answer in time. */
typedef void apw_app_link_ping_fn(void *arg, int64_t ms);

/*
 * Ask how far the app is, beside the connection and whether there is one: the
 * time until its health page is answered, on a connection of its own.  One at a
 * time.  0: done comes once, with the link's arg, but not after leave or free;
 * -1 and err: one is under way (EALREADY), or it cannot be asked.
 */
int	 apw_app_link_ping(struct apw_app_link *, unsigned timeout_ms,
	    apw_app_link_ping_fn *done, struct apw_err *);

/* What the peer accepts as one message; 0 while not connected. */
size_t	 apw_app_link_max_payload(const struct apw_app_link *);

/*
 * Say good-bye: Socket.IO disconnect, a close frame, end, within a second.
 * Pending emits are dropped and no callback follows but on_left, on a later
 * turn of the loop, also when there was nothing to leave.  Freeing the link
 * before cuts the good-bye short.
 */
void	 apw_app_link_leave(struct apw_app_link *);

void	 apw_app_link_free(struct apw_app_link *);

#endif
