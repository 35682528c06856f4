/* Shared by the files of the spool directory only. */
#ifndef APW_SPOOL_PRIV_H
#define APW_SPOOL_PRIV_H

#include <limits.h>

#include "modules/source/spool.h"

extern const char *const spool_dirs[SPOOL_NDIRS];

/* "ID.json" -> ID; false for other names. */
bool	spool_name_stem(const char *name, struct apw_str *id);
/* "ID.ATTEMPT.json" */
void	spool_run_name(char name[NAME_MAX], const char *id, unsigned attempt);
/* Move new/NAME to failed/, with the reason. */
void	spool_reject(struct spool *, const char *name, const struct apw_err *why);

#endif
