/* Engine.IO server: what its files share.  Room: link. */
#ifndef APW_LINK_EIO_SERVER_PRIV_H
#define APW_LINK_EIO_SERVER_PRIV_H

#include <sys/queue.h>

#include <event2/event.h>

#include "core/apw_buf.h"
#include "link/eio_server.h"
#include "link/link_ws.h"
#include "proto/apw_chunk.h"
#include "proto/apw_eio.h"
#include "proto/apw_http.h"

#define EIO_SERVER_MAGIC	0x45535631	/* ESV1 */
#define EIO_SESSION_MAGIC	0x45535331	/* ESS1 */
#define EIO_CONN_MAGIC		0x45434e31	/* ECN1 */

#define EIO_BUCKETS	64

struct bufferevent;

/* the codes of the error answers */
enum eio_error {
	EIO_ERROR_TRANSPORT,
	EIO_ERROR_SID,
	EIO_ERROR_METHOD,
	EIO_ERROR_REQUEST,
	EIO_ERROR_FORBIDDEN,
	EIO_ERROR_VERSION
};

/* one TCP connection that speaks HTTP */
struct eio_conn {
	uint32_t		 magic;
	TAILQ_ENTRY(eio_conn)	 link;
	struct apw_eio_server	*server;	/* borrowed */
	struct bufferevent	*bev;		/* owned */
	struct event		*timer;		/* owned */
	enum {
		EIO_CONN_HEAD,			/* a request head is awaited */
		EIO_CONN_BODY,			/* the rest of a POST body */
		EIO_CONN_TAKE,			/* a POST is being taken */
		EIO_CONN_POLL,			/* a GET is parked */
		EIO_CONN_LAST,			/* the last answer goes out */
		EIO_CONN_DEAD
	}			 state;
	bool			 own;		/* it is known to be */
	bool			 keep_alive;
	bool			 head_only;	/* HEAD request: no body */
	struct apw_buf		 body;		/* of the POST */
	size_t			 body_left;
	bool			 chunked;	/* the body's end is in itself */
	struct apw_chunk	 chunks;
	struct apw_eio_session	*session;	/* of the GET or POST under
						   way; borrowed */
};
TAILQ_HEAD(eio_conn_list, eio_conn);

/* one packet waiting for polling */
struct eio_out {
	STAILQ_ENTRY(eio_out)	 link;
	size_t			 n;
	char			 type;		/* APW_EIO_BINARY: raw bytes */
	char			 data[];
};
STAILQ_HEAD(eio_out_queue, eio_out);

struct apw_eio_session {
	uint32_t		 magic;
	TAILQ_ENTRY(apw_eio_session) link;	/* of its bucket or the grave */
	struct apw_eio_server	*server;	/* borrowed */
	void			*data;		/* of the owner; borrowed */
	uint64_t		 number;	/* they count up */
	bool			 own;		/* its connection is known to be */
	bool			 trusted;
	char			 sid[APW_EIO_SID_BYTES];
	bool			 orphan;	/* the owner is done with it */
	bool			 closed;
	bool			 closing;	/* goes when the queue is out */
	struct apw_link_ws	*ws;		/* owned; NULL: polling */
	struct apw_link_ws	*probe;		/* owned; upgrading */
	bool			 probed;	/* 2probe was answered */
	struct eio_conn		*poll;		/* parked GET; borrowed */
	struct eio_conn		*post;		/* POST under way; borrowed */
	struct eio_out_queue	 out;
	size_t			 out_bytes;
	struct event		*beat;		/* owned: heartbeat */
	bool			 pinged;	/* a pong is awaited */
	int64_t			 beat_ms;	/* when beat is due */
	struct event		*probe_timer;	/* owned, made when needed */
	struct event		*fail_timer;	/* owned, made when needed */
	const char		*fail_reason;
};
TAILQ_HEAD(eio_session_list, apw_eio_session);

struct eio_listener {
	SLIST_ENTRY(eio_listener) link;
	struct apw_eio_server	*server;	/* borrowed */
	int			 fd;		/* owned */
	struct event		*acceptable;	/* owned */
	struct event		*resume;	/* owned: the end of a rest */
};

