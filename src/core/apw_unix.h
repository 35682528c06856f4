/* Addresses of socket files, and the one by which apworkerctl finds its
 * daemon. */
#ifndef APW_UNIX_H
#define APW_UNIX_H

#include <sys/socket.h>
#include <sys/un.h>

#include "core/apw_err.h"

#define APW_UNIX_PREFIX		"unix:"
/* Below the directory "state"; always there while a daemon runs. */
#define APW_CONTROL_SOCKET	"control.sock"

/* The path behind "unix:"; NULL: it is another kind of name. */
const char *apw_unix_path(const char *name);

/* The address of a socket file, for bind(2) and connect(2).  A path that is
 * too long for one is reached by its folder: *dir_fd is that, or -1; the
 * caller closes it when the address has been used. */
int	apw_unix_address(const char *path, struct sockaddr_un *,
	    int *dir_fd, struct apw_err *);

#endif
