/* Modules: static, collected by configure into apw_modules[]. */
#ifndef APW_MODULE_H
#define APW_MODULE_H

#include "core/apw_cycle.h"
#include "core/apw_err.h"

struct apw_directive;
struct apw_fit;			/* core/apw_fit.h */
struct apw_sandbox_ops;		/* modules/sandbox/sandbox.h */
struct apw_source_ops;		/* modules/source/source.h */
struct apw_job_ops;		/* job/job.h */

enum apw_module_kind { APW_MODULE_SANDBOX, APW_MODULE_SOURCE, APW_MODULE_JOB };

struct apw_module {
	const char		*name;		/* "sandbox_unsandboxed" */
	const char		*block;		/* word after "source"/"sandbox", NULL: none */
	enum apw_module_kind	 kind;
	size_t			 index;		/* in apw_modules[]; set by apw_modules_init() */
	const struct apw_directive *directives;	/* of its block; NULL or ends with .name == NULL */
	size_t			 conf_size;
	const char		*help;		/* of its block, for the manual */
	/* All of the cycle is parsed: are the values good together?  May add
	 * several complaints through apw_conf_complain(). */
	int	(*check)(struct apw_cycle *, void *conf, struct apw_err *);
	/* In the master, before it gives privileges up, at each start and
	 * reload: make what its processes may not (master/dirs.h).  May be
	 * NULL. */
	int	(*prepare)(struct apw_cycle *, void *conf, struct apw_err *);
	/* With the privileges of its slots: what would they refuse?  May be
	 * NULL. */
	void	(*fit)(struct apw_fit *, const void *conf);
	/* The ith folder that its slots wait on, for the master to watch;
	 * false: no more.  May be NULL. */
	bool	(*folder)(const void *conf, unsigned i, char *path,
		    size_t size);
	union {
		const struct apw_sandbox_ops	*sandbox;
		const struct apw_source_ops	*source;
		const struct apw_job_ops	*job;
	} ops;
};

extern struct apw_module *const apw_modules[];	/* ends with NULL; written by configure */

void	apw_modules_init(void);
size_t	apw_modules_count(void);
/* By kind and block word ("app", "SANDBOX_CODE_ONLY"); NULL: not built in. */
const struct apw_module *apw_module_find(enum apw_module_kind, const char *block);

#endif
