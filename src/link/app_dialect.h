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

/* L1 to L5, by name; NULL: no such. */
const struct apw_app_dialect *
	apw_app_dialect_named(const char *name);

/*
 * By what the app says in its settings (raw object): its release, which since
 * L3 is in there, else words that only L1 or L2 have.  What cannot be told is
 * taken for L3, what is newer than all of them for the newest.
 */
const struct apw_app_dialect *
	apw_app_dialect_choose(struct apw_str settings);

/* 88003 for "0.88.3". */
#define APW_APP_RELEASE(major, minor, patch)				\
	((major) * 1000000u + (minor) * 1000u + (patch))

/* The first release that nobody has seen when these tables were made, and the
 * last one that somebody has. */
#define APW_APP_RELEASE_UNKNOWN	APW_APP_RELEASE(0, 88, 4)
#define APW_APP_RELEASE_NEWEST	"0.88.3"
/* 85004 for the JSON string "0.85.4", 0 for what is none. */
unsigned apw_app_release(struct apw_str literal);

/*
 * What apps of some releases do and others do not.  A feature is asked for by
 * its own name, not by comparing releases, so that what changes with a release
 * is a line of one table.
 */
enum apw_app_feature {
	/* calls and members of calls */
	APW_APP_MARK_USED,	/* markPieceAsUsed, getUsedPieces */
	APW_APP_RELAYS,		/* updateRunProgress, sendFlowResponse,
				   updateStepProgress: later the engine's own */
	APW_APP_BUNDLES,	/* getFlowBundle, prepareFlowBundleUpload */
	APW_APP_SERVER_PING,	/* serverPingMs in the machine information */
	APW_APP_TRIGGER_RUN,	/* recordTriggerRun */
	APW_APP_PREWARM,	/* getPrewarmData; rpc-notify flowPublished */
	APW_APP_FAILED_STEP,	/* failedStep in the worker's uploadRunLog */
	/* who gets which jobs */
	APW_APP_PROJECT_WORKER,	/* projectWorker: a group of a project */
	APW_APP_GROUP_MODES,	/* a group's workers want an isolating mode
				   and a set AP_REUSE_SANDBOX, in every
				   edition */
	/* jobs */
	APW_APP_CHAT_AGENT,	/* EXECUTE_CHAT_AGENT */
	APW_APP_TOKEN_REFRESH,	/* EXECUTE_TOKEN_REFRESH */
	APW_APP_AGENT_RUN,	/* EXECUTE_AGENT_RUN */
	APW_APP_IDENTIFIER,	/* EXECUTE_RESOLVE_CONNECTION_IDENTIFIER */
	APW_APP_PAYLOAD_METHOD,	/* method in the payload of a trigger hook */
	APW_APP_ACTION,		/* EXECUTE_ACTION */
	APW_APP_AI,		/* EXECUTE_AI; seen named only */
	APW_APP_NFEATURES
};

/* Does an app of this release (as apw_settings.release counts; 0, which is
 * none, counts as L3) do that? */
bool	apw_app_can(unsigned release, enum apw_app_feature);

/* In which release did it appear, for people: "0.86.2", "a release after
 * 0.88.3", "an early release". */
const char *apw_app_since(enum apw_app_feature);

/* The same for a type of job; NULL: nobody has heard of it. */
const char *apw_app_job_since(struct apw_str type);

#endif
