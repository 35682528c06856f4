/* "apworkerd doctor": what this host can enforce, in words. */
#ifndef APW_BROKER_DOCTOR_H
#define APW_BROKER_DOCTOR_H

#include <stddef.h>
#include <stdio.h>

#include "core/apw_cycle.h"

/* A line for each capability, a line for each mode.  The cycle names node,
 * its modules, and the mode that is wanted; NULL: there is no configuration.
 * Returns whether the wanted mode, or any without one, is to be had. */
int	apw_doctor(const struct apw_cycle *, FILE *);

/* Listening sockets of the host that not everybody may open: how many, and
 * the worst of them by name. */
unsigned apw_sockets_of_root(char *text, size_t size);
/* For -t: one line where engines of this configuration can open them. */
void	apw_sockets_check(const struct apw_cycle *, FILE *);

#endif
