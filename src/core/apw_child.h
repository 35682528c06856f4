/* Which children this process made itself, and what each of them begins with.  A slot is a child subreaper:
 * orphans of an engine become its children too, and are killed after the
 * engine's end; what is named here is spared and reaped by its maker. */
#ifndef APW_CHILD_H
#define APW_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define APW_CHILDREN_MAX	256

/* Right after fork, before anything else runs on the loop; -1 when the table
 * is full: then end the child. */
int	apw_child_own(pid_t);
/* When it has been reaped. */
void	apw_child_disown(pid_t);
bool	apw_child_owned(pid_t);

/* In a child of ours, before it becomes another program: every signal does
 * what it does by default, none is blocked. */
void	apw_child_signals(void);
/* Closes all descriptors but 0 to 2 and those named, in any order; -1 among
 * them is none.  Sorts the list. */
void	apw_child_close_others(int *keep, size_t n);

#endif
