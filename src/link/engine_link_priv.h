/* Engine link: what its files share.  Room: link. */
#ifndef APW_LINK_ENGINE_LINK_PRIV_H
#define APW_LINK_ENGINE_LINK_PRIV_H

#include "core/apw_buf.h"
#include "link/engine_link.h"
#include "link/sio_server.h"

#define ENGINE_LINK_MAGIC	0x454c4e31	/* ELN1 */

#define ENGINE_CALLS_MAX	256
#define ENGINE_SANDBOX_ID_BYTES	128

struct engine_dialect {
	const char	*name;
	bool		 token;		/* connectionToken is checked */
	bool		 no_proxy;	/* reports by HTTP, knows none */
	struct apw_engine_form form;
	bool		 commands;	/* "command" and "engine-operation"
					   instead of "rpc" */
};

enum engine_command_kind {
	ENGINE_COMMAND_OUTPUT,
	ENGINE_COMMAND_RESULT,
	ENGINE_COMMAND_CALL
};

struct engine_command {
	const char	*name;
	enum engine_command_kind kind;
	const char	*method;
};

/* a call of the engine that was not answered yet */
struct engine_call {
	uint32_t	 handle;	/* 0: free */
	uint64_t	 id;		/* of the acknowledgement */
	size_t		 bytes;
	int64_t		 deadline_ms;
};

struct apw_engine_link {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct apw_engine_link_conf conf;	/* strings not kept */
	const struct engine_dialect *dialect;
	struct apw_engine_link_events ev;
	void			*arg;		/* borrowed */
	struct apw_sio_server	*sio;		/* owned */
	uint16_t		 port;
	bool			 expecting;	/* a start was prepared */
	bool			 due;		/* and the engine started */
	bool			 shared;	/* where others can connect, too */
	struct apw_peer_who	 who;
	char			 sandbox_id[ENGINE_SANDBOX_ID_BYTES];
	char			 token[APW_ENGINE_LINK_TOKEN_BYTES];
	struct apw_sio_socket	*sock;		/* the admitted one; borrowed */
	bool			 busy;		/* an operation is in hand */
	uint64_t		 operation_id;	/* of its acknowledgement */
	uint64_t		 next_id;
	uint32_t		 next_handle;
	struct engine_call	 calls[ENGINE_CALLS_MAX];
	unsigned		 ncalls;
	size_t			 call_bytes;
	uint64_t		 nrefused;	/* beyond the bounds, in this
						   operation */
	struct event		*timer;		/* owned: oldest call */
	struct apw_buf		 scratch;	/* console text, errors */
	bool			 dead;
};

const struct engine_dialect *
	engine_dialect_get(enum apw_engine_dialect);
/* NULL: no such command */
const struct engine_command *
	engine_command_find(struct apw_str name);

/* engine_call.c: calls in flight */
void	engine_call_begin(struct apw_engine_link *, struct apw_str method,
	    struct apw_str payload, uint64_t id, size_t bytes);
/* answer a call that never began with an error */
void	engine_call_refuse(struct apw_engine_link *, uint64_t id,
	    const char *text);
/* the operation is over: say how many calls were refused */
void	engine_call_settle(struct apw_engine_link *);
void	engine_call_drop_all(struct apw_engine_link *);
int	engine_call_init(struct apw_engine_link *);

/* engine_talk.c: what the admitted engine says */
void	engine_talk_event(struct apw_engine_link *,
	    const struct apw_sio_packet *);
void	engine_talk_ack(struct apw_engine_link *,
	    const struct apw_sio_packet *);

#endif
