/*
 * Engine.IO v4, server role: listener, sessions over HTTP long-polling and
 * WebSocket, upgrade, heartbeat.  Room: link.
 *
 * Owned by a Socket.IO server, or by a test program.  Callbacks come from
 * the event loop only; the owner may send, close sessions and free the
 * server from within one.  Every queue and wait is bounded by the
 * configuration.
 */
#ifndef APW_LINK_EIO_SERVER_H
#define APW_LINK_EIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_peer.h"
#include "core/apw_str.h"

struct event_base;
struct apw_eio_server;
struct apw_eio_session;

/* Strings are copied; no defaults here: all is given. */
struct apw_eio_server_conf {
	const char	*path;			/* without trailing slash */
	size_t		 max_payload_bytes;	/* one message or POST body */
	size_t		 max_early_bytes;	/* the same of a session that its
						   owner does not trust yet;
						   0: all are trusted */
	size_t		 max_output_bytes;	/* queued for one session */
	unsigned	 max_sessions;
	unsigned	 max_connections;	/* TCP, sessions' ones included */
	unsigned	 ping_interval_ms;
	unsigned	 ping_timeout_ms;
	unsigned	 upgrade_timeout_ms;
	unsigned	 head_timeout_ms;	/* a request head, idle time before
						   it included */
	unsigned	 body_timeout_ms;	/* silence inside a body */
};

/* Whom a server listens to. */
enum apw_eio_door {
	APW_EIO_DOOR_OPEN,	/* whoever comes */
	APW_EIO_DOOR_OWN,	/* whoever comes, and none but our own can */
	APW_EIO_DOOR_KNOWN,	/* who is not known to be a stranger */
	APW_EIO_DOOR_SHUT,	/* nobody */
};

struct apw_eio_server_events {
	/* a new session; the returned pointer is its "data" */
	void	*(*on_open)(void *arg, struct apw_eio_session *);
	void	 (*on_message)(void *data, bool binary, struct apw_str);
	/* The session is over, but for apw_eio_session_close(); once.  It
	 * must not be used any more. */
	void	 (*on_closed)(void *data, const char *reason);
	/* it has left polling for a WebSocket; may be NULL */
	void	 (*on_upgraded)(void *data);
	/* So many connections were turned away at the door, in one turn of the
	 * loop; may be NULL. */
	void	 (*on_turned_away)(void *arg, unsigned n);
};

struct apw_eio_server *
	apw_eio_server_new(struct event_base *,
	    const struct apw_eio_server_conf *,
	    const struct apw_eio_server_events *, void *arg,
	    struct apw_err *);

/* Listen on a numeric address; may be called for several.  The port bound,
 * or -1. */
int	 apw_eio_server_listen(struct apw_eio_server *, const char *address,
	    uint16_t port, struct apw_err *);

/* Listen on a descriptor that listens already, in whatever network it was
 * made; it becomes the server's, and is closed when this fails. */
int	 apw_eio_server_adopt(struct apw_eio_server *, int fd,
	    struct apw_err *);

/* Close all listeners; connections stay. */
void	 apw_eio_server_deafen(struct apw_eio_server *);

/*
 * Whom to accept from now on; KNOWN: who is copied.  rest: nobody waits for
 * those who come: a few are taken at a time, with rests in between.
 */
void	 apw_eio_server_door(struct apw_eio_server *, enum apw_eio_door,
	    const struct apw_peer_who *, bool rest);

/* Requests for another path go to "next", which has one of its own; it must
 * outlive s. */
void	 apw_eio_server_chain(struct apw_eio_server *s,
	    struct apw_eio_server *next);

/* Whoever calls into several layers brackets it with these: nothing that a
 * caller on the stack still uses is freed in between. */
void	 apw_eio_server_enter(struct apw_eio_server *);
void	 apw_eio_server_leave(struct apw_eio_server *);

/*
 * Everything is closed at once, on_closed called for each session.
 * freed(arg) runs when nothing of the server is on the stack any more: now,
 * or at the end of the callback under way.
 */
void	 apw_eio_server_free(struct apw_eio_server *,
	    void (*freed)(void *arg), void *arg);

/* Queue a message.  -1: the session is closed, or its output queue full: it
 * is being closed then, and on_closed follows. */
int	 apw_eio_session_send(struct apw_eio_session *, bool binary,
	    const struct apw_str *parts, size_t nparts);

/* Its messages may be large from now on, and it is not given up for others. */
void	 apw_eio_session_trust(struct apw_eio_session *);

/* Is its connection known to be our own peer's? */
bool	 apw_eio_session_own(const struct apw_eio_session *);

/* Does it live on a WebSocket (already)?  NULL: no. */
bool	 apw_eio_session_websocket(const struct apw_eio_session *);

/* Its WebSocket's peer has ended the connection, which may not be read to its
 * end yet.  NULL: no. */
bool	 apw_eio_session_hung_up(const struct apw_eio_session *);

/* Close after what is queued went out.  No callback follows. */
void	 apw_eio_session_close(struct apw_eio_session *);

/* Close because the peer broke the protocol: at once; on_closed is called
 * on the next turn of the loop. */
void	 apw_eio_session_fail(struct apw_eio_session *, const char *reason);

#endif
