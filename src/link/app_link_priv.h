/* App link: what its files share.  Room: link. */
#ifndef APW_LINK_APP_LINK_PRIV_H
#define APW_LINK_APP_LINK_PRIV_H

#include <sys/queue.h>

#include <event2/util.h>

#include "core/apw_buf.h"
#include "dial/dial.h"
#include "dial/stream.h"
#include "link/app_link.h"
#include "link/link_ws.h"
#include "link/sio_attach.h"
#include "proto/apw_eio.h"
#include "proto/apw_ws.h"

#define APP_LINK_MAGIC	0x414c4e31	/* ALN1 */

struct bufferevent;
struct event;

/* an emit that waits for its acknowledgement */
struct app_pending {
	TAILQ_ENTRY(app_pending) link;
	uint32_t		 handle;
	uint64_t		 id;		/* of the acknowledgement */
	int64_t			 deadline_ms;
	bool			 rpc;
	apw_app_link_reply_fn	*reply;
	void			*arg;		/* borrowed */
};

/* where the URL points */
struct app_target {
	bool	 tls;
	char	 host[APW_HOST_SIZE];	/* no brackets; with the root's dot, if
					   it was written */
	uint16_t port;
	char	 host_header[APW_AUTHORITY_SIZE];
	char	*request_path;	/* owned: prefix, path, slash */
	size_t	 prefix;	/* bytes of it: the URL's own path */
};

/* a question how far the app is; timer NULL: none under way */
struct app_ping {
	struct event		*timer;		/* owned; its end, at last */
	struct apw_dial		*dial;		/* owned, one of these at a */
	struct apw_stream	*stream;	/* time */
	struct bufferevent	*bev;
	int64_t			 began_ms;
	apw_app_link_ping_fn	*done;
};

struct apw_app_link {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct apw_resolver	*resolver;	/* owned; made when needed */
	struct apw_app_link_events ev;
	void			*arg;		/* borrowed */
	struct app_target	 target;
	struct apw_upstream	*proxy;		/* owned, a secret; NULL: none */
	char			*ca_file;	/* owned, or NULL */
	char			*auth;		/* owned secret, or NULL */
	SSL_CTX			*tls;		/* owned, or NULL */
	bool			 insecure;
	unsigned		 open_timeout_ms;
	size_t			 max_message_bytes;
	size_t			 max_output_bytes;
	unsigned		 max_pending;
	enum {
		APP_IDLE,
		APP_DIALING,		/* name, TCP, proxy, TLS */
		APP_UPGRADING,		/* the 101 is awaited */
		APP_OPENING,		/* the open packet is */
		APP_JOINING,		/* the CONNECT reply is */
		APP_OPEN,
		APP_CLOSING		/* telling everybody of the end */
	}			 state;
	struct apw_dial		*dial;		/* owned, one of these at a */
	struct apw_stream	*stream;	/* time: APP_DIALING */
	struct bufferevent	*bev;		/* owned: APP_UPGRADING */
	struct apw_link_ws	*ws;		/* owned */
	char			 key[APW_WS_KEY_BYTES];
	struct apw_eio_open	 open;		/* what the server announced */
	struct apw_sio_attach	 attach;
	struct event		*open_timer;	/* owned */
	struct event		*ping_timer;	/* owned */
	struct event		*reply_timer;	/* owned */
	int64_t			 reply_due_ms;	/* when it comes; 0: not set */
	struct event		*left;		/* owned: tells on_left */
	struct app_ping		 ping;
	int64_t			 upgrade_ms;	/* when it was asked for, then
						   how long the 101 took */
	TAILQ_HEAD(, app_pending) pending;
	unsigned		 npending;
	uint64_t		 next_id;
	uint32_t		 next_handle;
	struct apw_link_ws_list	 leaving;
	struct apw_buf		 scratch;	/* heads, error texts */
	unsigned		 depth;		/* callbacks under way */
	bool			 dead;
};

/* app_link.c */
void	app_link_enter(struct apw_app_link *);
void	app_link_leave(struct apw_app_link *);
/* The connection is over: everybody is told.  From the event loop only. */
void	app_link_end(struct apw_app_link *, const char *reason, bool rejected);

/* app_target.c */
int	app_target_parse(const char *url, const char *path,
	    struct app_target *, struct apw_err *);
/* Words for a redirect of the handshake: where to, and what the URL should be
 * then.  location is hostile text. */
void	app_target_moved(const struct app_target *, int status,
	    struct apw_str location, char *out, size_t size);
void	app_target_free(struct app_target *);

/* app_ping.c */
void	app_ping_cancel(struct apw_app_link *);

/* app_conn.c: from dial to packets */
int	app_conn_dial(struct apw_app_link *, struct apw_err *);
/* A connection to the app's host; the callee's.  NULL: err says why. */
struct apw_dial *app_conn_dial_to(struct apw_app_link *, apw_dial_fn *,
	    struct apw_err *);
/* Engine.IO message of the concatenated parts */
int	app_conn_send(struct apw_app_link *, const struct apw_str *parts,
	    size_t nparts);

/* app_emit.c: emits that wait */
void	app_emit_ack(struct apw_app_link *, const struct apw_sio_packet *,
	    const struct apw_str *binary, size_t nbinary);
void	app_emit_on_timer(evutil_socket_t, short, void *);
/* All are told that they will not be answered; or, silently, forgotten. */
void	app_emit_fail_all(struct apw_app_link *);
void	app_emit_forget_all(struct apw_app_link *);

#endif
