/*
 * Socket.IO protocol 5, server role, on top of an Engine.IO server.
 * Room: link.  Owned by an engine link or a test program.
 *
 * Keeps namespaces, puts attachments back to their packets, and closes the
 * transport of whoever breaks the protocol.  Payloads stay raw text.
 * Callbacks come from the event loop only; the owner may emit, kick and free
 * the server from within one.
 */
#ifndef APW_LINK_SIO_SERVER_H
#define APW_LINK_SIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_str.h"
#include "link/eio_server.h"
#include "proto/apw_sio.h"

struct apw_sio_server;
struct apw_sio_socket;		/* one namespace of one connection */

/* no more parts than this in one emit */
#define APW_SIO_PARTS_MAX	32

struct apw_sio_server_conf {
	struct apw_eio_server_conf eio;
	unsigned	connect_timeout_ms;	/* until a namespace is joined */
	bool		close_refused;		/* hang up behind CONNECT_ERROR */
	size_t		max_attached_bytes;	/* of the attachments of a packet,
						   and of its text then; 0: as a
						   message */
};

struct apw_sio_server_events {
	/* A client wants to join: NULL to let it, else the message of the
	 * CONNECT_ERROR (static text).  auth is its object, or empty. */
	const char *(*on_connect)(void *arg, struct apw_sio_socket *,
		    struct apw_str nsp, struct apw_str auth);
	/* joined, and told so; auth as before */
	void	(*on_join)(void *arg, struct apw_sio_socket *,
		    struct apw_str auth);
	/* EVENT and ACK, binary or not */
	void	(*on_event)(void *arg, struct apw_sio_socket *,
		    const struct apw_sio_packet *, const struct apw_str *binary,
		    size_t nbinary);
	void	(*on_ack)(void *arg, struct apw_sio_socket *,
		    const struct apw_sio_packet *, const struct apw_str *binary,
		    size_t nbinary);
	/* a joined socket is gone, but for kick(); it must not be used */
	void	(*on_leave)(void *arg, struct apw_sio_socket *,
		    const char *reason);
	/* the connection of this one has left polling; may be NULL */
	void	(*on_upgraded)(void *arg, struct apw_sio_socket *);
	/* as apw_eio_server_events */
	void	(*on_turned_away)(void *arg, unsigned n);
};

struct apw_sio_server *
	apw_sio_server_new(struct event_base *,
	    const struct apw_sio_server_conf *,
	    const struct apw_sio_server_events *, void *arg,
	    struct apw_err *);
int	 apw_sio_server_listen(struct apw_sio_server *, const char *address,
	    uint16_t port, struct apw_err *);
/* The server under it, for its doors. */
struct apw_eio_server *
	apw_sio_server_eio(struct apw_sio_server *);
/* No callback follows but freed(arg); see apw_eio_server_free(). */
void	 apw_sio_server_free(struct apw_sio_server *, void (*freed)(void *),
	    void *arg);

/* The owner's pointer, NULL at first. */
void	 apw_sio_socket_set(struct apw_sio_socket *, void *data);
void	*apw_sio_socket_get(const struct apw_sio_socket *);
/* Whoever is there may send messages of any length that the server takes, and
 * does not go when others come. */
void	 apw_sio_socket_trust(struct apw_sio_socket *);
/* Its connection, to ask about; NULL: gone. */
const struct apw_eio_session *
	 apw_sio_socket_session(const struct apw_sio_socket *);
struct apw_str apw_sio_socket_nsp(const struct apw_sio_socket *);

/*
 * Emit the JSON array of the concatenated parts.  id: NULL, or the id of the
 * acknowledgement wanted.  -1: the connection is over or too slow (on_leave
 * follows).
 */
int	 apw_sio_socket_emit(struct apw_sio_socket *, const uint64_t *id,
	    const struct apw_str *parts, size_t nparts,
	    const struct apw_str *binary, size_t nbinary);
int	 apw_sio_socket_ack(struct apw_sio_socket *, uint64_t id,
	    const struct apw_str *parts, size_t nparts,
	    const struct apw_str *binary, size_t nbinary);

/* Say DISCONNECT, then close the connection.  No callback follows. */
void	 apw_sio_socket_kick(struct apw_sio_socket *);

#endif
