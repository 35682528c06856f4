/* What flows did on the network: a line and a count for each decision, sums
 * for the run.  Room: egress. */
#ifndef APW_EGRESS_ACCOUNT_H
#define APW_EGRESS_ACCOUNT_H

#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_score.h"
#include "dial/dial.h"

/* How a connection was decided; the text is in the log. */
#define APW_EGRESS_VERDICTS(X)						\
	X(ALLOWED,	"allowed")					\
	X(ADDRESS,	"blocked address")				\
	X(PORT,		"blocked port")					\
	X(REQUEST,	"bad request")					\
	X(NAME,		"no address")	/* the name has none */		\
	X(CONNECT,	"no connection")				\
	X(TIME,		"no connection in time")			\
	X(UPSTREAM,	"upstream proxy")	/* it said no */	\
	X(LIMIT,	"limit")	/* connections or bytes */	\
	X(GONE,		"gave up")	/* the client, while we dialled */
#define APW_EGRESS_VERDICT_ENUM(name, text) APW_EGRESS_##name,
enum apw_egress_verdict {
	APW_EGRESS_VERDICTS(APW_EGRESS_VERDICT_ENUM) APW_EGRESS_NVERDICTS
};

const char *apw_egress_verdict_name(enum apw_egress_verdict);
/* What the end of a dial is called here. */
enum apw_egress_verdict
	apw_egress_verdict_of(enum apw_dial_end);

/* Sums of a run.  Sent and received as the engine sees it, bodies and
 * tunnels without the heads. */
struct apw_egress_account {
	uint64_t	allowed;
	uint64_t	blocked;	/* by address, port or limit */
	uint64_t	failed;		/* the rest */
	uint64_t	sent_bytes, received_bytes;
};

/* {"allowed":1,"blocked":0,"failed":0,"sentBytes":12,"receivedBytes":34} */
void	apw_egress_account_json(const struct apw_egress_account *,
	    struct apw_buf *);

/* One decision, at the end of its connection. */
struct apw_egress_record {
	const char		*run;		/* or NULL */
	const char		*method;	/* "CONNECT", "GET"; or NULL */
	const char		*host;		/* as asked for; or NULL */
	uint16_t		 port;
	const char		*address;	/* connected, or refused; or NULL */
	enum apw_egress_verdict	 verdict;
	const char		*why;		/* "private", "refused"; or NULL */
	uint64_t		 sent_bytes, received_bytes;
	int64_t			 ms;
};

/* The books of one proxy: the run in hand, and the slot's scoreboard. */
struct apw_egress_books {
	struct apw_egress_account account;
	struct apw_score_slot	*score;		/* borrowed; NULL: none */
	unsigned		 lines;		/* logged in this run */
	unsigned		 unlogged;
};

/* Counts it and logs it; after APW_EGRESS_LINES lines of one run the rest is
 * only counted, and summed up at its end. */
#define APW_EGRESS_LINES	500
void	apw_egress_books_enter(struct apw_egress_books *,
	    const struct apw_egress_record *);
/* The sums so far; they start at zero again. */
void	apw_egress_books_close(struct apw_egress_books *, const char *run,
	    struct apw_egress_account *);

#endif
