/* Sockets of the host that root alone may open; see doctor.h.  Room: broker.
 *
 * No rule of the kernel's keeps an engine that is root from them: Landlock
 * does not know connect() to a path.  Where the daemon runs as root without
 * "user", plain engines are root; so it is said. */
#include "broker/doctor.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_module.h"
#include "modules/sandbox/sandbox.h"

#define SOCKETS_LINES	8192	/* of /proc/net/unix; enough to say so */

/* Of a container engine: who opens it is root of the host. */
static bool
sockets_is_engine(const char *path)
{
	static const char *const	names[] = { "docker", "containerd",
					    "podman", "crio", "buildkit",
					    "cri-dockerd", "lxd", "incus" };
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strstr(path, names[i]) != NULL)
			return true;
	return false;
}

/* One that listens, and that not everybody may open. */
static bool
sockets_is_closed(const char *line, char path[108])
{
	unsigned	flags;
	struct stat	st;

	/* "Num RefCount Protocol Flags Type St Inode Path" */
	return sscanf(line, "%*s %*s %*s %x %*s %*s %*s %107[^\n]", &flags,
	    path) == 2 && path[0] == '/' && (flags & 0x10000) != 0 &&
	    stat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    (st.st_mode & S_IWOTH) == 0;
}

unsigned
apw_sockets_of_root(char *text, size_t size)
{
	char		 line[512], path[108], name[108] = "";
	bool		 engine = false;
	unsigned	 n = 0, lines = 0;
	FILE		*f = fopen("/proc/net/unix", "re");

	while (f != NULL && lines++ < SOCKETS_LINES &&
	    fgets(line, sizeof(line), f) != NULL) {
		if (!sockets_is_closed(line, path))
			continue;
		/* the worst is named */
		if (n++ == 0 || (!engine && sockets_is_engine(path)))
			snprintf(name, sizeof(name), "%s", path);
		engine = engine || sockets_is_engine(path);
	}
	if (f != NULL)
		fclose(f);
	snprintf(text, size, "%s%s%s", name, engine ?
	    " (a container engine's: root of this host)" : "",
	    n > 1 ? " and others" : "");
	return n;
}

void
apw_sockets_check(const struct apw_cycle *c, FILE *out)
{
	char	text[256];

	if (geteuid() != 0 || c->main.user != NULL || (c->sandbox != NULL &&
	    c->sandbox->ops.sandbox->boxed) ||
	    apw_sockets_of_root(text, sizeof(text)) == 0)
		return;
	fprintf(out, "apworkerd: warning: engines of UNSANDBOXED and "
	    "SANDBOX_CODE_ONLY are root here, \"harden\" or not, and can open "
	    "root's sockets: %s; say \"user NAME\", or use a process mode\n",
	    text);
}
