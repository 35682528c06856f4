/* The folders that slots wait on (the spool's, the leases'): one watch for
 * all slots.  Room: master.  Slots are told by a signal that something moved,
 * and look for themselves; where nothing can be watched they look each
 * second.  A folder that was removed or replaced is noticed either way. */
#ifndef APW_FOLDERS_H
#define APW_FOLDERS_H

#include <stdint.h>

struct master;

/* Watch what the current cycle's slots wait on; nothing else any more. */
void	master_folders_follow(struct master *);
/* At each tick: are they still the folders that were there?  Can they be
 * watched again? */
void	master_folders_tick(struct master *, int64_t now_ms);
/* A slot has ended: the others look what it has left. */
void	master_folders_ended(struct master *);
/* In a fresh child: the loop goes. */
void	master_folders_forget(struct master *);
void	master_folders_free(struct master *);

#endif
