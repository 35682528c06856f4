/* The command line and environment of an engine, composed name by name. */
#ifndef APW_SLOT_COMMAND_H
#define APW_SLOT_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_arena.h"
#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "modules/sandbox/sandbox.h"
#include "slot/settings.h"

#define APW_COMMAND_ARGV_MAX	8
#define APW_COMMAND_ENV_MAX	320

/* Which connections our script leads through the slot's proxy, because the
 * engine does not know it. */
enum apw_command_lead {
	APW_COMMAND_LEAD_NONE,
	APW_COMMAND_LEAD_APP,		/* those to the app's API */
	APW_COMMAND_LEAD_ALL,
};

struct apw_command_in {			/* all borrowed */
	const struct apw_cycle		*cycle;
	const struct apw_settings	*settings;
	const struct apw_sandbox_ops	*sandbox;
	const void			*sandbox_conf;
	const char			*bundle;	/* main.js in the stock */
	const char			*codes;		/* code steps in the stock */
	const char			*ahead;		/* to be loaded before there
							 * is a job; NULL */
	const char			*rules;		/* of its proxy; only in
							 * the fingerprint */
	enum apw_command_lead		 lead;		/* through that proxy */
	bool				 children;	/* it runs pieces in them;
							 * its box has room
							 * for two limits */
	const char			*app;		/* "HOST:PORT" of the app's
							 * API; "" */
	/* of one start; NULL for the fingerprint */
	const char			*sandbox_id;
	const char			*token;
	unsigned			 port;		/* of the link */
	unsigned			 proxy_port;	/* strict */
};

struct apw_command {			/* texts are in the arena given */
	const char	*argv[APW_COMMAND_ARGV_MAX];
	const char	*envp[APW_COMMAND_ENV_MAX];
	size_t		 nenv;
};

/* Names the app wants propagated are taken from our environment, except
 * those that would change what the daemon decides (NODE_*, SANDBOX_ID, the
 * AP_* that engines have from us).  -1 when a name or value cannot be passed safely. */
int	apw_command_make(struct apw_arena *, const struct apw_command_in *,
	    struct apw_command *, struct apw_err *);

/* Of everything but what belongs to one start: when it changes, a warm
 * engine is stale. */
uint64_t apw_command_fingerprint(const struct apw_command_in *);

/* May the app's settings propagate this name? */
bool	apw_command_may_propagate(const char *name);

#endif
