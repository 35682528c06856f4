/* Locals that clean up after themselves; handing over is visible. */
#ifndef APW_AUTO_H
#define APW_AUTO_H

#include <stdlib.h>
#include <unistd.h>

static inline void
apw_autofd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
apw_autofree_free(void *p)
{
	free(*(void **)p);
}

/* Use: apw_autofd int fd = -1;  apw_autofree char *s = NULL; */
#define apw_autofd	__attribute__((cleanup(apw_autofd_close)))
#define apw_autofree	__attribute__((cleanup(apw_autofree_free)))

/* Give the descriptor away: the local forgets it. */
static inline int
apw_take_fd(int *fd)
{
	int	taken = *fd;

	*fd = -1;
	return taken;
}

#define APW_COUNT(a)	(sizeof(a) / sizeof((a)[0]))

#endif
