/*
 * The engine link: a Socket.IO server for the one engine of one slot.
 * Room: link.  Owned by the slot, which gives it events and takes calls.
 *
 * It listens on loopback only, on a port of its own that stays bound for the
 * life of the slot, admits exactly one connection that knows the token of the
 * current start, and carries operations to the engine and its calls back.
 * It never looks inside payloads: they pass as raw JSON text.
 *
 * Callbacks come from the event loop only, never from inside a function the
 * owner calls: what a call finds out (a dead peer, say) is told on the next
 * turn of the loop.  Every text given to a callback is borrowed and valid
 * until the callback returns.  The owner may call anything from a callback,
 * apw_engine_link_reset() and apw_engine_link_free() included.
 */
#ifndef APW_LINK_ENGINE_LINK_H
#define APW_LINK_ENGINE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_peer.h"
#include "core/apw_str.h"

/* Engines of dialect A call back here and nowhere else. */
#define APW_ENGINE_PORT_A	12345

struct event_base;
struct apw_engine_link;

/* bytes of a token: 64 hex digits and a NUL */
#define APW_ENGINE_LINK_TOKEN_BYTES	65

/*
 * How an engine speaks; told from its bundle (apw_engine_dialect_scan()) or
 * by configuration.  B1 carries a token; A and B0 have none and are told
 * apart by their sandbox id alone; B2 is B1 over WebSocket from the start, and
 * reports to the app itself, by HTTP; B3 is B2 with pieces in child processes.
 */
enum apw_engine_dialect {
	APW_ENGINE_DIALECT_A,
	APW_ENGINE_DIALECT_B0,
	APW_ENGINE_DIALECT_B1,
	APW_ENGINE_DIALECT_B2,
	APW_ENGINE_DIALECT_B3
};

/* How operations are written for an engine. */
struct apw_engine_form {
	bool	old_names;	/* serverHandlerId, progressUpdateType */
	bool	plain_payloads;	/* of runs: the value instead of where it is */
	bool	plain_webhooks;	/* the same for what triggers are asked */
	bool	logs_url;	/* logsUploadUrl, if the job has one */
	bool	state;		/* executionState, which later engines load */
	bool	app_events;	/* appWebhookUrl with every trigger operation */
};

/* Zero means "the default in brackets" for every number. */
struct apw_engine_link_conf {
	enum apw_engine_dialect	 dialect;
	bool		 silent;		/* a call that fails is not
						   answered; always so in A */
	bool		 adopts;		/* binds nothing: listens on what
						   it is given for each start,
						   apw_engine_link_adopt() */
	bool		 guarded;		/* nobody is listened to but who is
						   due, apw_engine_link_due() */
	const char	*address;		/* [127.0.0.1], loopback only */
	uint16_t	 port;			/* [ephemeral] */
	const char	*path;			/* [/worker/ws] */
	size_t		 max_payload_bytes;	/* [104857600] one message */
	unsigned	 ping_interval_ms;	/* [25000] */
	unsigned	 ping_timeout_ms;	/* [120000]: user code may keep
						   the engine busy; process
						   exit is the liveness
						   signal */
	unsigned	 connect_timeout_ms;	/* [45000] until the CONNECT */
	unsigned	 call_timeout_ms;	/* [55000] an unanswered call
						   of the engine is failed
						   before its own 60 s end */
	unsigned	 max_calls;		/* [64] calls in flight */
	size_t		 max_call_bytes;	/* [2 x max_payload_bytes] sum of
						   calls in flight */
	size_t		 max_output_bytes;	/* [max_payload_bytes and 4 MiB]
						   unsent bytes held for a peer that
						   does not read */
};

struct apw_engine_link_events {
	/* admitted: token and sandbox id were right */
	void	(*on_ready)(void *arg);
	/*
	 * Somebody was turned away: wrong token, wrong sandbox id, second
	 * connection.  "why" is fit for a log: no secrets in it.  own: the
	 * kernel says that it was the engine that is due, which will not try
	 * again.  The admitted engine, if any, is unharmed.
	 */
	void	(*on_refused)(void *arg, const char *why, bool own);
	/* So many connections of processes that are not the engine's were
	 * closed as they came, in one turn of the loop; may be NULL. */
	void	(*on_strangers)(void *arg, unsigned n);
	/* raw EngineResponse, or {"__rpcError":…} of an engine that could not
	 * run it; exactly once per execute unless lost or reset */
	void	(*on_result)(void *arg, struct apw_str response);
	/*
	 * The engine calls.  Every call is answered exactly once, now or
	 * later, with apw_engine_link_answer(); after on_lost or a reset
	 * answers to old calls are ignored.  "call" is never 0.
	 */
	void	(*on_call)(void *arg, uint32_t call, struct apw_str method,
		    struct apw_str payload);
	/* what the engine's console wrote; fd is 1 or 2; text is UTF-8 */
	void	(*on_output)(void *arg, int fd, struct apw_str text);
	/* the admitted connection ended, and with it the operation in hand */
	void	(*on_lost)(void *arg, const char *reason);
};

