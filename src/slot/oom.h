/* How often the kernel killed for memory, as far as we can see. */
#ifndef APW_SLOT_OOM_H
#define APW_SLOT_OOM_H

#include <stdint.h>

/* The count of our own cgroup (v2, then v1), else of the whole host; 0 when
 * nothing can be read.  Only a rise between two calls means anything. */
uint64_t apw_oom_kills(void);

#endif
