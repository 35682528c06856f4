/* The verdict; see verdict.h.  Room: job.
 *
 * The order of the tests is the rule: what we did ourselves comes first,
 * then what proves memory, then the rest.  Memory is proved by the kernel's
 * count, or by the way the engine ended:
 *
 *	its control group counted a kill	also that of a child: the engine
 *		has ended for want of what that was to do; one that runs
 *		pieces in children goes on, and says of the step what it was:
 *		what ends such an engine later is not their memory
 *	SIGKILL, and somebody was killed	where the count is of more than
 *		this engine; without it somebody outside sent the signal, and
 *		the message says so
 *	SIGABRT, also as a shell tells it	so V8 ends when its heap is full,
 *		and the app's own worker takes any of them for that
 *	SIGILL, SIGTRAP, and V8's words		its other ways to end at once
 *
 * Words alone prove nothing: any step can write them. */
#include "job/verdict.h"

#include <signal.h>
#include <string.h>

#define EXIT_SIGNAL	128	/* and the number: how a shell tells a signal */

const char *const apw_verdict_heap_words[] = {
	"JavaScript heap out of memory",
	"Allocation failed - ",
	NULL
};
const char apw_verdict_log_size_words[] =
    "Flow run data size exceeded the maximum allowed size";

static bool
verdict_signal(const struct apw_evidence *ev, int signal)
{
	return ev->signal == signal || ev->code == EXIT_SIGNAL + signal;
}

static bool
verdict_memory(const struct apw_evidence *ev)
{
	return (ev->oom_own && (!ev->children || ev->signal == SIGKILL)) ||
	    (ev->oom_kill && ev->signal == SIGKILL) ||
	    verdict_signal(ev, SIGABRT) || (ev->heap_text &&
	    (verdict_signal(ev, SIGILL) || verdict_signal(ev, SIGTRAP)));
}

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
	if (verdict_memory(ev))
		return APW_VERDICT_MEMORY;
	if (ev->log_size_text)
		return APW_VERDICT_LOG_SIZE;
	/* raise(2) can say so, too: then it speaks of itself */
	if (verdict_signal(ev, SIGSYS))
		return APW_VERDICT_FILTER;
	if (ev->signal == SIGKILL)
		return APW_VERDICT_KILLED_OUTSIDE;
	return APW_VERDICT_EXITED;
}

enum apw_fault
apw_verdict_fault(const struct apw_evidence *ev)
{
	return !ev->connected && !ev->timer &&
	    (ev->ours == NULL || ev->late_start) ? APW_FAULT_HOST :
	    APW_FAULT_UNKNOWN;
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
		if (ev->oom_own)
			apw_buf_puts(out, "; the kernel killed there for "
			    "memory");
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
