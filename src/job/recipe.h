/* A recipe: what one flow version needs, worked out once and remembered for
 * its next runs.  Only versions that never change, and pieces whose meaning
 * never changes, are remembered. */
#ifndef APW_JOB_RECIPE_H
#define APW_JOB_RECIPE_H

#include <stdbool.h>

#include "core/apw_arena.h"
#include "core/apw_buf.h"
#include "job/walk.h"

struct apw_recipe_piece {		/* one that the flow uses */
	const char	*name, *version;	/* as the flow says */
	const char	*step;			/* that names it first; NULL: none */
	const char	*title;			/* of the step; or NULL */
	struct apw_str	 package;		/* raw PiecePackage */
	struct apw_stock_piece order;
	bool		 ordered;		/* false: a dev piece, not installed */
};

struct apw_recipe {			/* pointers are into the arena */
	struct apw_recipe	*next;
	struct apw_arena	*arena;		/* owned */
	const char		*flow_version_id;	/* NULL: of no flow */
	const char		*platform_id;
	struct apw_buf		 flow_version;	/* owned; raw text */
	struct apw_walk		 walk;
	struct apw_recipe_piece	*pieces;
	size_t			 npieces;
	bool			 fixed;		/* may be remembered */
	bool			 complete;	/* all of the above is known */
	bool			 stocked;	/* and was in the stock once */
};

struct apw_recipes;

struct apw_recipes *apw_recipes_new(void);	/* NULL: out of memory */
void	apw_recipes_free(struct apw_recipes *);
/* They depend on the app's settings: forget them when those change. */
void	apw_recipes_forget(struct apw_recipes *);

/* The remembered one, or a fresh one that is not complete.  It is the
 * caller's until it is given back.  NULL: out of memory. */
struct apw_recipe *apw_recipes_take(struct apw_recipes *,
	    const char *flow_version_id, const char *platform_id);
/* Remember it, if it is complete and fixed and not too large; else free it. */
void	apw_recipes_give(struct apw_recipes *, struct apw_recipe *);

#endif
