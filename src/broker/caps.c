/* Capabilities, by libcap-ng: what a broker keeps and what a box loses.
 * Room: broker. */
#include <cap-ng.h>
#include <errno.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

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

int
caps_drop(bool bounds)
{
	/* the library remembers whom it was last used for */
	capng_setpid((int)getpid());
	capng_clear(CAPNG_SELECT_ALL);
	return capng_apply(bounds ? CAPNG_SELECT_ALL :
	    CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) == 0 ? 0 : -1;
}
