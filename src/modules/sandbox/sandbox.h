/* Sandbox modes: what a mode can, and how it makes an engine process. */
#ifndef APW_SANDBOX_H
#define APW_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"

/* How an engine's network is kept from it. */
#define APW_FENCES(X)							\
	X(NONE, "none")		/* it has the host's */			\
	X(PORTS, "ports")	/* the host's, but it may connect to two	\
				 * ports only, by TCP: Landlock, seccomp */ \
	X(NETNS, "namespace")	/* a namespace of its own */
#define APW_FENCE_ENUM(name, text)	APW_FENCE_##name,

enum apw_fence { APW_FENCES(APW_FENCE_ENUM) APW_NFENCES };

const char *apw_fence_name(enum apw_fence);

/* How many engines a slot may have at a time: one seat each. */
#define APW_SANDBOX_SEATS	9

/* One engine to be booted; everything borrowed for the call. */
struct apw_box_spec {
	unsigned	   slot;
	unsigned	   seat;	/* where none is now */
	bool		   ahead;	/* it stands by, and a job works: that
					 * comes first */
	const char	  *sandbox_id;
	const char *const *argv;	/* argv[0] is the absolute path of node */
	const char *const *envp;	/* complete: nothing is inherited */
	const char	  *cwd;
	uint64_t	   memory_bytes; /* of the whole process tree */
	/* whose code and pieces it may see; NULL: nobody's */
	const char	  *flow_version_id;
	const char	  *platform_id;
	enum apw_network   network;	/* never AUTO */
	enum apw_fence	   fence;	/* as the module said it holds it */
	unsigned	   ports[2];	/* FENCE_PORTS: the only ones */
};

/* Where an engine finds things, when that is not where the host has them. */
struct apw_inside {
	const char	*node;
	const char	*bundle;
	const char	*codes;
	const char	*custom_pieces;	/* NULL: there are none */
	const char	*node_path;	/* NULL: as configured */
	const char	*ca_file;	/* NULL: as configured */
	const char	*deno;		/* NULL: as configured */
};

/* What is known of an engine's end beyond what waitid(2) tells. */
struct apw_sandbox_end {
	bool	 told;			/* code and signal are the engine's own */
	int	 code;			/* -1: a signal ended it */
	int	 signal;
	bool	 oom_known;		/* oom_kills counts this engine's and its
					 * children's only, in its last job */
	uint64_t oom_kills;
};

/* A booted engine; the caller owns what is in it. */
struct apw_child {
	pid_t	pid;		/* our child: the engine, or its box's init */
	pid_t	engine_pid;	/* the engine as we see it; for people */
	unsigned seat;
	int	pidfd;
	int	out_fd;		/* its real stdout and stderr, non-blocking */
	int	err_fd;
	/* Listeners inside of a network of its own, ports APW_BOX_LINK_PORT
	 * and APW_BOX_PROXY_PORT; -1: it has the host's network, or (proxy)
	 * needs none. */
	int	link_fd;
	int	proxy_fd;
};

struct apw_sandbox_ops {
	const char *const *modes;	/* names it serves, NULL-terminated */
	bool	warm;		/* by default one engine serves many jobs */
	bool	packages;	/* code steps may use npm packages */
	bool	isolates_v8;	/* engine runs code in V8 isolates: node flags */
	bool	boxed;		/* custom pieces are kept apart by platform;
				 * the heap must fit in the box's memory */

	/* Can this host do it?  On -1 err says what is missing and the way
	 * out; a slot then takes no job and `-t` fails. */
	int	(*probe)(const void *conf, struct apw_err *);
	/* Start the engine.  It must end when the caller ends. */
	int	(*boot)(const void *conf, const struct apw_box_spec *,
		    struct apw_child *, struct apw_err *);
	/* End everything that was started for this child, now. */
	void	(*kill)(const void *conf, const struct apw_child *);

	/* These may be NULL. */

	/* Paths of an engine's command line and environment; the strings live
	 * as long as the cycle. */
	void	(*inside)(const void *conf, const struct apw_cycle *,
		    struct apw_inside *);
	/* Can engines be held to this network, and how?  -1 and err: not
	 * here.  Called after probe; NULL: they have the host's. */
	int	(*fence)(const void *conf, enum apw_network, enum apw_fence *,
		    struct apw_err *);
	/* A warm engine gets a job of this flow and platform. */
	int	(*admit)(const void *conf, const struct apw_child *,
		    const char *flow_version_id, const char *platform_id,
		    struct apw_err *);
	/* It was booted ahead and yielded: nobody is there to yield to. */
	void	(*hurry)(const void *conf, const struct apw_child *);
	/* The child's process has ended and been reaped. */
	void	(*end)(const void *conf, const struct apw_child *,
		    struct apw_sandbox_end *);
	/* Becomes readable when no engine can be booted any more and the slot
	 * must be born again; -1: never. */
	int	(*watch_fd)(const void *conf);
};

/* In a slot's process at birth, before it gives privileges up: remember the
 * cycle, and start what needs them.  finish: nothing of it is left. */
int	apw_sandbox_begin(const struct apw_cycle *, unsigned slot,
	    struct apw_err *);
void	apw_sandbox_finish(void);
/* Could what needs privileges not be started at birth?  0: it could, or needed
 * none; 1: it could not, and a slot that is born anew may; -1: that one could
 * not either, err says why. */
int	apw_sandbox_unborn(struct apw_err *);
/* Readable when one of what was started then has ended; -1: there is none. */
int	apw_sandbox_watch_fd(void);
/* How many engines can be in boxes at a time, here and now. */
unsigned apw_sandbox_seats(void);
/* Does one that was booted ahead yield the processor to others? */
bool	apw_sandbox_yields(void);
/* Of this process; *cycle is NULL when it is no slot's. */
unsigned apw_sandbox_slot(const struct apw_cycle **cycle);

#endif
