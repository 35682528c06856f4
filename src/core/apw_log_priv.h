/* What the files of the log share: apw_log.c is the front, the others compose
 * a line, count repeats, and write.  Room: any. */
#ifndef APW_LOG_PRIV_H
#define APW_LOG_PRIV_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_log.h"

/* With its newline no more than a pipe takes at once, or not at all. */
#define LOG_LINE_BYTES	4096
#define LOG_FIELDS_MAX	32	/* of one line; more are counted as cut */

struct log_line {
	char	 text[LOG_LINE_BYTES];
	size_t	 len;
};

/* What stands before the fields of a line. */
struct log_head {
	int64_t			 wall_ms;
	enum apw_log_level	 level;
	enum apw_log_format	 format;
	const char		*room;
	const char		*job;	/* "": none */
};

/* apw_log_line.c: whole with its newline; cut where it is too long, but still
 * one line, and in JSON one value in which no key occurs twice. */
void	log_line_compose(struct log_line *, const struct log_head *,
	    const char *text, const struct apw_field *);

/* apw_log_repeat.c */
typedef void log_say_fn(enum apw_log_level, const char *job, const char *text,
	    const struct apw_field *);
/* May this line be written?  If not it has been counted.  Windows that are
 * over tell their counts by `say` first. */
bool	log_repeat_pass(enum apw_log_level, unsigned burst, const char *job,
	    const char *text, const struct apw_field *, int64_t now_ms,
	    log_say_fn *);
/* All windows that are over at `now_ms`; all of them when `all`. */
void	log_repeat_flush(int64_t now_ms, bool all, log_say_fn *);
void	log_repeat_forget(void);	/* in a fresh child */

/* apw_log_write.c: where lines go.  No call waits for whoever reads there. */
struct log_out {
	int		 fd;
	bool		 known;		/* what it is, below */
	bool		 socket, file;
	bool		 ask;		/* the description is shared with who
					 * started us, and may block */
	bool		 torn;		/* half a line stands there */
	uint64_t	 dropped;	/* lines, since the last that went */
	int64_t		 since_ms;
	int		 error;		/* why the first of them did not go */
};
/* 0: the whole of it was written. -1: not, errno says why; what was begun is
 * ended by a newline before the next line. */
int	log_out_write(struct log_out *, const char *, size_t);
/* Opens without waiting; a FIFO without a reader, too. */
int	log_out_open(struct log_out *, const char *path, struct apw_err *);
/* Standard error or output, by a description of our own where that can be
 * had. */
void	log_out_std(struct log_out *, int std);

#endif