/*
 * Binds and listens.  conf and ev are copied (strings too), arg is borrowed.
 * NULL and err set when the address cannot be bound.
 */
struct apw_engine_link *
	apw_engine_link_new(struct event_base *,
	    const struct apw_engine_link_conf *,
	    const struct apw_engine_link_events *, void *arg,
	    struct apw_err *);

/* What the dialect wants operations to look like. */
const struct apw_engine_form *
	 apw_engine_link_form(const struct apw_engine_link *);

/* The bound port, for AP_SANDBOX_WS_PORT; 0 for one that adopts. */
uint16_t apw_engine_link_port(const struct apw_engine_link *);

/*
 * Listen on a descriptor that was made to listen in the engine's own network,
 * where nobody but that engine is, until the next expect or reset.  Takes the
 * descriptor over, and closes it on failure.
 */
int	 apw_engine_link_adopt(struct apw_engine_link *, int fd,
	    struct apw_err *);

/*
 * Prepare for one start of an engine: a fresh 32-byte token as hex in
 * token_hex (for AP_SANDBOX_WS_TOKEN), valid for one admitted connection.
 * Replaces what was expected before; an engine still connected is dropped.
 */
int	 apw_engine_link_expect(struct apw_engine_link *,
	    const char *sandbox_id,
	    char token_hex[APW_ENGINE_LINK_TOKEN_BYTES], struct apw_err *);

/*
 * The engine of the last expect has been started.  who: its process, on the
 * host's loopback, where others can connect as well: what the kernel says is
 * not its connection is closed at once.  NULL: it is in a network of its own.
 * Of a link that is not guarded nobody is asked.
 */
void	 apw_engine_link_due(struct apw_engine_link *,
	    const struct apw_peer_who *who);

/*
 * Send an operation: the concatenated parts are the text of the "operation"
 * object.  -1 when no engine is connected or its end of the connection is
 * closed, one operation is in hand already, or the text is larger than a
 * message may be.
 */
int	 apw_engine_link_execute(struct apw_engine_link *,
	    const char *operation_type, const struct apw_str *parts,
	    size_t nparts, struct apw_err *);

/*
 * Answer a call: error (not NULL) becomes {"__rpcError":…}, else result, or
 * null when result is NULL.  An unknown or outdated call is ignored.
 */
void	 apw_engine_link_answer(struct apw_engine_link *, uint32_t call,
	    const struct apw_str *result, const char *error);

/* True between on_ready and on_lost (or a reset). */
bool	 apw_engine_link_connected(const struct apw_engine_link *);

/*
 * Close the connection, wipe the token, forget the operation and the calls
 * in flight.  No callback follows.  A port of our own stays bound, a listener
 * that was adopted is closed.
 */
void	 apw_engine_link_reset(struct apw_engine_link *);

void	 apw_engine_link_free(struct apw_engine_link *);

/*
 * Look into a bundle (main.js) for the words that tell its dialect; B1 stands
 * for B2 as well, the link treats them alike.  -1: it cannot be read, or does
 * not look like an engine.  Reads the file: once a start, not once a job.
 */
int	 apw_engine_dialect_scan(const char *path, enum apw_engine_dialect *,
	    struct apw_err *);

/* Does it know the proxy of AP_EGRESS_PROXY_URL?  Later ones have to be led
 * there. */
bool	 apw_engine_dialect_knows_proxy(enum apw_engine_dialect);

/* "A", "B0", "B1", "B2", "B3"; dialect of such a name, -1 when there is none. */
const char *apw_engine_dialect_name(enum apw_engine_dialect);
int	 apw_engine_dialect_parse(const char *name, enum apw_engine_dialect *);

#endif
