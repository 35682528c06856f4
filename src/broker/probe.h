/* What this host lets us do: each capability is tried for real, in a child
 * of its own, and named with the way out when it is refused. */
#ifndef APW_BROKER_PROBE_H
#define APW_BROKER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_TEXT	512

struct probe_result {
	bool	ok;
	char	text[PROBE_TEXT];	/* what was found, or refused */
	char	remedy[PROBE_TEXT];	/* "" when ok or unknown */
};

/* What it is, the function that tries it (in a child: 0, or -1 with errno). */
#define PROBES(X)							\
	X(USER, user, "user namespaces")				\
	X(CLONE3, clone3, "clone3 with all namespaces")			\
	X(MOUNT, mount, "mount API")					\
	X(PIVOT, pivot, "pivot_root")					\
	X(PROC, proc, "a /proc of its own")				\
	X(NET, net, "network namespaces")				\
	X(COUNTS, counts, "counts of its own")				\
	X(SECCOMP, seccomp, "syscall filters")				\
	X(PIDFD, pidfd, "pidfd")
#define PROBE_ENUM(upper, lower, text)	PROBE_##upper,

enum probe { PROBES(PROBE_ENUM) PROBE_COUNT };

/* probe.c */
const char *probe_name(enum probe);
void	probe_run(enum probe, struct probe_result *);

/* probe_try.c: the operations, each in a fresh child */
#define PROBE_TRY(upper, lower, text)	int probe_try_##lower(void);
PROBES(PROBE_TRY)

/* probe_remedy.c: why it was refused, most likely, and what to do */
void	probe_remedy(enum probe, int error, char *text, size_t size);

#endif
