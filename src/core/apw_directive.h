/* Directives: one table per context or module that parses, bounds,
 * documents and says what a reload does.  The manual page, -T and the
 * "did you mean" list are made from these tables. */
#ifndef APW_DIRECTIVE_H
#define APW_DIRECTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "core/apw_cycle.h"

struct apw_conf;		/* the reader; core/apw_conf.h */
struct apw_directive;

enum apw_reload {
	APW_NOW,		/* taken over by the running processes */
	APW_NEW_SLOTS,		/* new slots have it, old ones drain */
	APW_RESTART,		/* needs a restart; a reload says so and keeps the old */
};

/* Parse args[0..nargs) into conf + d->offset.  On failure fill err with what
 * was found and expected (the reader adds file:line:column) and set *bad to
 * the index of the wrong argument. */
typedef int apw_set_fn(struct apw_conf *, const struct apw_directive *d,
    void *conf, char *const *args, size_t nargs, size_t *bad,
    struct apw_err *);

struct apw_bounds {
	int64_t	min, max;
};
#define APW_BOUNDS(lo, hi)	(&(const struct apw_bounds){ (lo), (hi) })

struct apw_enum {
	const char	*name;
	int		 value;
};

struct apw_directive {
	const char	*name;		/* NULL ends the table */
	struct { unsigned char min, max; } args;	/* max 255: any number */
	apw_set_fn	*set;
	size_t		 offset;
	const void	*limits;	/* bounds, enum table, or NULL */
	const char	*dflt;		/* text for the same setter; NULL: none */
	const char	*env;		/* AP_* variable that is its default, or NULL;
					 * $CREDENTIALS_DIRECTORY means the file
					 * worker-token in it */
	enum apw_reload	 reload;
	bool		 many;		/* may be given more than once; the value
					 * at offset is a struct apw_strlist */
	bool		 secret;	/* two of them at one offset are rivals:
					 * one of them may be given */
	const char	*arg_help;	/* "SIZE", "on | off": for the manual page */
	const char	*help;		/* one sentence or two: the manual page's words */
};

/* For setters of modules.  Memory of the cycle; a path made absolute to the
 * prefix (NULL: out of memory); a warning at the directive's place; what -T
 * shows for argument i instead of what was written (kept, not copied; NULL
 * drops it and what follows). */
struct apw_arena *apw_conf_arena(struct apw_conf *);
char	*apw_conf_absolute(struct apw_conf *, const char *path);
void	 apw_conf_warn(struct apw_conf *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	 apw_conf_show(struct apw_conf *, size_t i, const char *text);
/* Set another directive of the same context as if it had been written here.
 * -1: the complaint was made. */
int	 apw_conf_set_other(struct apw_conf *, const char *name, char *arg,
	    struct apw_err *);

/* Setters.  The type each one writes is in its comment. */
apw_set_fn apw_set_flag;	/* bool */
apw_set_fn apw_set_unsigned;	/* unsigned, limits: struct apw_bounds */
apw_set_fn apw_set_ms;		/* int64_t ms: "250ms" "30s" "5m" "2h" "7d", bounds in ms */
apw_set_fn apw_set_bytes;	/* uint64_t: "64k" "256m" "1g", bounds in bytes */
apw_set_fn apw_set_enum;	/* int-sized enum, limits: struct apw_enum[] */
apw_set_fn apw_set_string;	/* char * */
apw_set_fn apw_set_path;	/* char *: absolute, or made absolute to the prefix (-p) */
apw_set_fn apw_set_list;	/* struct apw_strlist: appends all arguments */
apw_set_fn apw_set_url;		/* char *: http or https URL */
apw_set_fn apw_set_secret;	/* struct apw_secret from the argument's text */
apw_set_fn apw_set_secret_file;	/* struct apw_secret from a file (trailing newline cut) */

#endif
