/* What the files of the HTTP server share.  Room http only. */
#ifndef APW_HTTP_HTTPD_PRIV_H
#define APW_HTTP_HTTPD_PRIV_H

#include <sys/queue.h>
#include <sys/types.h>

#include "http/httpd.h"
#include "proto/apw_chunk.h"

struct httpd_conn;

/* What a connection does at present. */
struct httpd_step {
	const char	*name;
	short		 wants;		/* EV_READ, EV_WRITE */
	void		(*go)(struct httpd_conn *);
};

#define HTTPD_CONN_MAGIC	0x68636f6e
struct httpd_conn {
	uint32_t		 magic;
	TAILQ_ENTRY(httpd_conn)	 entry;
	struct apw_httpd	*httpd;		/* borrowed */
	const struct httpd_step	*step;
	int			 fd;		/* owned */
	struct event		*read, *write;	/* owned */
	struct event		*deadline;	/* owned */
	int64_t			 until_ms;	/* of the step, whatever moves */
	bool			 late;		/* past it, and looked at */
	struct apw_buf		 in;		/* come and not taken yet */
	unsigned		 requests;
	bool			 known;
	bool			 last;		/* closed after this answer */
	bool			 unread;	/* with input on its way */

	/* the body of the request under way */
	void			*upload;	/* borrowed; NULL: none */
	bool			 chunked;
	struct apw_chunk	 chunk;
	uint64_t		 left;		/* not chunked: to come */
	uint64_t		 got;

	/* the answer under way */
	struct apw_buf		 out;
	size_t			 sent;		/* of it */
	int			 file;		/* owned; -1: none */
	uint64_t		 file_at, file_end;

	uint64_t		 lingered;	/* bytes thrown away */
};

#define HTTPD_MAGIC	0x68747470
struct apw_httpd {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	const struct apw_httpd_limits *limits;	/* borrowed */
	const struct apw_httpd_ops *ops;	/* borrowed */
	void			*arg;
	struct event		**accepts;	/* owned; one a listener */
	size_t			 naccepts;
	struct event		*pause;		/* owned */
	TAILQ_HEAD(, httpd_conn) conns;		/* oldest first */
	unsigned		 nconns, nknown;
	size_t			 pending;	/* bytes of answers */
	void			(*done)(void *);
	void			*done_arg;
};

/* httpd_request.c: the request at the beginning of `in`.  Its length up to
 * the end of its head, with *rq filled (slices borrow from `in` and *rq); 0:
 * not whole yet; -1: it can never be one, *status is the answer. */
ssize_t	httpd_request_read(struct apw_str in, size_t head_max,
	    struct apw_httpd_request *rq, int *status);

/* httpd_answer.c: head and body of an answer.  *a is used up. */
void	httpd_answer_put(struct apw_buf *out, struct apw_httpd_answer *a,
	    bool with_body, bool keep);

/* httpd_conn.c: takes the descriptor. */
void	httpd_conn_new(struct apw_httpd *, int fd);
/* Take what is there by now.  The connection may be gone afterwards. */
void	httpd_conn_hear(struct httpd_conn *);
bool	httpd_conn_idle(const struct httpd_conn *);
void	httpd_conn_free(struct httpd_conn *);

#endif
