/* The HTTP/1.1 server that every process of the daemon uses: the monitor's
 * pages, the spool's files.  Room: http.
 *
 * Small on purpose, and bounded in all that a client can make it keep:
 * connections, of which few may belong to strangers; one head each; no body
 * in memory, for its bytes are handed on as they come; and time.  Whoever
 * answers sees a request when its head is whole, before one byte of its body
 * was read. */
#ifndef APW_HTTP_HTTPD_H
#define APW_HTTP_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"
#include "proto/apw_http.h"

#define APW_HTTPD_PATH_MAX	2048	/* longer ones are 414 */

struct apw_httpd_limits {
	unsigned	conns;		/* at a time */
	unsigned	strangers;	/* of them, that nobody has vouched
					 * for; the oldest makes room */
	unsigned	requests;	/* on one connection */
	size_t		head_bytes;	/* APW_HTTP_HEAD_MAX at most */
	uint64_t	body_bytes;	/* of one body */
	size_t		out_bytes;	/* of all answers that nobody takes */
	int64_t		head_ms;	/* for all of a head */
	int64_t		idle_ms;	/* between answer and next request */
	int64_t		stall_ms;	/* no byte of a body came, none of an
					 * answer was taken */
	int64_t		body_ms;	/* for all of a body, or an answer */
};

/* A request; everything is borrowed, for the time of the call. */
struct apw_httpd_request {
	struct apw_str	method;		/* as sent */
	bool		reads;		/* GET or HEAD: the server leaves the
					 * body of an answer to HEAD away */
	struct apw_str	path;		/* percent-decoded, starts with '/' */
	struct apw_str	query;		/* as sent, behind '?' */
	int64_t		body_bytes;	/* 0: no body; -1: chunked */
	bool		expects;	/* waits for 100 before its body */
	struct apw_http_head head;
	char		path_text[APW_HTTPD_PATH_MAX];
};

struct apw_httpd_answer {
	int		 status;	/* 404 when nothing is done */
	const char	*type;		/* NULL: no Content-Type */
	const char	*allow;		/* with 405 */
	struct apw_buf	 body;		/* given to the server */
	int		 fd;		/* -1, or given to the server: its
					 * first fd_bytes are the body */
	uint64_t	 fd_bytes;
	bool		 close;		/* the connection ends with it */
	/* by on_request only */
	bool		 known;		/* whoever asks is no stranger */
	void		*upload;	/* not NULL: the body is wanted, the
					 * answer comes when it is whole */
};

struct apw_httpd_ops {
	void	(*on_request)(void *arg, const struct apw_httpd_request *,
		    struct apw_httpd_answer *);
	/* The next bytes of a body.  0, or the status to refuse the rest
	 * with: then on_lost follows. */
	int	(*on_body)(void *arg, void *upload, struct apw_str);
	/* One of the two, once: the body is whole, here is its answer; or it
	 * will never be. */
	void	(*on_whole)(void *arg, void *upload,
		    struct apw_httpd_answer *);
	void	(*on_lost)(void *arg, void *upload);
};

struct apw_httpd;

/* The descriptors listen already and do not block; they stay the caller's
 * and must outlive the server.  limits and ops are borrowed. */
struct apw_httpd *apw_httpd_new(struct event_base *, const int *fds,
	    size_t nfds, const struct apw_httpd_limits *,
	    const struct apw_httpd_ops *, void *arg, struct apw_err *);
/* Accept no more; who is idle is closed, the others after their answer; then
 * done(arg), at once when there is nobody. */
void	apw_httpd_drain(struct apw_httpd *, void (*done)(void *), void *arg);
/* Nobody is to be believed any more: connections with a body under way are
 * closed, the others are strangers' again. */
void	apw_httpd_forget(struct apw_httpd *);
void	apw_httpd_free(struct apw_httpd *);	/* NULL is fine */

#endif
