/* The ways out, for `apworkerd -t`.  Room: dial. */
#ifndef APW_DIAL_CHECK_H
#define APW_DIAL_CHECK_H

#include <stdio.h>

#include "core/apw_cycle.h"

/* Prints a warning for each variable of the environment that names what
 * cannot be used, where that is not an error of a directive. */
void	apw_dial_check(const struct apw_cycle *, FILE *out);

#endif
