/* Asking the monitor of a running daemon.  Room: ctl. */
#ifndef APW_CTL_ASK_H
#define APW_CTL_ASK_H

#include "core/apw_buf.h"
#include "core/apw_cycle.h"
#include "core/apw_err.h"

/* GET path from the control socket, or else from the first address of the
 * configuration's monitor that answers.  The HTTP status, or -1; the body goes to out. */
int	ctl_ask(const struct apw_cycle *, const char *path, int timeout_ms,
	    struct apw_buf *out, struct apw_err *);

#endif
