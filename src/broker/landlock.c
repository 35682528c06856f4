/* Landlock's three system calls; see landlock.h.  Room: broker. */
#include "broker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_add_rule		445
#define SYS_landlock_restrict_self	446
#endif
#define LANDLOCK_VERSION		(1U << 0)
#define LANDLOCK_PATH			1
#define LANDLOCK_PORT			2
#define LANDLOCK_BIND_TCP		(1ULL << 0)
#define LANDLOCK_CONNECT_TCP		(1ULL << 1)
#define LANDLOCK_SCOPE_ABSTRACT		(1ULL << 0)
#define LANDLOCK_SCOPE_SIGNALS		(1ULL << 1)

struct landlock_ruleset {
	uint64_t	fs, net, scoped;
};

struct landlock_path {
	uint64_t	access;
	int32_t		parent_fd;
} __attribute__((packed));

struct landlock_port {
	uint64_t	access;
	uint64_t	port;
};

int
landlock_abi(void)
{
	long	abi = syscall(SYS_landlock_create_ruleset, NULL, 0UL,
		    LANDLOCK_VERSION);

	return abi > 0 ? (int)abi : 0;
}

/* Older kernels want the structure as short as they know it. */
static int
landlock_create(int abi, uint64_t fs)
{
	struct landlock_ruleset	r = { .fs = fs };
	size_t			size = sizeof(r.fs);

	if (abi >= LANDLOCK_ABI_SCOPE) {
		r.scoped = LANDLOCK_SCOPE_ABSTRACT | LANDLOCK_SCOPE_SIGNALS;
		size = sizeof(r);
	}
	return (int)syscall(SYS_landlock_create_ruleset, &r, size, 0U);
}

int
landlock_scope(void)
{
	return landlock_create(LANDLOCK_ABI_SCOPE, 0);
}

int
landlock_files(int abi)
{
	uint64_t	fs = LANDLOCK_V1;

	if (abi >= 2)
		fs |= LANDLOCK_REFER;
	if (abi >= 3)
		fs |= LANDLOCK_TRUNCATE;
	return landlock_create(abi, fs);
}

int
landlock_network(void)
{
	struct landlock_ruleset	r = {
		.net = LANDLOCK_BIND_TCP | LANDLOCK_CONNECT_TCP,
		.scoped = LANDLOCK_SCOPE_ABSTRACT | LANDLOCK_SCOPE_SIGNALS,
	};

	return (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0U);
}

int
landlock_allow_connect(int ruleset_fd, unsigned port)
{
	struct landlock_port	rule = { LANDLOCK_CONNECT_TCP, port };

	return (int)syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_PORT,
	    &rule, 0U);
}

void
landlock_allow(int ruleset_fd, const char *path, uint64_t access)
{
	static const uint64_t	of_files = LANDLOCK_EXECUTE |
				    LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE |
				    LANDLOCK_TRUNCATE;
	struct landlock_path	rule = { .access = access };
	apw_autofd int		fd = open(path, O_PATH | O_CLOEXEC);
	int			abi = landlock_abi();
	struct stat		st;

	if (fd == -1 || fstat(fd, &st) == -1)
		return;
	if (!S_ISDIR(st.st_mode))
		rule.access &= of_files;
	if (abi < 2)
		rule.access &= ~LANDLOCK_REFER;
	if (abi < 3)
		rule.access &= ~LANDLOCK_TRUNCATE;
	rule.parent_fd = fd;
	syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_PATH, &rule, 0U);
}

int
landlock_enter(int ruleset_fd)
{
	return (int)syscall(SYS_landlock_restrict_self, ruleset_fd, 0U);
}
