/* The files of one job, on disk: what spool_files.c serves.  Room: source, in
 * a slot.
 *
 *	tmp/.files-SLOT-PID/1 2 3 ...
 *
 * The folder is locked by the slot that has it; who opens the spool removes
 * those of the dead.  Number and bytes of all files together are bounded,
 * those that are still being written included. */
#ifndef APW_SPOOL_STORE_H
#define APW_SPOOL_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/apw_err.h"
#include "core/apw_str.h"
#include "modules/source/spool.h"

#define SPOOL_STORE_FILES	256
#define SPOOL_STORE_BYTES	((uint64_t)128 << 20)	/* of a job */
#define SPOOL_STORE_FILE	((uint64_t)64 << 20)
#define SPOOL_STORE_UPLOADS	32

struct spool_file {
	STAILQ_ENTRY(spool_file) entry;
	char		 id[SPOOL_ID_MAX + 1];
	unsigned	 number;	/* its name on disk */
	uint64_t	 bytes;
};

/* A file that is being written. */
struct spool_upload {
	LIST_ENTRY(spool_upload) entry;
	char		 id[SPOOL_ID_MAX + 1];
	unsigned	 number;
	int		 fd;		/* owned */
	uint64_t	 bytes;
	uint64_t	 counted;	/* announced, or more if there are */
};

struct spool_store {
	int		 tmp_fd;	/* owned: the spool's tmp/ */
	int		 dir_fd;	/* owned, with its lock; -1: none */
	char		 name[64];
	unsigned	 last;		/* number given last */
	STAILQ_HEAD(, spool_file) files;	/* owned */
	LIST_HEAD(, spool_upload) uploads;	/* owned */
	unsigned	 nfiles, nuploads;
	uint64_t	 bytes, coming;	/* of files; of uploads */
};

int	spool_store_open(struct spool_store *, int tmp_fd, unsigned slot,
	    struct apw_err *);
void	spool_store_close(struct spool_store *);
/* Between two jobs: when tmp/ or our folder in it has gone, a new one is made
 * in the tmp/ that is there now.  -1: there is none, and nothing is kept. */
int	spool_store_follow(struct spool_store *, int tmp_fd, unsigned slot,
	    struct apw_err *);
void	spool_store_empty(struct spool_store *);	/* uploads too */

/* The file as it is now, opened for reading; -1: there is none. */
int	spool_store_read(const struct spool_store *, struct apw_str id,
	    uint64_t *bytes);

/* A new file, which takes the place of the one of that name when it is
 * whole.  bytes: as announced, 0 when it was not.  NULL: *status tells why:
 * 413, 500, 507. */
struct spool_upload *
	spool_store_begin(struct spool_store *, struct apw_str id,
	    uint64_t bytes, int *status);
/* 0, or such a status; the upload stays until it is kept or dropped. */
int	spool_store_write(struct spool_store *, struct spool_upload *,
	    struct apw_str);
int	spool_store_keep(struct spool_store *, struct spool_upload *);
void	spool_store_drop(struct spool_store *, struct spool_upload *);

/* All files, by their ids, into the folder; synced. */
int	spool_store_save(const struct spool_store *, int to_fd,
	    struct apw_err *);

#endif
