/* The spool directory: jobs as files.  Room: source, in a slot.
 *
 *	new/ID.json		submitted; appears by rename
 *	run/ID.N.json		claimed, Nth attempt; its slot holds flock on it
 *	run/.slot-N-PID.alive	open for writing while that slot lives: its
 *				closing wakes the others to take over
 *	done/ID/ failed/ID/	job.json result.json run.json output.json log files/
 *	flows/FLOWVERSION.json	flow versions that jobs only name
 *	tmp/			things in the making
 *
 * A job's file is never read by two slots at a time, and is moved, never
 * copied: at each moment exactly one of the folders has it. */
#ifndef APW_SPOOL_H
#define APW_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

#define SPOOL_ID_MAX	100	/* of a file name's stem */
#define SPOOL_ID_SIZE	108	/* with "~999" and NUL */

enum spool_dir { SPOOL_NEW, SPOOL_RUN, SPOOL_DONE, SPOOL_FAILED, SPOOL_FLOWS,
	SPOOL_TMP, SPOOL_NDIRS };

struct spool {
	char		*path;		/* owned */
	unsigned	 slot;
	int		 dir_fd[SPOOL_NDIRS];
	uint64_t	 max_job_bytes;
	unsigned	 attempts;	/* before a job is given up */
	int		 alive_fd;
	int		 making_fd;	/* what is made in tmp/, locked */
	char		 alive_name[64];
	char		**names;	/* owned; of new/, sorted; consumed from next */
	size_t		 nnames, next;
};

struct spool_files;

struct spool_job {
	char		 id[SPOOL_ID_SIZE];
	unsigned	 attempt;
	int		 lock_fd;	/* holds the lock; closed by free */
	int64_t		 claimed_wall_ms;
	struct apw_buf	 text;		/* the file */
	struct apw_str	 job_data;	/* slices of text, raw JSON */
	struct apw_str	 flow_version;	/* empty: beside it, in flows/ */
	struct apw_str	 engine_token;	/* string literal, or empty */
};

/* What is known of a job when it ends; all raw JSON, empty when unknown. */
struct spool_outcome {
	bool		 ok;		/* done/ or failed/ */
	const char	*status;	/* "SUCCEEDED", "FAILED", "REJECTED", ... */
	const char	*job_status;	/* of completeJob, or NULL */
	const char	*error;		/* text, or NULL */
	unsigned	 slot;
	struct apw_str	 network;	/* sums of its connections, JSON */
	struct apw_str	 run;		/* run.json */
	struct apw_str	 output;	/* output.json */
	struct apw_str	 payloads;	/* payloads.json */
	struct apw_str	 log;		/* text */
	const struct spool_files *files; /* of the engine, or NULL */
};

/* Is this a job id (a file name's stem) we accept? */
bool	spool_id_ok(struct apw_str);

/* Makes the folders that are missing. */
int	spool_open(struct spool *, const char *path, unsigned slot,
	    struct apw_err *);
/* Are its folders still those that were opened? */
bool	spool_moved(const struct spool *);
/* When they are not: open those that are there now, and make what is
 * missing.  1: that was done, 0: nothing had to be done, -1. */
int	spool_follow(struct spool *, struct apw_err *);
void	spool_close(struct spool *);

/* One job that nobody has: 1 and *job, 0 none now, -1 trouble with the
 * directory itself.  Files that are no jobs go to failed/ with the reason. */
int	spool_claim(struct spool *, struct spool_job **job, struct apw_err *);

/* Write what came of it and give the job up; frees nothing. */
int	spool_settle(struct spool *, struct spool_job *,
	    const struct spool_outcome *, struct apw_err *);
/* It has not begun: back to new/ with it, where whoever is idle finds it. */
int	spool_put_back(struct spool *, struct spool_job *, struct apw_err *);
void	spool_job_free(struct spool_job *);

/* Where the spool of a configured `source spool` is. */
const char *spool_conf_path(const void *conf);

/* flows/ID.json into out: 1, 0 not there, -1. */
int	spool_flow(struct spool *, struct apw_str flow_version_id,
	    struct apw_buf *out, struct apw_err *);

#endif
