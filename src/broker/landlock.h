/* Landlock: what the kernel lets a process give up by itself.  Constants are
 * written out: headers are often older than kernels. */
#ifndef APW_BROKER_LANDLOCK_H
#define APW_BROKER_LANDLOCK_H

#include <stdint.h>

#define LANDLOCK_ABI_SCOPE	6	/* signals and abstract sockets */

/* Rights to files, as the kernel numbers them. */
#define LANDLOCK_EXECUTE	(1ULL << 0)
#define LANDLOCK_WRITE_FILE	(1ULL << 1)
#define LANDLOCK_READ_FILE	(1ULL << 2)
#define LANDLOCK_READ_DIR	(1ULL << 3)
#define LANDLOCK_MAKE_CHAR	(1ULL << 6)
#define LANDLOCK_MAKE_BLOCK	(1ULL << 11)
#define LANDLOCK_V1		((1ULL << 13) - 1)
#define LANDLOCK_REFER		(1ULL << 13)	/* version 2 */
#define LANDLOCK_TRUNCATE	(1ULL << 14)	/* version 3 */

#define LANDLOCK_READ		(LANDLOCK_EXECUTE | LANDLOCK_READ_FILE |	\
				LANDLOCK_READ_DIR)
#define LANDLOCK_DEVICE		(LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE | \
				LANDLOCK_TRUNCATE)
#define LANDLOCK_ALL		((LANDLOCK_V1 | LANDLOCK_REFER |	\
				LANDLOCK_TRUNCATE) &			\
				~(LANDLOCK_MAKE_CHAR | LANDLOCK_MAKE_BLOCK))

int	landlock_abi(void);		/* 0: none */
/* A ruleset that closes abstract sockets and signals off, no more; needs
 * LANDLOCK_ABI_SCOPE: doctor says where the kernel cannot. */
int	landlock_scope(void);
/* A ruleset in which nothing is allowed yet: files, and what landlock_scope()
 * does.  -1 with errno. */
int	landlock_files(int abi);
/* One in which no TCP may connect or be listened on, and what
 * landlock_scope() does; needs LANDLOCK_ABI_SCOPE. */
int	landlock_network(void);
int	landlock_allow_connect(int ruleset_fd, unsigned port);
/* Left out when the path is not there. */
void	landlock_allow(int ruleset_fd, const char *path, uint64_t access);
int	landlock_enter(int ruleset_fd);

#endif
