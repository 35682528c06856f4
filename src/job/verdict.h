/* Why an engine ended: evidence in, one class out. */
#ifndef APW_JOB_VERDICT_H
#define APW_JOB_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

/* What is known about the end of an engine; filled in by the slot. */
struct apw_evidence {
	const char	*sandbox_id;
	bool		 connected;	/* it had called back */
	bool		 timer;		/* we killed it: the time limit */
	bool		 late_start;	/* and that is why: it was to connect */
	const char	*ours;		/* we killed it for this reason; NULL: not so */
	bool		 ended;		/* its process has been reaped */
	int		 code;		/* exit code, -1 when a signal ended it */
	int		 signal;	/* 0 when it exited */
	bool		 box_killed;	/* it did not end: its whole box was killed */
	bool		 oom_kill;	/* the kernel counted a kill for memory meanwhile */
	bool		 oom_own;	/* and it was the engine or a child of its */
	bool		 children;	/* which runs pieces, and outlives them */
	bool		 heap_text;	/* it wrote that its heap is full */
	bool		 log_size_text;	/* it wrote that the run's data is too large */
	const char	*lost;		/* how its connection ended, or NULL */
	const char	*refused;	/* why a connection was turned away, or NULL */
	int64_t		 ran_ms;	/* since it was started */
	struct apw_str	 out, err;	/* what it wrote, for the message */
};

#define APW_VERDICTS(X)							\
	X(TIME_LIMIT, "time limit")	/* ours, on time */		\
	X(STOPPED, "stopped")		/* ours, for another reason */	\
	X(EXITED_EARLY, "exited before connecting")			\
	X(NOT_CONNECTED, "did not connect")				\
	X(MEMORY, "memory")						\
	X(LOG_SIZE, "log size")						\
	X(FILTER, "syscall filter")	/* a call of another machine's */ \
	X(KILLED_OUTSIDE, "killed from outside")			\
	X(LOST, "connection lost")					\
	X(EXITED, "exited")
#define APW_VERDICT_ENUM(name, text)	APW_VERDICT_##name,

enum apw_verdict { APW_VERDICTS(APW_VERDICT_ENUM) APW_NVERDICTS };

/* The texts that V8 and the engine write, searched for by the capture. */
extern const char *const apw_verdict_heap_words[];	/* NULL-terminated */
extern const char	 apw_verdict_log_size_words[];

enum apw_verdict apw_verdict(const struct apw_evidence *);
/* Whose failure it is: an engine that never called back has seen nothing of a
 * job. */
enum apw_fault apw_verdict_fault(const struct apw_evidence *);
const char *apw_verdict_name(enum apw_verdict);

/* Append the error text that the app and its users see. */
void	apw_verdict_message(enum apw_verdict, const struct apw_evidence *,
	    struct apw_buf *);

#endif
