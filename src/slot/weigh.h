/* Memory of a process and all below it. */
#ifndef APW_SLOT_WEIGH_H
#define APW_SLOT_WEIGH_H

#include <stdint.h>
#include <sys/types.h>

/* Resident bytes; 0: it is gone, or pid is 0.  Reads /proc: not for every
 * turn of a loop. */
uint64_t apw_weigh(pid_t);

#endif
