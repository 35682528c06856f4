/* Jobs of a type that nothing here does.  Room: job.
 *
 * The app is answered at once, so that whoever waits for such a job is told and
 * nothing hangs; we say it once a type, and count all of them. */
#include "job/job_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_log.h"
#include "link/app_dialect.h"

#define TYPES_MAX	16		/* that are told one by one */
#define TYPE_MAX	64

/* Has this type been told?  Types are the app's words: there is an end to
 * those that we remember, and then to what is told. */
static bool
told_before(const char *type)
{
	static char	told[TYPES_MAX][TYPE_MAX];
	static size_t	n;
	size_t		i;

	for (i = 0; i < n; i++)
		if (strncmp(told[i], type, TYPE_MAX - 1) == 0)
			return true;
	if (n == TYPES_MAX)
		return true;
	snprintf(told[n++], TYPE_MAX, "%s", type);
	return false;
}

void
job_unsupported(struct apw_job *job)
{
	const char	*since = apw_app_job_since(apw_str_c(job->type));
	char		 text[160];

	if (since != NULL)
		snprintf(text, sizeof(text), "apps have them since %s%s",
		    since[0] >= '0' && since[0] <= '9' ? "release " : "",
		    since);
	else
		snprintf(text, sizeof(text), "it knows apps up to release "
		    APW_APP_RELEASE_NEWEST);
	if (!told_before(job->type))
		apw_warn("jobs of a type that this build does not do: each is "
		    "ended at once, with words for whoever waits",
		    APW_S("type", job->type), APW_S("since", since != NULL ?
		    since : "not known"), APW_S("app_version",
		    job->env.settings->app_version));
	atomic_fetch_add(&job->env.score->jobs_unknown, 1);
	job_conclude(job, APW_ENDING_UNSUPPORTED, "VALIDATION: jobs of type "
	    "%.64s are not supported by this build of the worker; %s",
	    job->type, text);
}
