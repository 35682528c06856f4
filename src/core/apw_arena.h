/* An arena: memory and closers of one lifetime (cycle, job, message). */
#ifndef APW_ARENA_H
#define APW_ARENA_H

#include <stddef.h>

#include "core/apw_str.h"

struct apw_arena;

struct apw_arena *apw_arena_new(void);		/* NULL: out of memory */
/* Runs the closers, last kept first, then frees everything. */
void	 apw_arena_free(struct apw_arena *);
/* Zeroed memory, aligned for any type; NULL: out of memory. */
void	*apw_arena_alloc(struct apw_arena *, size_t);
char	*apw_arena_strdup(struct apw_arena *, const char *);
char	*apw_arena_str(struct apw_arena *, struct apw_str);
char	*apw_arena_printf(struct apw_arena *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* Call close(arg) when the arena ends.  Returns -1 when out of memory (then
 * close was not kept). */
int	 apw_arena_keep(struct apw_arena *, void (*close)(void *), void *arg);

#endif
