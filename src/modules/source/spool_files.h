/* What an engine does with its app by HTTP, done for a spool: it stores files
 * (run logs, payloads), and tells how its run goes.  A small HTTP server on the loopback, one a slot, for the engine
 * of the job in hand only.  Room: source. */
#ifndef APW_SPOOL_FILES_H
#define APW_SPOOL_FILES_H

#include <stdbool.h>

#include <event2/event.h>

#include "core/apw_err.h"
#include "core/apw_str.h"
#include "modules/source/spool.h"

struct spool_files;

/* A report of the engine about its run, an object in JSON, as the call of that
 * name would bring it; borrowed. */
typedef void spool_report_fn(void *arg, const char *method, struct apw_str);

/* Files are kept in the spool's tmp/, which stays borrowed, until they are
 * saved.  hidden: at an address of the loopback that nobody can guess; who is
 * led there by a proxy finds no other's.  NULL: err says why. */
struct spool_files *spool_files_open(struct event_base *,
	    const struct spool *, unsigned slot, bool hidden,
	    spool_report_fn *, void *arg, struct apw_err *);
void	spool_files_close(struct spool_files *);
/* Base URL of the API, ending in "/"; borrowed. */
const char *spool_files_url(const struct spool_files *);
/* Another job: forget the files of the last one; only requests with this
 * token (plain text) are answered from now on.  Empty: none are. */
void	spool_files_begin(struct spool_files *, struct apw_str token);
/* Put what is there into the folder files/ below dir_fd, which is in the
 * spool, too; no folder when there is nothing.  The files are kept: this may
 * be done again. */
int	spool_files_save(const struct spool_files *, int dir_fd,
	    struct apw_err *);

#endif
