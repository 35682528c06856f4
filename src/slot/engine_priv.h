/* The engine's inside, shared by engine.c (what others call and what the
 * link tells), engine_steps.c (its life) and engine_process.c (the process
 * and its descriptors). */
#ifndef APW_SLOT_ENGINE_PRIV_H
#define APW_SLOT_ENGINE_PRIV_H

#include "core/apw_arena.h"
#include "egress/proxy.h"
#include "link/engine_link.h"
#include "slot/capture.h"
#include "slot/command.h"
#include "slot/engine.h"

#define ENGINE_MAGIC	0x454e4749

struct engine_step {
	const char	*name;
	void		(*on_link)(struct apw_engine *);	/* it called back */
	void		(*on_result)(struct apw_engine *, struct apw_str);
	void		(*on_lost)(struct apw_engine *);	/* connection ended */
	void		(*on_exit)(struct apw_engine *);	/* process ended */
	void		(*on_timeout)(struct apw_engine *);
	int64_t		 timeout_ms;	/* 0: see limit */
	int64_t		(*limit)(const struct apw_engine *);	/* 0: for ever */
};

struct apw_engine {
	uint32_t			 magic;
	struct apw_engine_env		 env;
	struct apw_engine_link		*link;		/* owned */
	const struct engine_step	*step;
	struct event			*timer;		/* the step's deadline; owned */

	const struct apw_settings	*settings;	/* borrowed, may be NULL */
	const struct apw_sandbox_ops	*sandbox;
	const void			*sandbox_conf;
	enum apw_fence			 fence;
	enum apw_command_lead		 lead;		/* through its proxy */
	struct apw_egress_rules		*rules;		/* a reference, or NULL */
	uint64_t			 fingerprint;	/* of what would be booted */

	/* the user, while the engine is taken */
	bool				 taken;
	bool				 wanted;	/* start one when all is clean */
	bool				 serving;	/* the process is the user's */
	struct apw_engine_events	 events;
	void				*arg;		/* borrowed */
	char				 run[64];	/* job it is counted for */
	struct apw_egress_account	 account;	/* of that run */
	bool				 counted;	/* it has a proxy */
	char				*tenant_text;	/* owned; what is below */
	struct apw_tenant		 tenant;	/* of the first job */
	struct apw_tenant		 next;		/* of the job that waits; borrowed */

	/* the process */
	struct apw_child		 child;		/* pid 0: none */
	struct event			*exit_event, *out_event, *err_event;
	int				 proxy_fd;	/* for its proxy; -1 */
	struct apw_egress_proxy		*proxy;		/* owned; NULL: not strict */
	bool				 link_adopts;
	bool				 shares_port;	/* dialect A: with other slots */
	int64_t				 queued_ms;	/* since when it is waited for */
	int				 link_fd;	/* for its link, until that
							   has it; -1 */
	char				 sandbox_id[24];
	uint64_t			 booted_from;	/* fingerprint at boot */
	uint64_t			 booted_stock;	/* stock's generation at boot */
	int64_t				 booted_ms;
	uint64_t			 oom_kills;	/* count at boot */
	unsigned			 jobs;
	bool				 yields;	/* when booted ahead */
	bool				 yielding;	/* this one does */
	int64_t				 ahead_failed_ms; /* one nobody waited for */

	/* its end */
	struct apw_evidence		 evidence;
	char				 lost[128], refused[160], why[320];
	uint64_t			 strangers;	/* turned away, since its start */
	struct apw_err			 start_error;
	bool				 unfit;		/* it could not be fenced */
	int64_t				 killed_ms;
	bool				 late;		/* killed, and did not end */
	struct apw_capture		 capture;

	struct event			*sweep_timer;	/* owned */
	void				(*done)(void *);	/* shutdown asked */
	void				*done_arg;
};

/* engine.c */
extern const struct apw_engine_link_events engine_link_events;
enum apw_engine_dialect engine_dialect(const struct apw_engine *);

/* engine_net.c: link and listeners, as the fence wants them */
int	engine_net_settings(struct apw_engine *, const struct apw_settings *,
	    const struct apw_engine_net *, struct apw_err *);
/* Before a start: where it will find the link and (strict) the proxy. */
int	engine_net_ports(struct apw_engine *, unsigned *link, unsigned *proxy,
	    struct apw_err *);
/* After it: serve them. */
int	engine_net_start(struct apw_engine *, struct apw_err *);
void	engine_net_stop(struct apw_engine *);

/* engine_process.c */
extern const struct apw_child engine_no_child;
int	engine_process_start(struct apw_engine *, struct apw_err *);
void	engine_process_kill(struct apw_engine *);
/* It is the one that the scoreboard shows. */
void	engine_show(const struct apw_engine *);
/* What it wrote last. */
void	engine_last_words(struct apw_engine *);
/* Reap; fills in the evidence and closes descriptors. */
void	engine_process_reap(struct apw_engine *);
void	engine_process_forget(struct apw_engine *);

/* engine_steps.c */
extern const struct engine_step engine_cold, engine_queue, engine_boot, engine_idle,
    engine_ready, engine_run, engine_linger, engine_dying, engine_late,
    engine_sweep, engine_failed;
void	engine_go(struct apw_engine *, const struct engine_step *);
void	engine_start(struct apw_engine *);
void	engine_start_ahead(struct apw_engine *);
bool	engine_stale(const struct apw_engine *);
/* Kill the process: its end is told and leads to the sweep. */
void	engine_end(struct apw_engine *, bool timer, const char *why);
void	engine_to_sweep(struct apw_engine *);
void	engine_reuse_case(const struct apw_engine *, struct apw_reuse_case *);
void	engine_on_timer(evutil_socket_t, short, void *);
void	engine_on_sweep(evutil_socket_t, short, void *);
void	engine_on_exit(evutil_socket_t, short, void *);

#endif
