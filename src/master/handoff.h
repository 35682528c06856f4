/* What an old master gives to the new binary it starts: descriptors, and what
 * must not be seen in arguments or environment. */
#ifndef APW_HANDOFF_H
#define APW_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_conf.h"
#include "master/listen.h"

struct apw_handoff {
	bool			 given;		/* we are such a new binary */
	struct apw_conf_options	 conf;		/* texts owned */
	struct apw_listeners	 listeners;	/* owned */
	int			 lock_fd;	/* of the state directory; -1 */
	int			 score_fd;	/* its scoreboard; -1 */
	int			 ready_fd;	/* tell the old one; -1 */
	uint32_t		 lanes;
};

/* The name of the variable that holds the number of a descriptor. */
#define APW_HANDOFF_ENV	"APWORKERD_HANDOFF"

/* Memory without a name that holds all of it, and the secrets our own
 * environment had.  The descriptor is close-on-exec; -1 and err. */
int	apw_handoff_write(const struct apw_handoff *, struct apw_err *);
/* Take what there is; without the variable nothing is given.  Secrets go
 * back to the environment, where the reader takes them from. */
int	apw_handoff_read(struct apw_handoff *, struct apw_err *);

#endif
