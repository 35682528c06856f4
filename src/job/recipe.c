/* Remembering recipes; see recipe.h.  Room: job.
 *
 * A short list, the last used first; what falls off its end is freed.  It
 * saves a warm job all reading of files and texts that do not change. */
#include "job/recipe.h"

#include <stdlib.h>
#include <string.h>

#define RECIPES_MAX		16
#define RECIPES_BYTES		(4 * 1024 * 1024)
#define RECIPE_BYTES		(1024 * 1024)

struct apw_recipes {
	struct apw_recipe	*first;		/* owned, a list */
};

static void
recipe_free(struct apw_recipe *r)
{
	apw_buf_free(&r->flow_version);
	apw_arena_free(r->arena);		/* r is in it */
}

struct apw_recipes *
apw_recipes_new(void)
{
	return calloc(1, sizeof(struct apw_recipes));
}

void
apw_recipes_forget(struct apw_recipes *rs)
{
	struct apw_recipe	*r;

	while ((r = rs->first) != NULL) {
		rs->first = r->next;
		recipe_free(r);
	}
}

void
apw_recipes_free(struct apw_recipes *rs)
{
	if (rs == NULL)
		return;
	apw_recipes_forget(rs);
	free(rs);
}

static bool
recipe_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static struct apw_recipe *
recipe_new(const char *flow_version_id, const char *platform_id)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_recipe	*r;

	if (arena == NULL)
		return NULL;
	r = apw_arena_alloc(arena, sizeof(*r));
	if (r == NULL) {
		apw_arena_free(arena);
		return NULL;
	}
	r->arena = arena;
	if ((flow_version_id != NULL && (r->flow_version_id =
	    apw_arena_strdup(arena, flow_version_id)) == NULL) ||
	    (platform_id != NULL && (r->platform_id =
	    apw_arena_strdup(arena, platform_id)) == NULL)) {
		apw_arena_free(arena);
		return NULL;
	}
	return r;
}

struct apw_recipe *
apw_recipes_take(struct apw_recipes *rs, const char *flow_version_id,
    const char *platform_id)
{
	struct apw_recipe	**at, *r;

	for (at = &rs->first; flow_version_id != NULL && (r = *at) != NULL;
	    at = &r->next)
		if (recipe_same(r->flow_version_id, flow_version_id) &&
		    recipe_same(r->platform_id, platform_id)) {
			*at = r->next;
			return r;
		}
	return recipe_new(flow_version_id, platform_id);
}

void
apw_recipes_give(struct apw_recipes *rs, struct apw_recipe *r)
{
	struct apw_recipe	**at, *old;
	size_t			 n = 0, bytes = 0;

	if (r == NULL)
		return;
	if (!r->complete || !r->fixed || r->flow_version_id == NULL ||
	    r->flow_version.len > RECIPE_BYTES) {
		recipe_free(r);
		return;
	}
	r->next = rs->first;
	rs->first = r;
	for (at = &rs->first; (old = *at) != NULL;) {
		bytes += 2 * old->flow_version.cap;	/* text and decoded code */
		if (++n <= RECIPES_MAX && bytes <= RECIPES_BYTES) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		recipe_free(old);
	}
}
