/* Landlock: what the kernel lets a process give up by itself.  Room: broker.
 * The structures are written out: headers are often older than kernels. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_restrict_self	446
#endif
#define LANDLOCK_VERSION		(1U << 0)
#define LANDLOCK_SCOPE_ABSTRACT		(1ULL << 0)
#define LANDLOCK_SCOPE_SIGNALS		(1ULL << 1)
#define LANDLOCK_ABI_SCOPE		6

struct landlock_ruleset {
	uint64_t	fs, net, scoped;
};

int
landlock_abi(void)
{
	long	abi = syscall(SYS_landlock_create_ruleset, NULL, 0UL,
		    LANDLOCK_VERSION);

	return abi > 0 ? (int)abi : 0;
}

/* Abstract sockets belong to the network namespace: where that is the
 * host's, only this keeps a box from the host's.  Nothing to do where the
 * kernel cannot: doctor says so. */
int
landlock_scope(int abi)
{
	struct landlock_ruleset	r = { .scoped = LANDLOCK_SCOPE_ABSTRACT |
				    LANDLOCK_SCOPE_SIGNALS };
	apw_autofd int		fd = -1;

	if (abi < LANDLOCK_ABI_SCOPE)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0U);
	if (fd == -1)
		return -1;
	return (int)syscall(SYS_landlock_restrict_self, fd, 0U);
}
