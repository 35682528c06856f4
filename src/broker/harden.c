/* Hardening without a box; see harden.h.  Room: broker, used by slots. */
#include "broker/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/landlock.h"
#include "core/apw_auto.h"

/* What a dynamically linked program, and node, look at. */
static const char *const harden_reads[] = {
	"/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/proc",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies",
	"/etc/alternatives", "/etc/localtime", "/etc/timezone",
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf",
	"/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
	"/etc/passwd", "/etc/group", "/etc/os-release",
	"/run/systemd/resolve", "/run/resolvconf",
	"/sys/devices/system/cpu", "/sys/fs/cgroup", NULL
};
static const char *const harden_devices[] = {
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
	NULL
};

/* Compiled once a process: it is the same for all. */
static struct sock_fprog	harden_filter;
static bool			harden_slot_on;

static int
harden_compile(struct apw_err *err)
{
	return harden_filter.filter != NULL ? 0 :
	    filter_compile(FILTER_ALONE, &harden_filter, err);
}

int
apw_harden_grade(void)
{
	int	abi = landlock_abi();

	if (harden_compile(NULL) == -1)
		return 0;
	return abi >= LANDLOCK_ABI_SCOPE ? 3 : abi > 0 ? 2 : 1;
}

int
apw_harden_slot(struct apw_err *err)
{
	struct sock_fprog	prog;
	int			rc;

	if (harden_slot_on)
		return 0;
	if (filter_compile(FILTER_SLOT, &prog, err) == -1)
		return -1;
	rc = filter_install(&prog);
	if (rc == -1)
		apw_err_set(err, errno, "cannot install the slot's syscall "
		    "filter");
	free(prog.filter);
	harden_slot_on = rc == 0;
	return rc;
}

bool
apw_harden_slot_is_on(void)
{
	return harden_slot_on;
}

static void
harden_allow(int ruleset_fd, const char *const *paths, uint64_t access)
{
	for (; paths != NULL && *paths != NULL; paths++)
		landlock_allow(ruleset_fd, *paths, access);
}

int
apw_harden_prepare(const struct apw_harden_conf *conf, struct apw_harden *h,
    struct apw_err *err)
{
	int	abi = landlock_abi();

	h->ruleset_fd = -1;
	h->filter = harden_compile(err) == 0;
	if (!h->filter)
		return -1;
	if (abi == 0)
		return 0;
	h->ruleset_fd = landlock_files(abi);
	if (h->ruleset_fd == -1)
		return apw_err_set(err, errno, "cannot make Landlock rules");
	harden_allow(h->ruleset_fd, harden_reads, LANDLOCK_READ);
	harden_allow(h->ruleset_fd, harden_devices, LANDLOCK_DEVICE);
	harden_allow(h->ruleset_fd, conf->reads, LANDLOCK_READ);
	harden_allow(h->ruleset_fd, conf->writes, LANDLOCK_ALL);
	return 0;
}

int
apw_harden_enter(const struct apw_harden *h)
{
	if (h->ruleset_fd != -1 && landlock_enter(h->ruleset_fd) == -1)
		return -1;
	return h->filter ? filter_install(&harden_filter) : 0;
}

void
apw_harden_close(struct apw_harden *h)
{
	if (h->ruleset_fd != -1)
		close(h->ruleset_fd);
	h->ruleset_fd = -1;
}
