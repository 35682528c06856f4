/* /etc of a box: our own few files.  Room: broker.  Nothing of the host's
 * but its name servers: no accounts, no keys, no host names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#define ETC_RESOLV_BYTES	4096

static const struct { const char *name, *text; } etc_files[] = {
	{ "passwd",
	    "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
	    "box:x:1000:1000:box:/tmp:/bin/sh\n"
	    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
	{ "group", "root:x:0:\nbox:x:1000:\nnogroup:x:65534:\n" },
	{ "hosts", "127.0.0.1 localhost box\n::1 localhost box\n" },
	{ "hostname", "box\n" },
	{ "nsswitch.conf",
	    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
	    "services: files\nprotocols: files\n" },
	{ "host.conf", "multi on\n" },
};

static int
etc_file(int etc_fd, const char *name, const char *text, size_t n)
{
	apw_autofd int	fd = openat(etc_fd, name, O_WRONLY | O_CREAT | O_EXCL |
			    O_CLOEXEC, 0644);

	return fd != -1 && write(fd, text, n) == (ssize_t)n &&
	    fchmod(fd, 0644) == 0 ? 0 : -1;
}

static int
etc_resolv(int etc_fd)
{
	char		text[ETC_RESOLV_BYTES];
	apw_autofd int	fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	ssize_t		n = fd == -1 ? 0 : read(fd, text, sizeof(text));

	return etc_file(etc_fd, "resolv.conf", text, n > 0 ? (size_t)n : 0);
}

int
etc_write(int root_fd, struct apw_err *err)
{
	apw_autofd int	etc_fd = openat(root_fd, "etc", O_PATH | O_DIRECTORY |
			    O_CLOEXEC);
	size_t		i;

	if (etc_fd == -1)
		return apw_err_set(err, errno, "no /etc for a box");
	for (i = 0; i < APW_COUNT(etc_files); i++)
		if (etc_file(etc_fd, etc_files[i].name, etc_files[i].text,
		    strlen(etc_files[i].text)) == -1)
			return apw_err_set(err, errno, "cannot write a box's "
			    "/etc/%s", etc_files[i].name);
	if (etc_resolv(etc_fd) == -1)
		return apw_err_set(err, errno,
		    "cannot write a box's /etc/resolv.conf");
	return 0;
}
