/* The verdict; see verdict.h.  Room: job.
 *
 * The order of the tests is the rule: what we did ourselves comes first,
 * then what proves memory, then the rest.  A SIGKILL proves nothing by
 * itself: only with the kernel's count of memory kills is it memory, else
 * somebody outside sent it and the message says so. */
#include "job/verdict.h"

#include <signal.h>
#include <string.h>

#define EXIT_ABORTED	134	/* how a shell or init reports SIGABRT */
#define EXIT_FILTERED	159	/* and SIGSYS */

const char *const apw_verdict_heap_words[] = {
	"JavaScript heap out of memory",
	"Allocation failed - ",
	NULL
};
const char apw_verdict_log_size_words[] =
    "Flow run data size exceeded the maximum allowed size";

enum apw_verdict
apw_verdict(const struct apw_evidence *ev)
{
	if (ev->timer)
		return APW_VERDICT_TIME_LIMIT;
	if (!ev->connected && ev->ours == NULL)
		return APW_VERDICT_EXITED_EARLY;
	if (!ev->connected)
		return APW_VERDICT_NOT_CONNECTED;
	if (ev->ours != NULL)
		return ev->lost != NULL ? APW_VERDICT_LOST :
		    APW_VERDICT_STOPPED;
	if (ev->heap_text || ev->code == EXIT_ABORTED ||
	    ev->signal == SIGABRT || (ev->signal == SIGKILL && ev->oom_kill))
		return APW_VERDICT_MEMORY;
	if (ev->log_size_text)
		return APW_VERDICT_LOG_SIZE;
	/* raise(2) can say so, too: then it speaks of itself */
	if (ev->signal == SIGSYS || ev->code == EXIT_FILTERED)
		return APW_VERDICT_FILTER;
	if (ev->signal == SIGKILL)
		return APW_VERDICT_KILLED_OUTSIDE;
	return APW_VERDICT_EXITED;
}

#define VERDICT_NAME(name, text)	text,

const char *
apw_verdict_name(enum apw_verdict v)
{
	static const char *const names[] = { APW_VERDICTS(VERDICT_NAME) };

	return v < APW_NVERDICTS ? names[v] : "unknown";
}

/* "code 7 and signal null", in the app's words */
static void
verdict_status(const struct apw_evidence *ev, const char *between,
    struct apw_buf *out)
{
	const char	*name = sigabbrev_np(ev->signal);

	if (ev->code >= 0)
		apw_buf_printf(out, "%d", ev->code);
	else
		apw_buf_puts(out, "null");
	apw_buf_puts(out, between);
	if (ev->signal == 0)
		apw_buf_puts(out, "null");
	else if (name != NULL)
		apw_buf_printf(out, "SIG%s", name);
	else
		apw_buf_printf(out, "%d", ev->signal);
}

static void
verdict_streams(const struct apw_evidence *ev, struct apw_buf *out)
{
	apw_buf_puts(out, " standardOutput=");
	apw_buf_str(out, ev->out);
	apw_buf_puts(out, " standardError=");
	apw_buf_str(out, ev->err);
}

void
apw_verdict_message(enum apw_verdict v, const struct apw_evidence *ev,
    struct apw_buf *out)
{
	switch (v) {
	case APW_VERDICT_TIME_LIMIT:
		apw_buf_puts(out, "SANDBOX_EXECUTION_TIMEOUT");
		return;
	case APW_VERDICT_MEMORY:
		apw_buf_puts(out, "SANDBOX_MEMORY_ISSUE");
		return;
	case APW_VERDICT_LOG_SIZE:
		apw_buf_puts(out, "SANDBOX_LOG_SIZE_EXCEEDED");
		return;
	case APW_VERDICT_EXITED_EARLY:
		apw_buf_printf(out, "Sandbox %s exited before connecting (code=",
		    ev->sandbox_id);
		verdict_status(ev, ", signal=", out);
		apw_buf_puts(out, ")");
		break;
	case APW_VERDICT_NOT_CONNECTED:
		apw_buf_printf(out, "Sandbox %s %s", ev->sandbox_id, ev->ours);
		if (ev->refused != NULL)
			apw_buf_printf(out, " (%s)", ev->refused);
		break;
	case APW_VERDICT_LOST:
		apw_buf_printf(out, "SANDBOX_INTERNAL_ERROR: the engine's "
		    "connection was lost (%s)", ev->lost);
		break;
	case APW_VERDICT_STOPPED:
		apw_buf_printf(out, "SANDBOX_INTERNAL_ERROR: the engine was "
		    "stopped: %s", ev->ours);
		break;
	case APW_VERDICT_KILLED_OUTSIDE:
		apw_buf_puts(out, "SANDBOX_INTERNAL_ERROR: Worker exited with "
		    "code null and signal SIGKILL, sent from outside: neither "
		    "this worker nor the kernel's memory killer did it");
		if (ev->box_killed)
			apw_buf_puts(out, "; its whole box was killed");
		break;
	case APW_VERDICT_FILTER:
		apw_buf_puts(out, "SANDBOX_INTERNAL_ERROR: Worker exited with "
		    "code null and signal SIGSYS: it made a system call that "
		    "the sandbox ends programs for");
		break;
	default:
		apw_buf_puts(out,
		    "SANDBOX_INTERNAL_ERROR: Worker exited with code ");
		verdict_status(ev, " and signal ", out);
		break;
	}
	verdict_streams(ev, out);
}
