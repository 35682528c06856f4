/* The log: one event, one line, typed fields; text or JSON.
 *
 *	apw_warn("engine exited before connecting",
 *	    APW_I("signal", 9), APW_I("ran_ms", 412));
 *
 * prints, in text,
 *
 *	2030-01-31T12:00:01.204Z warn slot/3 job=Jx12 engine exited before
 *	connecting signal=9 ran_ms=412			(on one line)
 *
 * The event text is a constant sentence; what varies goes into fields.
 * A secret is never a field.
 *
 * A line that somebody outside, an engine or a fault that lasts can cause
 * again and again is an apw_warn_often() (error, notice, info): the first of
 * its phrase is written, the others are counted, and once a minute one line
 * says "...: 4,211 more in the last 60 s", with the fields of the last.  Two
 * facts of one phrase are told apart by fields made with APW_K(), which must
 * not be what a stranger chooses.  Every other line has the same bound at
 * APW_LOG_BURST lines of its phrase and job a minute; apw_log_each() has none:
 * for what is bounded already. */
#ifndef APW_LOG_H
#define APW_LOG_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/apw_err.h"
#include "core/apw_str.h"

enum apw_log_level {
	APW_LOG_ALERT,		/* a bug, or the daemon cannot do its work */
	APW_LOG_ERROR,
	APW_LOG_WARN,
	APW_LOG_NOTICE,
	APW_LOG_INFO,
	APW_LOG_DEBUG,
};

enum apw_log_format { APW_LOG_TEXT, APW_LOG_JSON };

struct apw_field {
	const char	*key;		/* NULL ends the list */
	const char	*s;		/* value when not NULL */
	size_t		 n;		/* its length; SIZE_MAX: a C string */
	int64_t		 i;		/* value otherwise */
	bool		 tells_apart;	/* lines with other values are others */
};

#define APW_S(k, v)	{ .key = (k), .s = (v) != NULL ? (v) : "-", .n = SIZE_MAX }
#define APW_SN(k, v)	{ .key = (k), .s = (v).n ? (v).p : "", .n = (v).n }
#define APW_I(k, v)	{ .key = (k), .i = (int64_t)(v) }
/* A text that tells lines of one phrase apart, when repeats are counted. */
#define APW_K(k, v)	{ .key = (k), .s = (v) != NULL ? (v) : "-", .n = SIZE_MAX, \
			  .tells_apart = true }
#define APW_KI(k, v)	{ .key = (k), .i = (int64_t)(v), .tells_apart = true }
#define APW_E(err)	{ .key = "error", .s = (err)->text, .n = SIZE_MAX }

#define APW_LOG_BURST	40	/* lines of one phrase and job a minute */
#define APW_LOG_EACH	0	/* no bound */

#define apw_log_upto(level, burst, text, ...) do {			\
	if ((level) <= apw_log_level())					\
		apw_log_fields((level), (burst), (text),		\
		    (const struct apw_field[]){				\
		    __VA_ARGS__ __VA_OPT__(,) { .key = NULL } });	\
} while (0)

#define apw_log(level, ...)	apw_log_upto((level), APW_LOG_BURST, __VA_ARGS__)
#define apw_log_each(level, ...) apw_log_upto((level), APW_LOG_EACH, __VA_ARGS__)
#define apw_log_often(level, ...) apw_log_upto((level), 1, __VA_ARGS__)

#define apw_alert(...)	apw_log(APW_LOG_ALERT, __VA_ARGS__)
#define apw_error(...)	apw_log(APW_LOG_ERROR, __VA_ARGS__)
#define apw_warn(...)	apw_log(APW_LOG_WARN, __VA_ARGS__)
#define apw_notice(...)	apw_log(APW_LOG_NOTICE, __VA_ARGS__)
#define apw_info(...)	apw_log(APW_LOG_INFO, __VA_ARGS__)
#define apw_debug(...)	apw_log_each(APW_LOG_DEBUG, __VA_ARGS__)

#define apw_error_often(...)	apw_log_often(APW_LOG_ERROR, __VA_ARGS__)
#define apw_warn_often(...)	apw_log_often(APW_LOG_WARN, __VA_ARGS__)
#define apw_notice_often(...)	apw_log_often(APW_LOG_NOTICE, __VA_ARGS__)
#define apw_info_often(...)	apw_log_often(APW_LOG_INFO, __VA_ARGS__)

/* `burst` lines of this phrase, job and APW_K() are written in a minute. */
void	apw_log_fields(enum apw_log_level, unsigned burst, const char *text,
	    const struct apw_field *);

/* From each loop, once a second or so, with apw_now_ms(): counts whose minute
 * is over are told, and how many lines could not be written. */
void	apw_log_tick(int64_t now_ms);
/* Before a process ends: what is counted is told. */
void	apw_log_finish(void);
/* Lines that are dropped are added up there, too; borrowed. */
void	apw_log_count_dropped(_Atomic uint64_t *);

enum apw_log_level apw_log_level(void);
const char *apw_log_level_name(enum apw_log_level);

/* The descriptor that "stderr" or "stdout" means; -1: it is a path. */
int	apw_log_std(const char *path);
/* Where lines go: a file (opened for appending, 0640), a FIFO, a terminal,
 * "stderr" or "stdout"; "syslog" is not offered.  Neither this nor a line ever waits for
 * who reads there: what cannot be written is dropped and counted, and the
 * count is told when it can.  (A file's disk is waited for.)  Returns -1 and
 * keeps the old place on failure.  Before the first call lines go to stderr at
 * level notice. */
int	apw_log_open(const char *path, enum apw_log_level, enum apw_log_format,
	    struct apw_err *);
/* Open the same path anew (log rotation). */
int	apw_log_reopen(struct apw_err *);
/* The descriptor lines are written to. */
int	apw_log_fd(void);
bool	apw_log_is_stderr(void);
/* A stream to standard error that never waits either, and loses what it must:
 * for what is printed by who will be a daemon.  NULL: no memory. */
FILE	*apw_log_stream(void);

/* Whose lines these are: "master", "monitor", "slot/3". */
void	apw_log_room(const char *room);
/* The job in hand, on each line until NULL; copied. */
void	apw_log_job(const char *job_id);

/* Print "<room>: rule broken: …" with the place, and abort(). */
#define APW_ASSERT(x)	((x) ? (void)0 :				\
	apw_assert_failed(#x, __FILE__, __LINE__, __func__))
_Noreturn void apw_assert_failed(const char *expr, const char *file, int line,
	    const char *func);

/* A struct that travels through a void pointer starts with a magic number. */
#define APW_CAST(ptr, from, want) do {					\
	(ptr) = (from);							\
	APW_ASSERT((ptr) != NULL && (ptr)->magic == (want));		\
} while (0)

#endif
