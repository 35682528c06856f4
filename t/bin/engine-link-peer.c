/*
 * Test driver of the engine link; see link-driver.h.
 *
 *	engine-link-peer [-d dialect] [-i ms] [-t ms] [-c ms] [-m bytes]
 *	    [-C call_timeout_ms] [-n max_calls] [-a]
 *
 * -a: calls are answered with null at once, and not told.
 *
 *	expect ID | execute TYPE JSON | big TYPE BYTES | answer N JSON |
 *	error N TEXT | reset | free | count
 *
 * port N, token HEX, ready, refused WHY, result JSON, call N METHOD PAYLOAD,
 * output FD "TEXT", lost WHY, failed WHY, count CALLS OUTPUT_BYTES
 */
#include "link-driver.h"

#include <unistd.h>

#include "link/engine_link.h"

static struct apw_engine_link *peer;
static bool automatic, free_on_result;
static unsigned long ncalls, noutput, quiet;

static void
on_ready(void *arg)
{
	(void)arg;
	say(NOTHING, "ready");
}

static void
on_refused(void *arg, const char *why, bool own)
{
	(void)arg;
	(void)own;
	say(NOTHING, "refused %s", why);
}

static void
on_result(void *arg, struct apw_str response)
{
	(void)arg;
	if (response.n > 4096)
		say(NOTHING, "result of %zu bytes", response.n);
	else
		say(response, "result ");
	if (free_on_result) {
		apw_engine_link_free(peer);
		peer = NULL;
		say(NOTHING, "freed");
	}
}

static void
on_call(void *arg, uint32_t call, struct apw_str method,
    struct apw_str payload)
{
	(void)arg;
	ncalls++;
	if (automatic)
		apw_engine_link_answer(peer, call, NULL, NULL);
	else if (payload.n > 4096)
		say(NOTHING, "call %u %.*s of %zu bytes", call,
		    (int)method.n, method.p, payload.n);
	else
		say(payload, "call %u %.*s ", call, (int)method.n, method.p);
}

static void
on_output(void *arg, int fd, struct apw_str text)
{
	struct apw_buf	quoted = APW_BUF_INIT(0);

	(void)arg;
	noutput += text.n;
	if (quiet)
		return;
	apw_raw_quote(&quoted, text);
	say(apw_buf_view(&quoted), "output %d ", fd);
	apw_buf_free(&quoted);
}

static void
on_lost(void *arg, const char *reason)
{
	(void)arg;
	say(NOTHING, "lost %s", reason);
}

static void
execute(const char *type, struct apw_str text)
{
	struct apw_err	err = APW_ERR_NONE;

	if (apw_engine_link_execute(peer, type, &text, 1, &err) == -1)
		say(NOTHING, "failed %s", err.text);
}

/* {"big":"xxx…"} of so many bytes */
static void
execute_big(const char *type, size_t n)
{
	struct apw_buf	text = APW_BUF_INIT(0);

	apw_buf_puts(&text, "{\"big\":\"");
	apw_buf_reserve(&text, n + 2);
	memset(text.data + text.len, 'x', n);
	text.len += n;
	apw_buf_puts(&text, "\"}");
	execute(type, apw_buf_view(&text));
	apw_buf_free(&text);
}

static void
command(char *name, char *rest)
{
	char		 token[APW_ENGINE_LINK_TOKEN_BYTES];
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_str	 text;
	char		*first;

	if (strcmp(name, "expect") == 0) {
		if (apw_engine_link_expect(peer, rest, token, &err) == -1)
			say(NOTHING, "failed %s", err.text);
		else
			say(NOTHING, "token %s", token);
	} else if (strcmp(name, "execute") == 0) {
		first = word(&rest);
		execute(first, apw_str_c(rest));
	} else if (strcmp(name, "big") == 0) {
		first = word(&rest);
		execute_big(first, strtoul(rest, NULL, 10));
	} else if (strcmp(name, "answer") == 0) {
		first = word(&rest);
		text = apw_str_c(rest);
		apw_engine_link_answer(peer, (uint32_t)atol(first),
		    text.n > 0 ? &text : NULL, NULL);
	} else if (strcmp(name, "error") == 0) {
		first = word(&rest);
		apw_engine_link_answer(peer, (uint32_t)atol(first), NULL,
		    rest);
	} else if (strcmp(name, "reset") == 0)
		apw_engine_link_reset(peer);
	else if (strcmp(name, "free-on-result") == 0)
		free_on_result = true;
	else if (strcmp(name, "quiet") == 0)
		quiet = 1;
	else if (strcmp(name, "count") == 0)
		say(NOTHING, "count %lu %lu", ncalls, noutput);
	else
		say(NOTHING, "failed no command %s", name);
}

int
main(int argc, char **argv)
{
	static const struct apw_engine_link_events	ev = {
		.on_ready = on_ready, .on_refused = on_refused,
		.on_result = on_result, .on_call = on_call,
		.on_output = on_output, .on_lost = on_lost,
	};
	struct apw_engine_link_conf	conf = {
	    .dialect = APW_ENGINE_DIALECT_B1 };
	struct apw_err			err = APW_ERR_NONE;
	int				c;

	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt(argc, argv, "d:i:t:c:m:C:n:av")) != -1) {
		unsigned long v = optarg != NULL ? strtoul(optarg, NULL, 10) :
		    0;

		switch (c) {
		case 'd':
			if (apw_engine_dialect_parse(optarg,
			    &conf.dialect) == -1)
				return 2;
			break;
		case 'i':
			conf.ping_interval_ms = (unsigned)v;
			break;
		case 't':
			conf.ping_timeout_ms = (unsigned)v;
			break;
		case 'c':
			conf.connect_timeout_ms = (unsigned)v;
			break;
		case 'm':
			conf.max_payload_bytes = v;
			break;
		case 'C':
			conf.call_timeout_ms = (unsigned)v;
			break;
		case 'n':
			conf.max_calls = (unsigned)v;
			break;
		case 'a':
			automatic = true;
			break;
		case 'v':
			apw_log_open("stderr", APW_LOG_DEBUG, APW_LOG_TEXT,
			    NULL);
			break;
		default:
			return 2;
		}
	}
	base = event_base_new();
	peer = apw_engine_link_new(base, &conf, &ev, NULL, &err);
	if (peer == NULL) {
		say(NOTHING, "failed %s", err.text);
		return 1;
	}
	say(NOTHING, "port %u", apw_engine_link_port(peer));
	driver_run();
	apw_engine_link_free(peer);
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}
