/* Walking a flow version: which pieces and code steps does it need? */
#ifndef APW_JOB_WALK_H
#define APW_JOB_WALK_H

#include "core/apw_arena.h"
#include "core/apw_err.h"
#include "core/apw_str.h"
#include "stock/stock.h"

#define APW_WALK_STEPS_MAX	10000

struct apw_walk_piece {
	const char	*name, *version;	/* decoded, in the arena */
	const char	*step;		/* the first that names it; NULL: it has
					   no name */
	const char	*title;		/* what people call that; or NULL */
	bool		 of_agent;		/* only a tool of an agent */
};

struct apw_walk {			/* arrays are in the arena */
	struct apw_str		 id;		/* raw members of the version */
	struct apw_str		 state;
	struct apw_walk_piece	*pieces;	/* no two alike, first use first;
						 * those of agents last */
	size_t			 npieces;
	struct apw_stock_code	*codes;
	size_t			 ncodes;
	size_t			 steps;
};

/* The text is the checked raw FlowVersion.  -1: not a flow version, a step
 * that cannot be (a code step's name that is no identifier, a piece without
 * name), or too many steps. */
int	apw_walk(struct apw_arena *, struct apw_str flow_version,
	    struct apw_walk *, struct apw_err *);
/* The same for one step that is run for itself (a checked raw object): its
 * code, if it is a code step, and nothing else. */
int	apw_walk_alone(struct apw_arena *, struct apw_str step,
	    struct apw_walk *, struct apw_err *);

#endif