struct apw_eio_server {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct apw_eio_server_conf conf;
	struct apw_eio_server_events ev;
	void			*arg;		/* borrowed */
	char			*path;		/* owned, with trailing slash */
	struct apw_eio_server	*next;		/* borrowed; other paths */
	SLIST_HEAD(, eio_listener) listeners;
	enum apw_eio_door	 door;
	struct apw_peer_who	 who;		/* DOOR_KNOWN */
	bool			 rests;
	struct eio_session_list	 sessions[EIO_BUCKETS];
	struct eio_session_list	 grave;		/* sessions to be freed */
	struct eio_conn_list	 conns;
	struct eio_conn_list	 conn_grave;
	struct apw_link_ws_list	 leaving;	/* sockets saying good-bye */
	uint64_t		 next_number;
	unsigned		 nsessions;
	unsigned		 nconns;
	unsigned		 depth;
	bool			 dead;
	void			(*freed)(void *);
	void			*freed_arg;
};

/* eio_server.c */
/* A new connection, or session, is there: is there room for it?  Where not
 * all are trusted the eldest that is not makes room. */
bool	eio_server_room(struct apw_eio_server *);
bool	eio_server_session_room(struct apw_eio_server *);
struct apw_eio_session *
	eio_server_find(struct apw_eio_server *, const char *sid);
void	eio_server_add(struct apw_eio_server *, struct apw_eio_session *);
/* out of the table; freed when nothing is on the stack any more */
void	eio_server_bury(struct apw_eio_server *, struct apw_eio_session *);

/* eio_conn.c: HTTP in and out */
void	eio_conn_new(struct apw_eio_server *, evutil_socket_t, bool own);
void	eio_conn_lost(struct eio_conn *);	/* the same, and its session */
void	eio_conn_bury(struct eio_conn *);	/* close at once */
void	eio_conn_destroy(struct eio_conn *);	/* free, on the way out */
/* An answer; body may be NULL.  The connection goes on or ends after it. */
void	eio_conn_answer(struct eio_conn *, const char *status,
	    const char *type, const void *body, size_t n);
void	eio_conn_error(struct eio_conn *, enum eio_error);
/* Start an answer of n bytes of text whose body the caller adds. */
struct evbuffer *
	eio_conn_answer_begin(struct eio_conn *, const char *status,
	    const char *type, size_t n);
void	eio_conn_answer_end(struct eio_conn *);
/* The body of a POST to this session is to come; n: its length. */
void	eio_conn_begin_body(struct eio_conn *, struct apw_eio_session *,
	    bool chunked, size_t n);
/* Give the connection to another server, which is entered. */
void	eio_conn_move(struct eio_conn *, struct apw_eio_server *);
/* Hand the TCP connection over to a WebSocket; the connection is gone. */
struct bufferevent *
	eio_conn_take(struct eio_conn *);

/* eio_request.c: what requests mean */
void	eio_request(struct eio_conn *, const struct apw_http_head *);
void	eio_request_body(struct eio_conn *);	/* a POST is complete */
/* a POST that cannot be completed: too large, or not what HTTP allows */
void	eio_request_broken(struct eio_conn *, bool large);

/* eio_session.c */
struct apw_eio_session *
	eio_session_new(struct apw_eio_server *, bool websocket, bool own);
/* How long a message of it may be. */
size_t	eio_session_max_bytes(const struct apw_eio_session *);
void	eio_session_open(struct apw_eio_session *);	/* tell the owner */
void	eio_session_destroy(struct apw_eio_session *);
void	eio_session_end(struct apw_eio_session *, const char *reason);
/* One packet from the peer.  -1: the session is over. */
int	eio_session_packet(struct apw_eio_session *,
	    const struct apw_eio_packet *);
int	eio_session_binary(struct apw_eio_session *, struct apw_str);
bool	eio_session_expired(const struct apw_eio_session *);

/* eio_polling.c */
void	eio_polling_get(struct apw_eio_session *, struct eio_conn *);
void	eio_polling_post(struct apw_eio_session *, struct eio_conn *);
int	eio_polling_queue(struct apw_eio_session *, char type,
	    const struct apw_str *parts, size_t nparts);
void	eio_polling_flush(struct apw_eio_session *);
void	eio_polling_noop(struct apw_eio_session *, char type);
void	eio_polling_drop(struct apw_eio_session *);	/* forget the queue */

/* eio_upgrade.c: WebSockets of sessions */
void	eio_upgrade_direct(struct apw_eio_session *, struct bufferevent *);
void	eio_upgrade_probe(struct apw_eio_session *, struct bufferevent *);
void	eio_upgrade_refuse(struct apw_eio_server *, struct bufferevent *);

#endif
