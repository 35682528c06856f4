/* Shared by the files of the spool directory only. */
#ifndef APW_SPOOL_PRIV_H
#define APW_SPOOL_PRIV_H

#include <limits.h>
#include <sys/stat.h>

#include "modules/source/spool.h"

extern const char *const spool_dirs[SPOOL_NDIRS];

/* "ID.json" -> ID; false for other names. */
bool	spool_name_stem(const char *name, struct apw_str *id);
/* "ID.ATTEMPT.json" */
void	spool_run_name(char name[NAME_MAX], const char *id, unsigned attempt);
/* Is what was opened a file that we would take a job from? */
int	spool_check_file(struct spool *, int fd, struct stat *,
	    struct apw_err *);
int	spool_read_all(int fd, size_t size, struct apw_buf *out);
void	spool_forget_names(struct spool *);
/* What slots that died have left in tmp/ half made, so many seconds ago. */
void	spool_sweep_tmp(struct spool *, int older_s);
/* A new file with this text, synced to disk. */
int	spool_write_file(int dir_fd, const char *name, struct apw_str text,
	    struct apw_err *);
/* Move new/NAME to failed/, with the reason. */
void	spool_reject(struct spool *, const char *name, const struct apw_err *why);

#endif
