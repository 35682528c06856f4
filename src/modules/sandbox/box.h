/* Boxes as the process modes use them: one broker a slot, one box an engine;
 * shared by process.c and code_and_process.c. */
#ifndef APW_SANDBOX_BOX_H
#define APW_SANDBOX_BOX_H

#include "broker/harden.h"
#include "core/apw_directive.h"
#include "modules/sandbox/sandbox.h"

struct apw_box_conf {
	uint64_t	tmp_bytes;
	uint64_t	file_bytes;
	unsigned	tmp_files;
	unsigned	pids;
	unsigned	open_files;
	unsigned	cpu_percent;	/* 0: no quota */
	unsigned	cpu_weight;
};

extern const struct apw_directive apw_box_directives[];

/* mode and isolates are of the module that asks; a slot's brokers have the
 * limits of one of them. */
int	apw_box_probe(const void *conf, const char *mode, struct apw_err *);
int	apw_box_boot(const void *conf, bool isolates,
	    const struct apw_box_spec *, struct apw_child *,
	    struct apw_err *);
void	apw_box_kill(const void *conf, const struct apw_child *);
void	apw_box_inside(const void *conf, const struct apw_cycle *,
	    struct apw_inside *);
int	apw_box_fence(const void *conf, enum apw_network, enum apw_fence *,
	    struct apw_err *);
void	apw_box_hurry(const void *conf, const struct apw_child *);
int	apw_box_admit(const void *conf, const struct apw_child *,
	    const char *flow_version_id, const char *platform_id,
	    struct apw_err *);
void	apw_box_end(const void *conf, const struct apw_child *,
	    struct apw_sandbox_end *);
int	apw_box_watch_fd(const void *conf);

/* What both modes of boxes share. */
#define APW_BOX_OPS							\
	.packages = true, .boxed = true, .kill = apw_box_kill,		\
	.inside = apw_box_inside, .fence = apw_box_fence,		\
	.admit = apw_box_admit, .end = apw_box_end,			\
	.hurry = apw_box_hurry,						\
	.watch_fd = apw_box_watch_fd

/* The same for engines that keep the host's files (plain.h).  ready: can
 * this slot's broker make such boxes?  Asked once; what is missing is logged
 * then. */
bool	apw_box_host_ready(void);
/* Is this child in a box of ours? */
bool	apw_box_has(const struct apw_child *);
/* Another job begins in it, and nothing is to be admitted. */
void	apw_box_mark(const struct apw_child *);
int	apw_box_host_fence(enum apw_network, struct apw_err *);
int	apw_box_host_boot(const struct apw_box_spec *, const struct apw_harden *,
	    struct apw_child *, struct apw_err *);

#endif
