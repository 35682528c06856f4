/* What the files of box-tool share. */
#ifndef BOX_TOOL_H
#define BOX_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"

#define ENV_MAX	64

struct tool {
	struct apw_broker_conf	 conf;
	struct apw_box_order	 order;
	const char		*env[ENV_MAX + 1];
	size_t			 nenv;
	const char		*flow, *platform;
	bool			 verbose, interactive, describe;
	unsigned		 bench, kill_after_ms;
	bool			 bare;		/* bench: fork and exec only */
	unsigned		 admissions;	/* bench: into one running box */
	bool			 kill_bench;	/* from the command's word to reaped */
	unsigned		 repeat;	/* boxes, one after the other */
	bool			 whole_filter;	/* each box's own, all of it */
};

/* Time of a clock, and the processor's of all that took part. */
struct took {
	double	wall_us, cpu_us;
};

/* box-tool.c */
_Noreturn void tool_die(const struct apw_err *);
/* A box from its boot to its end; the command's status. */
int	tool_run(const struct tool *, struct apw_broker *,
	    struct apw_box_end *);

/* box-bench.c: each prints what it has found */
void	bench(const struct tool *, struct apw_broker *);
void	bench_admit(const struct tool *, struct apw_broker *);
void	bench_kill(struct tool *, struct apw_broker *);
/* Of this process and all it has reaped. */
double	bench_cpu_us(void);

/* box-floor.c: a process that makes the least that a box can be */
struct floor;
struct floor *floor_start(const struct tool *);
void	floor_once(struct floor *, struct took *);
void	floor_stop(struct floor *);

#endif
