/* Who refused, and what would change its mind.  Room: broker.  The kernel
 * says only EPERM: the usual suspects are asked one by one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/probe.h"
#include "core/apw_auto.h"

#define CONTAINER	"in a container run it with contrib/docker/"	\
			"seccomp.json (docker --security-opt seccomp=FILE; "	\
			"Kubernetes seccompProfile: {type: Localhost})"

static long
remedy_number(const char *path)
{
	char		text[32];
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t		n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* A sysctl that stands in the way, or NULL. */
static const char *
remedy_sysctl(void)
{
	static const struct {
		const char	*path;
		long		 bad;
		const char	*text;
	} suspects[] = {
		{ "/proc/sys/user/max_user_namespaces", 0,
		    "sysctl user.max_user_namespaces=10000" },
		{ "/proc/sys/kernel/unprivileged_userns_clone", 0,
		    "sysctl kernel.unprivileged_userns_clone=1" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
		    "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or "
		    "an AppArmor profile for apworkerd with \"userns,\"" },
	};
	size_t	i;

	for (i = 0; i < APW_COUNT(suspects); i++)
		if (remedy_number(suspects[i].path) == suspects[i].bad)
			return suspects[i].text;
	return NULL;
}

void
probe_remedy(enum probe p, int error, char *text, size_t size)
{
	const char	*sysctl = remedy_sysctl(), *say = "";

	switch (p) {
	case PROBE_USER:
	case PROBE_CLONE3:
		if (error == ENOSYS)
			say = "the call is filtered or the kernel is older "
			    "than 5.3: " CONTAINER;
		else
			say = sysctl != NULL ? sysctl : "a syscall filter "
			    "refuses it: " CONTAINER;
		break;
	case PROBE_MOUNT:
	case PROBE_PIVOT:
		say = error == ENOSYS ? "kernel 5.12 or later, and " CONTAINER :
		    sysctl != NULL ? sysctl : CONTAINER "; if AppArmor's "
		    "docker-default is in force, it denies mount: "
		    "--security-opt apparmor=unconfined or a profile with "
		    "\"mount,\" and \"pivot_root,\"";
		break;
	case PROBE_PROC:
		say = sysctl != NULL ? sysctl : "the container's /proc is "
		    "masked: docker --security-opt systempaths=unconfined; "
		    "Kubernetes procMount: Unmasked (with hostUsers: false)";
		break;
	case PROBE_NET:
		say = sysctl != NULL ? sysctl : CONTAINER;
		break;
	case PROBE_COUNTS:
		say = error == EROFS || error == EACCES ? "boxes share what "
		    "is counted per user (inotify), as /proc/sys cannot be "
		    "written: docker --security-opt systempaths=unconfined; "
		    "Kubernetes procMount: Unmasked" :
		    sysctl != NULL ? sysctl : CONTAINER;
		break;
	case PROBE_SECCOMP:
		say = "a kernel with CONFIG_SECCOMP_FILTER";
		break;
	default:
		say = "kernel 5.3 or later";
		break;
	}
	snprintf(text, size, "%s", say);
}
