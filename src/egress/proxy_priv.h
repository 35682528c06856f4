/* The proxy's inside: proxy.c (listener, runs), client.c (a connection from
 * accept to its request and end), relay.c (its bytes), answer.c (what we say
 * ourselves). */
#ifndef APW_EGRESS_PROXY_PRIV_H
#define APW_EGRESS_PROXY_PRIV_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "core/apw_log.h"
#include "dial/dial.h"
#include "egress/flow.h"
#include "egress/proxy.h"
#include "egress/request.h"

#define PROXY_MAGIC	0x4550524f
#define CLIENT_MAGIC	0x45434c49

#define PROXY_OVER	64	/* clients over the limit who are told so */
#define PROXY_ACCEPTS	32	/* a turn of the loop */
#define PROXY_PAUSE_MS	100	/* when descriptors run out */
#define LINGER_MS	1000	/* for the client to read our last word */

enum client_state {
	CLIENT_HEAD,		/* its request is not complete */
	CLIENT_DIAL,
	CLIENT_RELAY,
	CLIENT_LINGER,		/* all is said; until it closes */
};

struct egress_client {
	uint32_t		 magic;
	struct apw_egress_proxy	*proxy;		/* borrowed */
	TAILQ_ENTRY(egress_client) link;
	enum client_state	 state;
	int			 fd, server_fd;	/* owned; -1 */
	struct event		 readable, writable;	/* the client */
	struct event		 closed;	/* it left, while we dial */
	struct event		 server_readable, server_writable;
	struct event		 timer;
	struct apw_buf		 head;		/* of request, then answer */
	struct apw_egress_request request;
	bool			 asked;		/* request is read */
	bool			 answered;	/* the origin's head was read */
	bool			 recorded;
	struct apw_dial		*dial;		/* owned */
	struct egress_flow	 up, down;	/* to and from the server */
	uint64_t		 counted;	/* of both, in the run's bytes */
	int64_t			 began_us, active_ms;
	char			 address[APW_ADDR_TEXT_SIZE];
	char			*why;		/* owned; for the log */
};

TAILQ_HEAD(egress_clients, egress_client);

struct apw_egress_proxy {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	int			 listen_fd;	/* owned */
	struct apw_egress_rules	*rules;		/* a reference */
	struct apw_resolver *resolver;	/* borrowed */
	struct event		*acceptable, *resume;	/* owned */
	struct egress_clients	 clients;	/* owned */
	unsigned		 n;		/* of them */
	struct egress_pipes	 pipes;
	struct apw_egress_books	 books;
	apw_egress_told_fn	*told;		/* or NULL */
	void			*arg;		/* borrowed */
	char			 run[64];	/* "": none */
	uint64_t		 bytes;		/* of this run */
	bool			 spent;		/* over the run's limit */
	bool			 guarded;
	struct apw_peer_who	 who;		/* whom it is for, then */
	uint64_t		 strangers;	/* turned away so far */
};

/* proxy.c */
/* Count towards the run's limit; true: it is reached. */
bool	egress_proxy_spend(struct apw_egress_proxy *, uint64_t bytes);
/* One client less. */
void	egress_proxy_left(struct apw_egress_proxy *);

/* client.c */
/* fd is the client's, whatever happens. */
void	egress_client_new(struct apw_egress_proxy *, int fd);
void	egress_client_free(struct egress_client *);
void	egress_client_timer(struct egress_client *, int64_t ms);
/* Enter it in the books, once. */
void	egress_client_record(struct egress_client *, enum apw_egress_verdict);

/* answer.c */
/* Say no, enter it in the books, and linger. */
void	egress_answer(struct egress_client *, enum apw_egress_verdict,
	    int status, const char *text);
void	egress_linger(struct egress_client *);
void	egress_linger_read(struct egress_client *);

/* relay.c */
/* The server's end is c->server_fd; up's stash holds what goes first. */
void	egress_relay_begin(struct egress_client *);
void	egress_relay_step(struct egress_client *);

#endif
