/* The stock's tools, for the configuration test. */
#ifndef APW_STOCK_CHECK_H
#define APW_STOCK_CHECK_H

#include <stdio.h>

#include "core/apw_cycle.h"

/* One line a tool: what it is, its version, its path; and a warning for one
 * that does not run or is too old.  Starts them; may take seconds. */
void	apw_stock_check(const struct apw_cycle *, FILE *);

/* The file of certificates that the npmrc names; the caller frees it; NULL:
 * none. */
char	*apw_stock_cafile(const struct apw_cycle *);

#endif
