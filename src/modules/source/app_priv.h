/* Shared by the files of `source app` only. */
#ifndef APW_APP_PRIV_H
#define APW_APP_PRIV_H

#include <event2/event.h>

#include "link/app_dialect.h"
#include "link/app_link.h"
#include "modules/source/app_conf.h"
#include "modules/source/machine.h"
#include "modules/source/source.h"

#define APP_MAGIC	0x41505053
#define APP_MISSING_MAX	8	/* methods that the app has not, told */

enum app_state {
	APP_DOWN,	/* timer: connect */
	APP_OPENING,	/* the link is at it, with its own deadline */
	APP_SETTLING,	/* joined; timer: ask for the settings (once) */
	APP_READY,
	APP_LEAVING,	/* the link says good-bye */
};

struct app_call {
	uint32_t		 id;
	struct apw_source	*source;	/* borrowed */
	struct app_call		*next;
	char			 method[40];
	struct apw_buf		 payload;	/* until sent */
	struct apw_buf		 binary;	/* the same; empty: none */
	int64_t			 deadline_ms;	/* monotonic */
	struct event		*ev;		/* owned; deadline while waiting */
	uint32_t		 link_id;	/* 0: waits to be sent */
	enum apw_reply_kind	 failed;	/* what ev reports */
	apw_source_reply_fn	*fn;
	void			*arg;		/* borrowed */
};

struct apw_source {
	uint32_t		 magic;
	const struct apw_source_env *env;	/* borrowed */
	const struct app_conf	*conf;		/* borrowed */
	struct apw_source_events events;
	void			*arg;		/* borrowed: the slot */
	struct apw_app_link	*link;		/* owned */
	enum app_state		 state;
	struct event		*timer;		/* owned; meaning: see state */
	unsigned		 failures;	/* attempts since last ready */
	unsigned		 settle_ms;
	bool			 ready_before;
	char			*api_url;	/* owned */
	char			*scope;		/* owned; of its leases */
	char			 version[32];	/* what we say we are */
	char			 app_version[32];
	const struct apw_app_dialect *dialect;	/* of the app; NULL: not known */
	unsigned		 release;	/* of the app, as apw_settings
						   has it */
	char			 memory_limit[24]; /* KiB, as the app says it */
	char			 newer[200];	/* it is of a release that we do
						   not know; "" */
	char			 blocked[256];	/* why no job will come, or "" */
	struct machine		 machine;

	struct event		*poll_timer;	/* owned: poll again then */
	bool			 wanted, unwanting;
	uint32_t		 parked;	/* link id of the poll, or 0 */
	int64_t			 polled_ms;
	unsigned		 poll_errors;

	struct app_call		*calls;		/* owned, oldest first */
	size_t			 ncalls;
	size_t			 waiting_bytes;
	uint32_t		 last_call;
	char			 missing[APP_MISSING_MAX][40];	/* told */
	size_t			 nmissing;

	void			(*left)(void *);
	void			*left_arg;
};

int64_t	app_backoff_ms(int64_t min_ms, int64_t max_ms, unsigned n);
void	app_timer(struct event *, int64_t ms);
void	app_machine(struct apw_source *, struct apw_buf *out);

/* app_calls.c */
uint32_t app_call(struct apw_source *, const char *method,
	    const struct apw_str *parts, size_t nparts, unsigned timeout_ms,
	    apw_source_reply_fn *, void *arg, struct apw_err *);
uint32_t app_call_binary(struct apw_source *, const char *method,
	    const struct apw_str *parts, size_t nparts, struct apw_str binary,
	    unsigned timeout_ms, apw_source_reply_fn *, void *arg,
	    struct apw_err *);
void	app_cancel(struct apw_source *, uint32_t id);
void	app_calls_flush(struct apw_source *);	/* ready: send what waits */
void	app_calls_drop(struct apw_source *);	/* closing: forget them all */

/* app_release.c */
const struct apw_app_dialect *	/* the configured one; NULL: none is */
	app_conf_dialect(const struct apw_source *);
void	app_take_settings(struct apw_source *, struct apw_str settings);

/* app_ping.c */
int32_t	app_ping_ms(const struct apw_source *);	/* -1: not known */
void	app_ping_guess(struct apw_source *);	/* when connected */
void	app_ping_go(struct apw_source *);	/* ask, if it is time */

/* app_poll.c */
void	app_want(struct apw_source *);
void	app_unwant(struct apw_source *);
void	app_poll_go(struct apw_source *);	/* poll now, if we may */
void	app_poll_lost(struct apw_source *);
void	app_on_poll_timer(evutil_socket_t, short, void *);

#endif
