/* Capabilities, by libcap-ng: what a broker keeps and what a box loses.
 * Room: broker. */
#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"
#include "core/apw_auto.h"

static unsigned long	caps_all;

bool
caps_have_admin(void)
{
	return capng_get_caps_process() == 0 &&
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) == 1;
}

/* As root: mounting and entering namespaces, giving boxes their uids, ending
 * them, and reaching a stock and control groups of another user.  A
 * container's root may have a part of it only. */
int
caps_broker(void)
{
	static const unsigned	wanted[] = { CAP_SYS_ADMIN, CAP_SYS_CHROOT,
				    CAP_SETUID, CAP_SETGID, CAP_SETPCAP,
				    CAP_KILL, CAP_DAC_READ_SEARCH,
				    CAP_DAC_OVERRIDE, CAP_NET_ADMIN };
	unsigned		keep[APW_COUNT(wanted)];
	size_t			i, n = 0;

	if (capng_get_caps_process() != 0)
		return -1;
	for (i = 0; i < APW_COUNT(wanted); i++)
		if (capng_have_capability(CAPNG_PERMITTED, wanted[i]) == 1)
			keep[n++] = wanted[i];
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < n; i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED |
		    CAPNG_BOUNDING_SET, keep[i]) != 0)
			return -1;
	return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -1;
}

/* What a change of the uid does not take, while that is still allowed. */
void
caps_drop_bounds(void)
{
	capng_setpid((int)getpid());
	capng_clear(CAPNG_SELECT_BOUNDS);
	capng_apply(CAPNG_SELECT_BOUNDS);
}

/* How many this kernel has. */
void
caps_count(void)
{
	if (caps_all == 0)
		while (call_prctl(PR_CAPBSET_READ, caps_all) >= 0)
			caps_all++;
}

/* By hand, in each box: to change these sets the library reads and parses
 * /proc three times, which is a tenth of what a box costs. */
int
caps_drop_own_bounds(void)
{
	unsigned long	cap;

	for (cap = 0; cap < caps_all; cap++)
		if (call_prctl(PR_CAPBSET_DROP, cap) == -1)
			return -1;
	return caps_all > CAP_SETPCAP ? 0 : -1;
}

static int
caps_drop_own(void)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	none[_LINUX_CAPABILITY_U32S_3] = {
		{ 0 } };

	if (call_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL) == -1 &&
	    errno != EINVAL)
		return -1;
	return (int)CALL(capset, &head, none);
}

int
caps_drop(bool own)
{
	if (own)
		return caps_drop_own();
	/* the library remembers whom it was last used for */
	capng_setpid((int)getpid());
	capng_clear(CAPNG_SELECT_ALL);
	return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) == 0 ?
	    0 : -1;
}
