/* Sandbox modes: what a mode can, and how it makes an engine process. */
#ifndef APW_SANDBOX_H
#define APW_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_err.h"

/* One engine to be booted; everything borrowed for the call. */
struct apw_box_spec {
	unsigned	   slot;
	const char	  *sandbox_id;
	const char *const *argv;	/* argv[0] is the absolute path of node */
	const char *const *envp;	/* complete: nothing is inherited */
	const char	  *cwd;
	uint64_t	   memory_bytes; /* of the whole process tree */
};

/* A booted engine; the caller owns what is in it. */
struct apw_child {
	pid_t	pid;
	int	pidfd;
	int	out_fd;		/* its real stdout and stderr, non-blocking */
	int	err_fd;
};

struct apw_sandbox_ops {
	const char *const *modes;	/* names it serves, NULL-terminated */
	bool	warm;		/* by default one engine serves many jobs */
	bool	packages;	/* code steps may use npm packages */
	bool	isolates_v8;	/* engine runs code in V8 isolates: node flags */

	/* Can this host do it?  On -1 err says what is missing and the way
	 * out; a slot then takes no job and `-t` fails. */
	int	(*probe)(const void *conf, struct apw_err *);
	/* Start the engine.  It must end when the caller ends. */
	int	(*boot)(const void *conf, const struct apw_box_spec *,
		    struct apw_child *, struct apw_err *);
	/* End everything that was started for this child, now. */
	void	(*kill)(const void *conf, const struct apw_child *);
};

#endif
