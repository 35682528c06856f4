/* Shared by the files of the journal only. */
#ifndef APW_JOURNAL_PRIV_H
#define APW_JOURNAL_PRIV_H

#include <event2/event.h>
#include <limits.h>

#include "job/journal.h"

#define JOURNALS_MAGIC	0x4a524e4c
#define JOURNAL_FILE	(128 * 1024)	/* of a file between jobs */

struct apw_journal {
	struct apw_journals	*of;		/* borrowed */
	int			 fd;		/* owned; holds the lock */
	char			 name[32];
	struct apw_journal_record rec;		/* as in the file */
	uint64_t		 used;		/* bytes of texts, to overwrite */
	bool			 failed;	/* has been logged */
	bool			 dirty;		/* not on the disk yet */
	bool			 stale;		/* the phase is newer than the file */
};

struct apw_journals {
	uint32_t		 magic;
	unsigned		 slot;
	bool			 durable;	/* journal sync */
	int			 dir_fd;	/* owned */
	char			 path[PATH_MAX];
	struct event_base	*base;		/* borrowed */
	struct apw_journal	*own;		/* owned; NULL: none could be had */
	int64_t			 tried_ms;	/* to have one */
	bool			 parted;	/* from the one there was */
	struct apw_journal	*taken;		/* owned; may be own */
	bool			 look;		/* there may be orphans */
	bool			 said;		/* that the folder is gone */
	struct event		*later;		/* look for orphans then; owned, as
						 * all events */
	struct event		*sync, *phase;
	void			(*orphan)(void *);
	void			*arg;
};

/* journal_find.c */
/* 1: *out is ours and locked; 0: somebody has it, or it is none of ours. */
int	journal_lock(struct apw_journals *, const char *name, bool make,
	    struct apw_journal **out);
void	journal_free(struct apw_journal *);	/* the lock is given up */
void	journal_unlink(struct apw_journal *);

/* journal.c */
int	journal_pwrite(int fd, const void *, size_t, uint64_t at);
/* Empty it and overwrite all that is in it; -1 and errno. */
int	journal_blank(struct apw_journal *, uint64_t upto);
void	journal_sync(struct apw_journal *);
void	journal_phase_put(struct apw_journal *);

#endif
