/* One daemon a state directory; see state.h.  Room: master.  Two would take
 * each other's leases for those of the dead. */
#include "master/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"

/* The descriptor that the master before us left, if it is what it should be. */
static int
state_inherited(const struct stat *want)
{
	const char	*text = getenv(APW_STATE_FD_ENV);
	struct stat	 st;
	char		*end;
	long		 fd;

	if (text == NULL)
		return -1;
	fd = strtol(text, &end, 10);
	unsetenv(APW_STATE_FD_ENV);
	if (*end != '\0' || end == text || fd < 3 || fd > 1 << 20 ||
	    fstat((int)fd, &st) == -1 || st.st_dev != want->st_dev ||
	    st.st_ino != want->st_ino)
		return -1;
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

int
apw_state_lock(const char *path, int *out, bool *taken, struct apw_err *err)
{
	apw_autofd int	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat	st;
	int		was;

	*taken = false;
	if (fd == -1 || fstat(fd, &st) == -1)
		return apw_err_set(err, errno, "cannot open the state "
		    "directory %s", path);
	if ((was = state_inherited(&st)) != -1) {
		*out = was;
		return 0;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		*taken = errno == EWOULDBLOCK;
		return apw_err_set(err, *taken ? 0 : errno, *taken ?
		    "the state directory %s is in use by another apworkerd; "
		    "expected one of its own for each (directive \"state\")" :
		    "cannot lock the state directory %s", path);
	}
	*out = apw_take_fd(&fd);
	return 0;
}
