/* A plain child: the engine as a process of its own session, without
 * privileges, without our descriptors, ending when we end. */
#ifndef APW_SANDBOX_PLAIN_H
#define APW_SANDBOX_PLAIN_H

#include "modules/sandbox/sandbox.h"

int	apw_plain_boot(const void *conf, const struct apw_box_spec *,
	    struct apw_child *, struct apw_err *);
void	apw_plain_kill(const void *conf, const struct apw_child *);

#endif
