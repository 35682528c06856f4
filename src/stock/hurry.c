/* Work that nobody waits for gives way to work that somebody waits for.
 * Room: stock, keeper.  Who finds a lock taken touches a file; who works in
 * the background looks at its time now and then, gives up when it is new, and
 * so gives its locks back.  It works between daemons, too. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define HURRY_FILE	".locks/hurry"
#define IOPRIO_IDLE	(3 << 13)
#define IOPRIO_PROCESS	1

static int64_t
called_ns(const struct stock_keeper *k)
{
	struct stat	st;

	if (fstatat(k->stock->root_fd, HURRY_FILE, &st,
	    AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

void
stock_hurry_low(struct stock_keeper *k)
{
	(void)!nice(19);
	syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
	k->background = true;
	k->hurry_ns = called_ns(k);
}

void
stock_hurry_call(struct stock_keeper *k)
{
	apw_autofd int	fd = -1;

	if (k->background)
		return;
	fd = openat(k->stock->root_fd, HURRY_FILE, O_WRONLY | O_CREAT |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd != -1)
		futimens(fd, NULL);
}

bool
stock_hurry_called(struct stock_keeper *k)
{
	if (k->background && called_ns(k) != k->hurry_ns)
		k->cancelled = true;
	return k->background && k->cancelled;
}
