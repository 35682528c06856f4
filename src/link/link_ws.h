/*
 * A WebSocket on a bufferevent, either role, after its handshake.
 * Room: link.  Frames are wslay's; messages are put together here, bounded.
 *
 * Owned by an Engine.IO session or client.  Callbacks come from the event
 * loop only; the owner may free or close the socket from within one.
 */
#ifndef APW_LINK_WS_H
#define APW_LINK_WS_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>

#include "core/apw_str.h"

struct bufferevent;
struct apw_link_ws;

/* Sockets that are saying good-bye; they leave the list by themselves. */
struct apw_link_ws_list {
	TAILQ_HEAD(, apw_link_ws) all;
	unsigned n;				/* of them */
	void	(*on_empty)(void *arg);		/* the last has left; or NULL */
	void	*arg;				/* borrowed */
};

struct apw_link_ws_events {
	/* a whole message; text is well-formed UTF-8 */
	void	(*on_message)(void *arg, bool binary, struct apw_str);
	/* the socket is dead: the owner frees or closes it, now or soon.
	 * Once.  reason: "transport close", "transport error" or "parse
	 * error", detail behind ": " */
	void	(*on_closed)(void *arg, const char *reason);
};

/*
 * Takes the bufferevent over (bytes already read included), on failure too.
 * server: frames of the peer are masked, ours are not.  Longer messages than
 * max_message_bytes are answered with close code 1009.
 * NULL: out of memory.
 */
struct apw_link_ws *
	apw_link_ws_new(struct bufferevent *, bool server,
	    size_t max_message_bytes, const struct apw_link_ws_events *,
	    void *arg);

/* Longer messages from now on; and so many bytes more may wait for it. */
void	 apw_link_ws_allow(struct apw_link_ws *, size_t max_message_bytes);

/* Handle what arrived before apw_link_ws_new(), from the event loop. */
void	 apw_link_ws_start(struct apw_link_ws *);

/*
 * Queue one message of the concatenated parts, "prefix" (0: none) in front.
 * -1 when the socket is closing or memory is out: it is dead then, and
 * on_closed follows.
 */
int	 apw_link_ws_send(struct apw_link_ws *, bool binary, char prefix,
	    const struct apw_str *parts, size_t nparts);

/* The peer has ended the connection; what it said before may be unread.  Asks
 * the kernel; false where TLS is. */
bool	 apw_link_ws_hung_up(const struct apw_link_ws *);

/* Bytes queued that the kernel has not taken yet. */
size_t	 apw_link_ws_unsent(const struct apw_link_ws *);

/*
 * Orderly end: close frame (code 0: empty), wait for the peer's a little.
 * The owner has no more to do with the socket, no callback follows; the list
 * owns it until it is gone.
 */
void	 apw_link_ws_close(struct apw_link_ws *, unsigned code,
	    struct apw_link_ws_list *);

/* At once, without a word. */
void	 apw_link_ws_free(struct apw_link_ws *);

#endif
