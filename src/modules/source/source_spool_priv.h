/* Shared by the files of `source spool` only. */
#ifndef APW_SOURCE_SPOOL_PRIV_H
#define APW_SOURCE_SPOOL_PRIV_H

#include <event2/event.h>
#include <time.h>

#include "modules/source/source.h"
#include "modules/source/spool.h"
#include "modules/source/spool_files.h"
#include "modules/source/spool_run.h"

#define SPOOL_MAGIC		0x53504f4c

struct spool_conf {
	char		*path;
	uint64_t	 max_job_bytes;
	unsigned	 attempts;
	int64_t		 flow_timeout_ms;
	char		*public_url;
	char		*api_url;
};

struct spool_call {
	uint32_t		 id;
	struct apw_source	*source;	/* borrowed */
	struct spool_call	*next;
	struct event		*ev;		/* owned */
	apw_source_reply_fn	*fn;
	void			*arg;		/* borrowed */
	bool			 refused;
	struct apw_buf		 result;
};

struct apw_source {
	uint32_t		 magic;
	const struct apw_source_env *env;	/* borrowed */
	const struct spool_conf	*conf;		/* borrowed */
	struct apw_source_events events;
	void			*arg;		/* borrowed: the slot */
	struct spool		 spool;
	struct event		*look;		/* owned: look for a job soon */
	struct event		*ready;		/* owned: tell on_ready once */
	struct event		*second;	/* owned: look each second */
	bool			 trouble;	/* with the directory: has been said */
	struct timespec		 looked;	/* new/ as it was, when we looked */
	bool			 wanted, unwanting;
	struct spool_job	*job;		/* owned; NULL between jobs */
	struct spool_run	 run;		/* what the job has reported */
	struct spool_files	*files;		/* owned; NULL: an API elsewhere */
	char			 token[33];	/* for the engine of a job that brings none */
	struct spool_call	*calls;		/* owned list */
	size_t			 ncalls;
	uint32_t		 last_call;
	void			(*left)(void *);
	void			*left_arg;
};

/* spool_calls.c: the worker contract, answered from the job's own file. */
uint32_t spool_call(struct apw_source *, const char *method,
	    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
	    apw_source_reply_fn *, void *arg, struct apw_err *);
void	spool_cancel(struct apw_source *, uint32_t id);
void	spool_calls_drop(struct apw_source *);	/* closing: forget them all */

#endif
