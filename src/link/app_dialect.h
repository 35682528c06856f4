/*
 * App link: what the generations of the app differ in.  Room: link.
 *
 * A table, so that a new generation is a line and not a branch.  Generation L0
 * (releases before 0.80, jobs from Redis) is none of it.
 */
#ifndef APW_LINK_APP_DIALECT_H
#define APW_LINK_APP_DIALECT_H

#include <stdbool.h>

#include "core/apw_str.h"

struct apw_app_dialect {
	const char	*name;		/* "L1", … */
	unsigned	 release;	/* the first one of it, as
					   apw_settings.release counts */
	const char	*group_key;	/* of the group in the auth object */
	bool		 old_names;	/* progressUpdateType and
					   serverHandlerId in place of
					   streamStepProgress and
					   workerHandlerId */
	bool		 silent;	/* a call that fails is not answered,
					   in either direction */
	bool		 payload_files;	/* the worker fetches the payloads of
					   webhooks: getPayloadFile */
	bool		 delay;		/* completeJob takes the engine's
					   delayInSeconds */
	bool		 sparse;	/* reports have no logsFileId and no
					   internalError, machines neither
					   version nor sandboxes */
	bool		 takes_back;	/* a job goes back to the queue when the
					   connection it came over ends */
};

/* Of a release; 0, which is none, counts as L3. */
const struct apw_app_dialect *
	apw_app_dialect_of(unsigned release);

/* L1 to L4, by name; NULL: no such. */
const struct apw_app_dialect *
	apw_app_dialect_named(const char *name);

/*
 * By what the app says in its settings (raw object): its release, which since
 * L3 is in there, else words that only L1 or L2 have.  What cannot be told is
 * taken for L3, what is newer than all of them for the newest.
 */
const struct apw_app_dialect *
	apw_app_dialect_choose(struct apw_str settings);

/* The first release that nobody has seen when this table was made. */
#define APW_APP_RELEASE_UNKNOWN	87000u
/* 85004 for the JSON string "0.85.4", 0 for what is none. */
unsigned apw_app_release(struct apw_str literal);

#endif
