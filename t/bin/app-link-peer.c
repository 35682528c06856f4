/*
 * Test driver of the app link; see link-driver.h.
 *
 *	app-link-peer [-P path] [-a auth_json] [-C ca_file] [-k] [-x proxy]
 *	    [-T open_timeout_ms] [-m max_message_bytes] URL
 *
 *	open | rpc METHOD TIMEOUT_MS JSON | ack EVENT TIMEOUT_MS JSON |
 *	big METHOD BYTES | emit EVENT JSON | cancel N | leave | payload |
 *	free-on-reply | free-on-closed | open-on-closed
 *
 * open, closed REJECTED REASON, sent N, reply N OUTCOME NBINARY TEXT,
 * event NAME ARGS, left, payload BYTES, failed CODE WHY
 */
#include "link-driver.h"

#include <errno.h>
#include <unistd.h>

#include "link/app_link.h"

static struct apw_app_link *peer;
static bool free_on_reply, free_on_closed, open_on_closed;

static void
on_open(void *arg)
{
	(void)arg;
	say(NOTHING, "open");
}

static void
drop(void)
{
	apw_app_link_free(peer);
	peer = NULL;
	say(NOTHING, "freed");
}

static void
on_closed(void *arg, const char *reason, bool rejected)
{
	(void)arg;
	say(NOTHING, "closed %d %s", rejected, reason);
	if (free_on_closed)
		drop();
	else if (open_on_closed) {
		open_on_closed = false;
		apw_app_link_open(peer);
	}
}

static void
on_event(void *arg, struct apw_str name, struct apw_str args)
{
	(void)arg;
	say(args, "event %.*s ", (int)name.n, name.p);
}

static void
on_left(void *arg)
{
	(void)arg;
	say(NOTHING, "left");
}

/* A sum that the other side can work out as well. */
static unsigned long
sum_of(struct apw_str s)
{
	unsigned long	sum = 0;
	size_t		i;

	for (i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
	return sum;
}

static void
on_reply(void *arg, const struct apw_app_link_reply *r)
{
	static const char *const outcomes[] = { "ok", "refused", "timeout",
	    "lost" };
	size_t	i;

	say(r->error != NULL ? apw_str_c(r->error) : r->result.n > 4096 ?
	    APW_STR("large") : r->result, "reply %zu %s %zu ",
	    (size_t)arg, outcomes[r->outcome], r->nbinary);
	for (i = 0; i < r->nbinary; i++)
		say(NOTHING, "binary %zu %zu %lu", i, r->binary[i].n,
		    sum_of(r->binary[i]));
	if (free_on_reply)
		drop();
}

static size_t	serial;

static void
sent(uint32_t id, const struct apw_err *err)
{
	if (id == 0)
		say(NOTHING, "failed %s %s", err->code == ENOTCONN ?
		    "ENOTCONN" : err->code == EMSGSIZE ? "EMSGSIZE" :
		    err->code == ENOBUFS ? "ENOBUFS" : "?", err->text);
	else
		say(NOTHING, "sent %zu %u", serial, id);
}

static void
call_big(const char *method, size_t n)
{
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_str	 parts[3] = { APW_STR("{\"big\":\""), { NULL, n },
	    APW_STR("\"}") };
	char		*text = malloc(n + 1);

	memset(text, 'x', n);
	parts[1].p = text;
	serial++;
	sent(apw_app_link_rpc(peer, method, parts, 3, NULL, 0, on_reply,
	    (void *)serial, &err), &err);
	free(text);
}

static void
command(char *name, char *rest)
{
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_str	 text;
	char		*what;
	unsigned	 ms;

	if (peer == NULL)
		return;
	if (strcmp(name, "open") == 0)
		apw_app_link_open(peer);
	else if (strcmp(name, "rpc") == 0 || strcmp(name, "ack") == 0) {
		what = word(&rest);
		ms = (unsigned)atoi(word(&rest));
		text = apw_str_c(rest);
		serial++;
		sent(name[0] == 'r' ? apw_app_link_rpc(peer, what, &text, 1, NULL,
		    ms, on_reply, (void *)serial, &err) :
		    apw_app_link_emit_ack(peer, what, &text, text.n > 0, ms,
		    on_reply, (void *)serial, &err), &err);
	} else if (strcmp(name, "big") == 0) {
		what = word(&rest);
		call_big(what, strtoul(rest, NULL, 10));
	} else if (strcmp(name, "emit") == 0) {
		what = word(&rest);
		text = apw_str_c(rest);
		if (apw_app_link_emit(peer, what, &text, text.n > 0,
		    &err) == -1)
			sent(0, &err);
	} else if (strcmp(name, "cancel") == 0)
		apw_app_link_cancel(peer, (uint32_t)atol(rest));
	else if (strcmp(name, "leave") == 0)
		apw_app_link_leave(peer);
	else if (strcmp(name, "payload") == 0)
		say(NOTHING, "payload %zu", apw_app_link_max_payload(peer));
	else if (strcmp(name, "free-on-reply") == 0)
		free_on_reply = true;
	else if (strcmp(name, "free-on-closed") == 0)
		free_on_closed = true;
	else if (strcmp(name, "open-on-closed") == 0)
		open_on_closed = true;
	else
		say(NOTHING, "failed no command %s", name);
}

int
main(int argc, char **argv)
{
	static const struct apw_app_link_events	ev = {
		.on_open = on_open, .on_closed = on_closed,
		.on_event = on_event, .on_left = on_left,
	};
	struct apw_app_link_conf	conf = { .url = NULL };
	struct apw_err			err = APW_ERR_NONE;
	int				c;

	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt(argc, argv, "P:a:C:kx:T:m:v")) != -1) {
		switch (c) {
		case 'P':
			conf.path = optarg;
			break;
		case 'a':
			conf.auth_json = optarg;
			break;
		case 'C':
			conf.ca_file = optarg;
			break;
		case 'k':
			conf.insecure = true;
			break;
		case 'x':
			conf.proxy = optarg;
			break;
		case 'T':
			conf.open_timeout_ms = (unsigned)atoi(optarg);
			break;
		case 'm':
			conf.max_message_bytes = strtoul(optarg, NULL, 10);
			break;
		case 'v':
			apw_log_open("stderr", APW_LOG_DEBUG, APW_LOG_TEXT,
			    NULL);
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc)
		return 2;
	conf.url = argv[optind];
	base = event_base_new();
	peer = apw_app_link_new(base, &conf, &ev, NULL, &err);
	if (peer == NULL) {
		say(NOTHING, "failed %s", err.text);
		return 1;
	}
	driver_run();
	apw_app_link_free(peer);
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}
