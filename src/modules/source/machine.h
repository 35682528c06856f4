/* Machine information: what the app shows of a worker.  Room: source. */
#ifndef APW_MACHINE_H
#define APW_MACHINE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/apw_buf.h"

/* Figures are read at most every 15 s: polling must not cost what a job
 * costs. */
struct machine {
	int64_t		 read_ms;	/* monotonic; 0: never */
	int64_t		 cpu_us;	/* of this process when read */
	double		 cpu_percent, ram_percent, cores;
	uint64_t	 ram_bytes;
	uint64_t	 disk_total, disk_free;
	uint64_t	 engine_bytes;
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
	const char	*sandbox_id;	/* NULL: no engine */
	pid_t		 engine_pid;
	unsigned	 slot;
	bool		 busy;
	bool		 sparse;	/* neither version nor sandboxes */
};

int	machine_json(struct machine *, const struct machine_props *,
	    struct apw_buf *out);

#endif
