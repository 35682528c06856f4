/* The fence of ports; see ports.h.  Room: broker, used by slots. */
#include "broker/ports.h"

#include <errno.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

/* Compiled once a process: it is the same for all. */
static struct sock_fprog	ports_filter;

static int
ports_compile(struct apw_err *err)
{
	return ports_filter.filter != NULL ? 0 :
	    filter_compile(FILTER_PORTS, &ports_filter, err);
}

int
apw_ports_probe(struct apw_err *err)
{
	int	abi = landlock_abi();

	if (abi < LANDLOCK_ABI_SCOPE)
		return apw_err_set(err, 0, "Landlock's rules for connections "
		    "and abstract sockets are missing: kernel 6.12, with "
		    "landlock in its option lsm=");
	return ports_compile(err);
}

int
apw_ports_prepare(const unsigned ports[APW_PORTS], struct apw_ports *p,
    struct apw_err *err)
{
	apw_autofd int	fd = -1;
	size_t		i;

	p->ruleset_fd = -1;
	if (apw_ports_probe(err) == -1)
		return -1;
	if ((fd = landlock_network()) == -1)
		return apw_err_set(err, errno, "cannot make Landlock rules");
	for (i = 0; i < APW_PORTS; i++)
		if (landlock_allow_connect(fd, ports[i]) == -1)
			return apw_err_set(err, errno, "cannot make Landlock "
			    "rules for port %u", ports[i]);
	p->ruleset_fd = apw_take_fd(&fd);
	return 0;
}

int
apw_ports_enter(const struct apw_ports *p)
{
	return landlock_enter(p->ruleset_fd) == -1 ? -1 :
	    filter_install(&ports_filter);
}

void
apw_ports_close(struct apw_ports *p)
{
	if (p->ruleset_fd != -1)
		close(p->ruleset_fd);
	p->ruleset_fd = -1;
}
