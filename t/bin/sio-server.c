/*
 * A test server on the link room's library: Engine.IO echo on /engine.io/,
 * Socket.IO on /socket.io/, both on one port of 127.0.0.1 and ::1.  It
 * behaves as the protocols' own conformance suites want their server to.
 *
 *	sio-server [-p port] [-i ping_interval_ms] [-t ping_timeout_ms]
 *	    [-c connect_timeout_ms] [-m max_payload_bytes]
 *	    [-o max_output_bytes] [-H head_timeout_ms] [-u upgrade_timeout_ms]
 *
 * Prints "port N" when it listens; ends on SIGTERM, SIGINT or end of input.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "link/eio_server.h"
#include "link/sio_server.h"
#include "proto/apw_raw.h"

/*
 * The suites' client loses the second of two frames that arrive together:
 * "auth" goes out a little after the reply to CONNECT.
 */
#define AUTH_DELAY_US	10000

static struct event_base *base;

/* --- Engine.IO echo --- */

static void *
echo_on_open(void *arg, struct apw_eio_session *session)
{
	(void)arg;
	return session;
}

static void
echo_on_message(void *data, bool binary, struct apw_str text)
{
	apw_eio_session_send(data, binary, &text, 1);
}

static void
echo_on_closed(void *data, const char *reason)
{
	(void)data;
	apw_info("engine.io session closed", APW_S("reason", reason));
}

/* --- Socket.IO --- */

struct peer {
	LIST_ENTRY(peer)	 link;
	struct apw_sio_socket	*sock;
	struct event		*timer;
	struct apw_buf		 auth;
};
static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);

static const char *
sio_on_connect(void *arg, struct apw_sio_socket *sock, struct apw_str nsp,
    struct apw_str auth)
{
	(void)arg;
	(void)sock;
	(void)auth;
	if (!apw_str_is(nsp, "/") && !apw_str_is(nsp, "/custom"))
		return "Invalid namespace";
	return NULL;
}

static void
peer_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct peer	*p = arg;
	struct apw_str	 parts[3] = { APW_STR("[\"auth\","),
	    apw_buf_view(&p->auth), APW_STR("]") };

	(void)fd;
	(void)what;
	apw_sio_socket_emit(p->sock, NULL, parts, 3, NULL, 0);
}

static void
sio_on_join(void *arg, struct apw_sio_socket *sock, struct apw_str auth)
{
	struct timeval	 tv = { 0, AUTH_DELAY_US };
	struct peer	*p = calloc(1, sizeof(*p));

	(void)arg;
	if (p == NULL)
		return;
	LIST_INSERT_HEAD(&peers, p, link);
	p->sock = sock;
	apw_buf_str(&p->auth, auth.n > 0 ? auth : APW_STR("{}"));
	p->timer = event_new(base, -1, 0, peer_on_timer, p);
	event_add(p->timer, &tv);
	apw_sio_socket_set(sock, p);
}

static void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	LIST_REMOVE(p, link);
	event_free(p->timer);
	apw_buf_free(&p->auth);
	free(p);
}

static void
sio_on_leave(void *arg, struct apw_sio_socket *sock, const char *reason)
{
	(void)arg;
	apw_info("socket.io socket left", APW_S("reason", reason));
	peer_free(apw_sio_socket_get(sock));
}

static void
sio_on_event(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_str	parts[4];

	(void)arg;
	if (apw_raw_equals(pkt->name, "message")) {
		parts[0] = APW_STR("[\"message-back\"");
		parts[1] = pkt->args.n > 0 ? APW_STR(",") :
		    (struct apw_str){ "", 0 };
		parts[2] = pkt->args;
		parts[3] = APW_STR("]");
		apw_sio_socket_emit(sock, NULL, parts, 4, binary, nbinary);
	} else if (apw_raw_equals(pkt->name, "message-with-ack") &&
	    pkt->has_id) {
		parts[0] = APW_STR("[");
		parts[1] = pkt->args;
		parts[2] = APW_STR("]");
		apw_sio_socket_ack(sock, pkt->id, parts, 3, binary, nbinary);
	} else if (apw_raw_equals(pkt->name, "kick-me")) {
		peer_free(apw_sio_socket_get(sock));
		apw_sio_socket_kick(sock);
	}
}

static void
sio_on_ack(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	/* nothing here asks for one */
	(void)arg;
	(void)sock;
	(void)pkt;
	(void)binary;
	(void)nbinary;
}

/* --- main --- */

static void
main_on_end(evutil_socket_t fd, short what, void *arg)
{
	char	c;

	(void)arg;
	if ((what & EV_READ) != 0 && read(fd, &c, 1) > 0)
		return;
	event_base_loopbreak(base);
}

