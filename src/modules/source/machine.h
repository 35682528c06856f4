/* Machine information: what the app shows of a worker.  Room: source. */
#ifndef APW_MACHINE_H
#define APW_MACHINE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/apw_buf.h"
#include "core/apw_score.h"

/* Figures are read at most every 15 s: polling must not cost what a job
 * costs. */
struct machine {
	int64_t		 read_ms;	/* monotonic; 0: never */
	int64_t		 cpu_us;	/* of this process when read */
	double		 cpu_percent, ram_percent, cores;
	uint64_t	 ram_bytes;
	uint64_t	 disk_total, disk_free;
	char		 host[256];
};

/* All strings borrowed; NULL ones are left out. */
struct machine_props {
	const char	*worker_id;
	const char	*mode;		/* NULL: settings not known, no workerProps */
	unsigned	 slots;
	const char	*memory_kib;	/* decimal */
	bool		 reuse;
	const char	*version;
	bool		 sparse;	/* neither version nor sandboxes */
	int32_t		 ping_ms;	/* to the app and back; -1: not known */
	/* The engine of this slot; engine_pid 0: none */
	unsigned	 slot;
	pid_t		 engine_pid;
	bool		 busy;
	uint64_t	 engine_bytes;
	/* of those of the others: all of this configuration.  NULL: none */
	const struct apw_score_machine *others;
	unsigned	 cycle;
};

int	machine_json(struct machine *, const struct machine_props *,
	    struct apw_buf *out);

#endif
