/* What flows did on the network; see account.h.  Room: egress. */
#include "egress/account.h"

#include <inttypes.h>

#include "core/apw_log.h"

enum apw_egress_verdict
apw_egress_verdict_of(enum apw_dial_end end)
{
	static const enum apw_egress_verdict	verdicts[] = {
		[APW_DIAL_DONE] = APW_EGRESS_ALLOWED,
		[APW_DIAL_PORT] = APW_EGRESS_PORT,
		[APW_DIAL_ADDRESS] = APW_EGRESS_ADDRESS,
		[APW_DIAL_NAME] = APW_EGRESS_NAME,
		[APW_DIAL_CONNECT] = APW_EGRESS_CONNECT,
		[APW_DIAL_TIME] = APW_EGRESS_TIME,
		[APW_DIAL_UPSTREAM] = APW_EGRESS_UPSTREAM,
	};

	return verdicts[end];
}

const char *
apw_egress_verdict_name(enum apw_egress_verdict v)
{
#define NAME(name, text) text,
	static const char *const	names[] = { APW_EGRESS_VERDICTS(NAME) };
#undef NAME

	return v < APW_EGRESS_NVERDICTS ? names[v] : "?";
}

void
apw_egress_account_json(const struct apw_egress_account *a,
    struct apw_buf *out)
{
	apw_buf_printf(out, "{\"allowed\":%" PRIu64 ",\"blocked\":%" PRIu64
	    ",\"failed\":%" PRIu64 ",\"sentBytes\":%" PRIu64
	    ",\"receivedBytes\":%" PRIu64 "}", a->allowed, a->blocked,
	    a->failed, a->sent_bytes, a->received_bytes);
}

static void
count(struct apw_egress_books *b, const struct apw_egress_record *r)
{
	struct apw_egress_account	*a = &b->account;
	struct apw_score_slot		*s = b->score;

	a->sent_bytes += r->sent_bytes;
	a->received_bytes += r->received_bytes;
	if (r->verdict == APW_EGRESS_ALLOWED)
		a->allowed++;
	else if (r->verdict == APW_EGRESS_ADDRESS ||
	    r->verdict == APW_EGRESS_PORT || r->verdict == APW_EGRESS_LIMIT)
		a->blocked++;
	else
		a->failed++;
	if (s == NULL)
		return;
	s->egress_sent_bytes += r->sent_bytes;
	s->egress_received_bytes += r->received_bytes;
	if (r->verdict == APW_EGRESS_ALLOWED)
		s->egress_allowed++;
	else if (r->verdict == APW_EGRESS_ADDRESS ||
	    r->verdict == APW_EGRESS_PORT || r->verdict == APW_EGRESS_LIMIT)
		s->egress_blocked++;
	else
		s->egress_failed++;
}

void
apw_egress_books_enter(struct apw_egress_books *b,
    const struct apw_egress_record *r)
{
	enum apw_log_level	level = APW_LOG_INFO;

	count(b, r);
	/* a flow that loops must not fill the disk */
	if (b->lines == APW_EGRESS_LINES) {
		b->unlogged++;
		return;
	}
	b->lines++;
	if (r->verdict == APW_EGRESS_ADDRESS ||
	    r->verdict == APW_EGRESS_PORT || r->verdict == APW_EGRESS_LIMIT)
		level = APW_LOG_WARN;
	apw_log_each(level, "egress", APW_S("run", r->run),
	    APW_S("verdict", apw_egress_verdict_name(r->verdict)),
	    APW_S("method", r->method), APW_S("host", r->host),
	    APW_I("port", r->port), APW_S("address", r->address),
	    APW_S("why", r->why), APW_I("sent", r->sent_bytes),
	    APW_I("received", r->received_bytes), APW_I("ms", r->ms));
}

void
apw_egress_books_close(struct apw_egress_books *b, const char *run,
    struct apw_egress_account *sum)
{
	if (b->unlogged > 0)
		apw_warn("egress, and more of it that is not listed",
		    APW_S("run", run), APW_I("decisions", b->unlogged));
	if (sum != NULL)
		*sum = b->account;
	b->account = (struct apw_egress_account){ 0 };
	b->lines = b->unlogged = 0;
}
