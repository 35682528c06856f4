/*
 * Both links and nothing between them, for contrib/bench/link.js: what an
 * engine calls goes to the app, what the app answers goes back.
 *
 *	link-relay URL-OF-THE-APP [PEM it is to be known by]
 *
 * Says "port N TOKEN" when the app is there; ends with its standard input.
 */
#include "config.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link/app_link.h"
#include "link/engine_link.h"

struct relay {
	struct apw_engine_link	*engine;	/* owned */
	struct apw_app_link	*app;		/* owned */
	struct event_base	*base;		/* owned */
};

static struct relay	relay;

static void
relay_on_reply(void *arg, const struct apw_app_link_reply *reply)
{
	apw_engine_link_answer(relay.engine, (uint32_t)(uintptr_t)arg,
	    &reply->result, reply->error);
}

static void
relay_on_call(void *arg, uint32_t call, struct apw_str method,
    struct apw_str payload)
{
	struct apw_err	err;		/* large, and set on failure */
	char		name[65];	/* longer ones do not come here */

	(void)arg;
	memcpy(name, method.p, method.n);
	name[method.n] = '\0';
	if (apw_app_link_rpc(relay.app, name, &payload, 1, NULL, 60000,
	    relay_on_reply, (void *)(uintptr_t)call, &err) == 0)
		apw_engine_link_answer(relay.engine, call, NULL, err.text);
}

static void
relay_on_open(void *arg)
{
	char	token[APW_ENGINE_LINK_TOKEN_BYTES];

	(void)arg;
	if (apw_engine_link_expect(relay.engine, "sb1", token, NULL) == -1)
		exit(1);
	printf("port %u %s\n", apw_engine_link_port(relay.engine), token);
	fflush(stdout);
}

static void
relay_on_closed(void *arg, const char *reason, bool rejected)
{
	(void)arg;
	(void)rejected;
	fprintf(stderr, "the app is gone: %s\n", reason);
	event_base_loopbreak(relay.base);
}

static void
relay_on_ready(void *arg)
{
	(void)arg;
}

static void
relay_on_text(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
relay_on_refused(void *arg, const char *why, bool own)
{
	(void)arg;
	(void)why;
	(void)own;
}

static void
relay_on_result(void *arg, struct apw_str response)
{
	(void)arg;
	(void)response;
}

static void
relay_on_output(void *arg, int fd, struct apw_str text)
{
	(void)arg;
	(void)fd;
	(void)text;
}

static void
relay_on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(relay.base);
}

int
main(int argc, char **argv)
{
	static const struct apw_engine_link_events	engine = {
		.on_ready = relay_on_ready, .on_refused = relay_on_refused,
		.on_result = relay_on_result, .on_call = relay_on_call,
		.on_output = relay_on_output, .on_lost = relay_on_text,
	};
	static const struct apw_app_link_events		app = {
		.on_open = relay_on_open, .on_closed = relay_on_closed,
	};
	struct apw_engine_link_conf	ec = {
		.dialect = APW_ENGINE_DIALECT_B1, .max_calls = 128,
	};
	struct apw_app_link_conf	ac = { .url = argv[1] };
	struct apw_err			err = APW_ERR_NONE;
	struct event			*end;

	signal(SIGPIPE, SIG_IGN);
	relay.base = event_base_new();
	ac.ca_file = argc == 3 ? argv[2] : NULL;
	if (argc < 2 || argc > 3 || (relay.engine = apw_engine_link_new(relay.base, &ec,
	    &engine, NULL, &err)) == NULL ||
	    (relay.app = apw_app_link_new(relay.base, &ac, &app, NULL,
	    &err)) == NULL) {
		fprintf(stderr, "link-relay: %s\n", err.text);
		return 1;
	}
	end = event_new(relay.base, 0, EV_READ, relay_on_end, NULL);
	event_add(end, NULL);
	apw_app_link_open(relay.app);
	event_base_dispatch(relay.base);
	event_free(end);
	apw_app_link_free(relay.app);
	apw_engine_link_free(relay.engine);
	event_base_free(relay.base);
	libevent_global_shutdown();
	return 0;
}
