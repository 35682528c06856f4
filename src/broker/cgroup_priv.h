/* The control group's inside, shared by the files of that name. */
#ifndef APW_BROKER_CGROUP_PRIV_H
#define APW_BROKER_CGROUP_PRIV_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"

#define CGROUP_NAMES(X)	X(MEMORY, memory) X(PIDS, pids) X(CPU, cpu)
#define CGROUP_ENUM(upper, lower)	CGROUP_##upper,
#define CGROUP_NAME(upper, lower)	#lower,

enum cgroup_name { CGROUP_NAMES(CGROUP_ENUM) CGROUP_NNAMES };
extern const char *const cgroup_names[];

#define CGROUP_PREFIX	"apworkerd-box."
#define CGROUP_HOME	"apworkerd"	/* where the daemon itself is */
#define CGROUP_RMDIR_MS	500	/* until a group is empty of what was killed */

/* Counters that are evidence, see cgroup_count.c. */
enum cgroup_count_file { CGROUP_COUNT_OOM, CGROUP_COUNT_PIDS,
	CGROUP_COUNT_PEAK, CGROUP_COUNT_TIME, CGROUP_NCOUNTS };

struct cgroup {
	int		version;		/* 1 or 2 */
	char		name[64];		/* of our folder */
	char		own[PATH_MAX];		/* v2: where we were before */
	int		dir_fd[CGROUP_NNAMES];	/* ours; -1: not held */
	int		up_fd[CGROUP_NNAMES];	/* its parent */
	int		back_fd;		/* v2: of `own` */
	int		count_fd[CGROUP_NCOUNTS];	/* -1: not there */
	const struct apw_box_limits *limits;	/* that are set; NULL: none yet */
	uint64_t	memory_bytes;
	bool		yields;
	struct apw_box_end mark;		/* counters at the box's start */
	bool		counted;		/* that is of the last one's end */
};

/* The folder this process is in, of one v1 controller, or of v2. */
int	cgroup_find_v1(const char *controller, char *path, size_t size);
int	cgroup_find_v2(char *path, size_t size);
/* Is it one of the words of the text? */
bool	cgroup_word(const char *text, const char *word);
/* The same from the two files' text, for tests. */
int	cgroup_find(const char *mountinfo, const char *groups,
	    const char *controller, char *path, size_t size);

/* v2: may its controllers be handed down by us? */
bool	cgroup_delegated(const char *path);
/* All that we use, as far as there are; or take them back. */
void	cgroup_hand_down(int fd, bool down);

int	cgroup_read(int dir_fd, const char *file, char *text, size_t size);
int	cgroup_write(int dir_fd, const char *file, const char *text);
uint64_t cgroup_keyed(const char *text, const char *key);
void	cgroup_count_open(struct cgroup *);
void	cgroup_count_close(struct cgroup *);
void	cgroup_leave(struct cgroup *);

/* One broker at a time makes or sweeps below a folder: a folder that is there
 * and not locked yet would be taken for a leftover.  Whoever holds this for
 * long is no broker, and is not waited for: false, sweep nothing then. */
bool	cgroup_turn(int up_fd);
/* Remove the leftovers; kills what is in them. */
void	cgroup_sweep(int parent_fd);

#endif
