/* WebSocket: what its two files share.  Room: link. */
#ifndef APW_LINK_WS_PRIV_H
#define APW_LINK_WS_PRIV_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/types.h>
#include <wslay/wslay.h>

#include "core/apw_buf.h"
#include "link/link_ws.h"
#include "proto/apw_ws_frame.h"

#define LINK_WS_MAGIC	0x4c575331	/* LWS1 */

struct apw_link_ws {
	uint32_t		 magic;
	TAILQ_ENTRY(apw_link_ws) link;
	TAILQ_ENTRY(apw_link_ws) unsaid_link;
	bool			 unsaid;	/* is to be flushed soon */
	struct apw_link_ws_list	*list;		/* borrowed; NULL: owned */
	struct event_base	*base;		/* borrowed */
	evutil_socket_t		 fd;		/* owned, or -1 */
	SSL			*ssl;		/* owned; NULL: no TLS */
	bool			 tls_ended;	/* the stream, by the peer */
	bool			 tls_answers;	/* a read waits for room to
						   write */
	size_t			 tls_stuck;	/* what must be offered again */
	struct event		*rd, *wr;	/* owned */
	struct evbuffer		*early;		/* owned: came before us */
	struct evbuffer		*out;		/* owned */
	bool			 lingering;	/* end the stream when out is
						   empty */
	wslay_frame_context_ptr	 frames;	/* owned */
	bool			 out_head;	/* wslay sends a head next */
	uint8_t			 out_key[APW_WS_MASK_BYTES];	/* client */
	struct apw_ws_reader	 in;
	struct apw_buf		 msg;		/* the message under way */
	struct event		*timer;		/* owned; lingering only */
	struct apw_link_ws_events ev;
	void			*arg;		/* borrowed */
	bool			 server;
	bool			 closing;	/* nothing is sent any more */
	bool			 close_sent;
	bool			 failed;	/* on_closed is due */
	bool			 told;		/* on_closed was called */
	bool			 dead;		/* free when depth is 0 */
	unsigned		 depth;		/* callbacks under way */
	const char		*reason;	/* static text */
};

/* link_ws.c */
void	link_ws_enter(struct apw_link_ws *);
/* Last line of every callback: flush, tell of the end, free what is dead. */
void	link_ws_leave(struct apw_link_ws *);
void	link_ws_fail(struct apw_link_ws *, const char *reason);
/* Bytes of the stream. */
void	link_ws_input(struct apw_link_ws *, const char *p, size_t n);

/* link_ws_io.c */
int	link_ws_io_new(struct apw_link_ws *, struct bufferevent *);
/* Queue bytes; key: mask them with it, and turn it on.  -1: out of memory. */
int	link_ws_io_put(struct apw_link_ws *, const uint8_t *, size_t n,
	    uint8_t *key);
void	link_ws_io_flush(struct apw_link_ws *);
void	link_ws_io_pause(struct apw_link_ws *);		/* read no more */
void	link_ws_io_stop(struct apw_link_ws *);		/* nor write */
void	link_ws_io_fail(struct apw_link_ws *);		/* tell, from the loop */
void	link_ws_io_linger(struct apw_link_ws *);
void	link_ws_io_free(struct apw_link_ws *);

/* link_ws_tls.c: as recv(2) and send(2), errno included.  A read fills what it
 * is given as far as there is something; a write may take less, and what it
 * did not take must be offered again. */
int	link_ws_tls_take(struct apw_link_ws *, SSL *);
ssize_t	link_ws_tls_read(struct apw_link_ws *, char *, size_t);
bool	link_ws_tls_pending(const struct apw_link_ws *);
ssize_t	link_ws_tls_write(struct apw_link_ws *, const void *, size_t);
ssize_t	link_ws_tls_write_out(struct apw_link_ws *);	/* of ws->out */
void	link_ws_tls_free(struct apw_link_ws *);

#endif
