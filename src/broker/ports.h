/* The fence of ports: how processes that keep the host's network are held to
 * two of its ports, where no namespace of their own can be had.  Prepared by
 * the parent, entered by the child between fork and exec.
 *
 * Landlock lets TCP connect to these ports only, on whatever address, lets
 * nothing listen, and closes abstract sockets and signals off; a syscall
 * filter refuses every other kind of socket, and the ways to connect that
 * Landlock does not see.  Sockets that are files stay open to who may open
 * them. */
#ifndef APW_BROKER_PORTS_H
#define APW_BROKER_PORTS_H

#include "core/apw_err.h"

#define APW_PORTS	2

struct apw_ports {
	int	ruleset_fd;	/* -1: nothing was prepared */
};

/* Can this kernel hold it?  -1: what is missing. */
int	apw_ports_probe(struct apw_err *);
int	apw_ports_prepare(const unsigned ports[APW_PORTS],
	    struct apw_ports *, struct apw_err *);
/* In the child, after no_new_privs; -1 with errno.  Async-signal-safe. */
int	apw_ports_enter(const struct apw_ports *);
void	apw_ports_close(struct apw_ports *);

#endif
