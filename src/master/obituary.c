/* The obituary of a process: one line that says who it was, what it had in
 * hand, how it ended and what happens next.  Room: master. */
#include "master/procs_priv.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"

static const char *
exit_meaning(int code)
{
	switch (code) {
	case APW_EXIT_OK:	return "left by itself";
	case APW_EXIT_CONF:	return "failed";
	case APW_EXIT_BUG:	return "bug";
	case APW_EXIT_OS:	return "the system refused something";
	case APW_EXIT_TEMP:	return "try again later";
	case APW_EXIT_NOCONF:	return "needs another configuration";
	default:		return "unknown exit code";
	}
}

static const char *
end_meaning(const struct mproc *p)
{
	const char	*name;

	if (p->stalled)
		return "made no progress, was killed";
	if (p->state == MPROC_KILLED)
		return "killed while leaving";
	if (!WIFSIGNALED(p->status))
		return exit_meaning(WEXITSTATUS(p->status));
	name = sigabbrev_np(WTERMSIG(p->status));
	return name == NULL ? "unknown signal" : name;
}

/* A text of the scoreboard is written by a slot: bounded, and quoted by the
 * log when it is not plain. */
static void
score_copy(const struct mproc *p, char *dst, size_t n, const char *src,
    size_t src_n)
{
	dst[0] = '\0';
	if (p->score != NULL)
		apw_score_text(&p->score->seq, dst, n, src, src_n);
}

void
master_obituary(const struct mproc *p, const char *next, int64_t rest_ms)
{
	static const struct apw_score_slot none;
	const struct apw_score_slot *s = p->score == NULL ? &none : p->score;
	char	job[sizeof(s->job_id)], type[sizeof(s->job_type)],
		phase[sizeof(s->phase)];
	bool	signaled = WIFSIGNALED(p->status);
	enum apw_log_level level = p->state == MPROC_KILLED ||
	    p->state == MPROC_DRAINING ? APW_LOG_NOTICE : APW_LOG_WARN;
	struct apw_field f[14];
	size_t	n = 0;

	score_copy(p, job, sizeof(job), s->job_id, sizeof(s->job_id));
	score_copy(p, type, sizeof(type), s->job_type, sizeof(s->job_type));
	score_copy(p, phase, sizeof(phase), s->phase, sizeof(s->phase));
	if (master_is_slot(p))
		f[n++] = (struct apw_field)APW_KI("slot", p->number);
	f[n++] = (struct apw_field)APW_I("pid", p->pid);
	f[n++] = (struct apw_field)APW_I("age_ms", apw_now_ms() -
	    p->started_ms);
	if (p->number != 0)
		f[n++] = (struct apw_field)APW_S("job",
		    job[0] == '\0' ? NULL : job);
	if (type[0] != '\0')
		f[n++] = (struct apw_field)APW_S("type", type);
	if (phase[0] != '\0')
		f[n++] = (struct apw_field)APW_S("phase", phase);
	if (signaled) {
		f[n++] = (struct apw_field)APW_I("signal",
		    WTERMSIG(p->status));
		f[n++] = (struct apw_field)APW_S("core",
		    WCOREDUMP(p->status) ? "yes" : "no");
	} else
		f[n++] = (struct apw_field)APW_I("exit",
		    WEXITSTATUS(p->status));
	f[n++] = (struct apw_field)APW_S("cause", end_meaning(p));
	f[n++] = (struct apw_field)APW_S("next", next);
	if (rest_ms > 0)
		f[n++] = (struct apw_field)APW_I("rest_ms", rest_ms);
	f[n] = (struct apw_field){ .key = NULL };
	if (level > apw_log_level())
		return;
	apw_log_fields(level, APW_LOG_BURST, p->number == 0 ?
	    "monitor ended" : master_is_slot(p) ? "slot ended" :
	    "errand ended", f);
}