static void
usage(void)
{
	fprintf(stderr, "usage: sio-server [-v] [-p port] [-i ms] [-t ms] "
	    "[-c ms] [-m bytes] [-o bytes] [-H ms] [-u ms]\n");
	exit(2);
}

struct options {
	struct apw_sio_server_conf	conf;
	unsigned			port;
};

static void
parse(int argc, char **argv, struct options *o)
{
	unsigned long	v;
	int		c;

	while ((c = getopt(argc, argv, "p:i:t:c:m:o:H:u:v")) != -1) {
		v = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;
		switch (c) {
		case 'p':
			o->port = (unsigned)v;
			break;
		case 'i':
			o->conf.eio.ping_interval_ms = (unsigned)v;
			break;
		case 't':
			o->conf.eio.ping_timeout_ms = (unsigned)v;
			break;
		case 'c':
			o->conf.connect_timeout_ms = (unsigned)v;
			break;
		case 'm':
			o->conf.eio.max_payload_bytes = v;
			break;
		case 'o':
			o->conf.eio.max_output_bytes = v;
			break;
		case 'H':
			o->conf.eio.head_timeout_ms = (unsigned)v;
			o->conf.eio.body_timeout_ms = (unsigned)v;
			break;
		case 'u':
			o->conf.eio.upgrade_timeout_ms = (unsigned)v;
			break;
		case 'v':
			apw_log_open("stderr", APW_LOG_DEBUG, APW_LOG_TEXT,
			    NULL);
			break;
		default:
			usage();
		}
	}
}

static void
serve(const struct options *o)
{
	static const struct apw_eio_server_events	echo_ev = {
		.on_open = echo_on_open,
		.on_message = echo_on_message,
		.on_closed = echo_on_closed,
	};
	static const struct apw_sio_server_events	sio_ev = {
		.on_connect = sio_on_connect,
		.on_join = sio_on_join,
		.on_event = sio_on_event,
		.on_ack = sio_on_ack,
		.on_leave = sio_on_leave,
	};
	struct apw_eio_server_conf			echo_conf;
	struct apw_eio_server				*echo;
	struct apw_sio_server				*sio;
	struct apw_err					 err = APW_ERR_NONE;
	int						 port = -1;

	echo_conf = o->conf.eio;
	echo_conf.path = "/engine.io";
	echo = apw_eio_server_new(base, &echo_conf, &echo_ev, NULL, &err);
	sio = apw_sio_server_new(base, &o->conf, &sio_ev, NULL, &err);
	if (echo != NULL && sio != NULL) {
		apw_eio_server_chain(apw_sio_server_eio(sio), echo);
		port = apw_sio_server_listen(sio, "127.0.0.1",
		    (uint16_t)o->port, &err);
	}
	if (port == -1) {
		fprintf(stderr, "sio-server: %s\n", err.text);
		exit(1);
	}
	if (apw_sio_server_listen(sio, "::1", (uint16_t)port, &err) == -1)
		fprintf(stderr, "sio-server: %s\n", err.text);
	printf("port %d\n", port);
	fflush(stdout);
	event_base_dispatch(base);
	/* nobody is told of sockets that end with the server */
	while (!LIST_EMPTY(&peers))
		peer_free(LIST_FIRST(&peers));
	apw_sio_server_free(sio, NULL, NULL);
	apw_eio_server_free(echo, NULL, NULL);
}

int
main(int argc, char **argv)
{
	struct options		 o = {
		.conf = {
			.eio = {
				.path = "/socket.io",
				.max_payload_bytes = 1000000,
				.max_output_bytes = 64000000,
				.max_sessions = 100000,
				.max_connections = 100000,
				.ping_interval_ms = 300,
				.ping_timeout_ms = 200,
				.upgrade_timeout_ms = 10000,
				.head_timeout_ms = 10000,
				.body_timeout_ms = 10000,
			},
			.connect_timeout_ms = 1000,
		},
		.port = 3000,
	};
	struct event_config	*cfg;
	struct event		*ends[3];

	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv, &o);
	cfg = event_config_new();
	/* the suites sleep exactly interval plus timeout */
	if (o.conf.eio.ping_interval_ms < 1000)
		event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	ends[0] = evsignal_new(base, SIGTERM, main_on_end, NULL);
	ends[1] = evsignal_new(base, SIGINT, main_on_end, NULL);
	ends[2] = event_new(base, 0, EV_READ | EV_PERSIST, main_on_end, NULL);
	for (size_t i = 0; i < 3; i++)
		event_add(ends[i], NULL);
	serve(&o);
	for (size_t i = 0; i < 3; i++)
		event_free(ends[i]);
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}
