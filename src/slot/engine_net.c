/* The engine's network: which link it is called back on, and where its
 * listeners are.  Room: slot.
 *
 *	fence none	the link's own port on the host's loopback
 *	fence ports	the same, and a proxy beside it; the kernel lets the
 *			engine connect to these two ports only
 *	fence netns	both listen inside of the engine's own network, and
 *			are made anew with each engine
 *
 * Whatever it is, environment, listeners and rules are of one engine: made
 * with it, gone with it. */
#include "slot/engine_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "core/apw_auto.h"
#include "core/apw_log.h"

#define ENGINE_MIB		(1024 * 1024)
#define ENGINE_PROXY_BACKLOG	512

/* Engines of old find the proxy by themselves, but not out of a network where
 * it is there for the app alone. */
static enum apw_command_lead
engine_net_lead(const struct apw_settings *s,
    const struct apw_egress_rules *rules, enum apw_engine_dialect dialect)
{
	if (rules == NULL)
		return APW_COMMAND_LEAD_NONE;
	if (s->network != APW_NETWORK_STRICT)
		return APW_COMMAND_LEAD_APP;
	return apw_engine_dialect_knows_proxy(dialect) ?
	    APW_COMMAND_LEAD_NONE : APW_COMMAND_LEAD_ALL;
}

/* A message may be as large as a file and its envelope. */
int
engine_net_settings(struct apw_engine *e, const struct apw_settings *s,
    const struct apw_engine_net *net, struct apw_err *err)
{
	enum apw_engine_dialect		dialect = engine_dialect(e);
	struct apw_engine_link_conf	conf = {
		.dialect = dialect,
		.silent = s->app->silent, .guarded = true,
		/* the one port of dialect A is every slot's in turn */
		.adopts = net->fence == APW_FENCE_NETNS ||
		    dialect == APW_ENGINE_DIALECT_A,
		.max_payload_bytes = (size_t)(s->file_mb + 4 > 100 ?
		    s->file_mb + 4 : 100) * ENGINE_MIB,
		.max_call_bytes = (size_t)e->env.cycle->engine.calls_bytes,
	};

	if (dialect == APW_ENGINE_DIALECT_A && net->fence == APW_FENCE_NETNS)
		return apw_err_set(err, 0, "engines of dialect A look for "
		    "their worker on port %u of the host: they cannot have a "
		    "network of their own", APW_ENGINE_PORT_A);
	if (e->link != NULL && e->link_adopts != conf.adopts) {
		/* who is connected to it belongs to the old rules */
		apw_engine_link_free(e->link);
		e->link = NULL;
	}
	if (e->link == NULL)
		e->link = apw_engine_link_new(e->env.base, &conf,
		    &engine_link_events, e, err);
	e->link_adopts = conf.adopts;
	e->shares_port = dialect == APW_ENGINE_DIALECT_A;
	e->fence = net->fence;
	apw_egress_rules_unref(e->rules);
	e->rules = net->rules == NULL ? NULL : apw_egress_rules_ref(net->rules);
	e->lead = engine_net_lead(s, e->rules, dialect);
	return e->link == NULL ? -1 : 0;
}

/* On the host's loopback: a proxy, where the fence is of ports, or the link
 * of an engine that knows one port only. */
static int
engine_net_listen(unsigned port, struct apw_err *err)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	apw_autofd int		fd = socket(AF_INET, SOCK_STREAM |
				    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int			on = 1;

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, ENGINE_PROXY_BACKLOG) == -1)
		return apw_err_set(err, errno, "cannot listen for an engine on "
		    "port %u", port);
	return apw_take_fd(&fd);
}

static unsigned
engine_net_port(int fd)
{
	struct sockaddr_in	a;
	socklen_t		len = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &len) == -1 ? 0 :
	    ntohs(a.sin_port);
}

int
engine_net_ports(struct apw_engine *e, unsigned *link, unsigned *proxy,
    struct apw_err *err)
{
	*link = APW_BOX_LINK_PORT;
	*proxy = APW_BOX_PROXY_PORT;
	if (e->fence == APW_FENCE_NETNS)
		return 0;
	*link = e->shares_port ? APW_ENGINE_PORT_A :
	    apw_engine_link_port(e->link);
	if (e->shares_port &&
	    (e->link_fd = engine_net_listen(APW_ENGINE_PORT_A, err)) == -1)
		return -1;
	*proxy = 0;
	if (e->fence == APW_FENCE_NONE)
		return 0;
	e->proxy_fd = engine_net_listen(0, err);
	if (e->proxy_fd == -1)
		return -1;
	*proxy = engine_net_port(e->proxy_fd);
	return *proxy != 0 ? 0 : apw_err_set(err, errno, "no port for an "
	    "engine's proxy");
}

/* Its clients may be waiting already: they are in the listener's queue. */
static int
engine_net_proxy(struct apw_engine *e, const struct apw_peer_who *who,
    struct apw_err *err)
{
	const struct apw_egress_proxy_conf	conf = {
		.listen_fd = apw_take_fd(&e->proxy_fd), .rules = e->rules,
		.resolver = e->env.resolver, .score = e->env.score,
	};

	e->proxy = apw_egress_proxy_new(e->env.base, &conf, err);
	if (e->proxy == NULL)
		return -1;
	if (who != NULL)
		apw_egress_proxy_guard(e->proxy, who);
	apw_egress_proxy_begin(e->proxy, e->run);
	return 0;
}

/* Whom its listeners on the host's loopback are for.  A box's processes are
 * below its first; of others those that lost their parent are below us. */
static void
engine_net_who(const struct apw_engine *e, struct apw_peer_who *who)
{
	const struct apw_child	*c = &e->child;

	apw_peer_who(who, c->engine_pid, e->fence == APW_FENCE_PORTS ?
	    getpid() : c->pid);
}

int
engine_net_start(struct apw_engine *e, struct apw_err *err)
{
	struct apw_child	*c = &e->child;
	struct apw_peer_who	 who;

	if (e->fence == APW_FENCE_NETNS) {
		if (c->link_fd == -1)
			return apw_err_set(err, 0, "an engine got no network "
			    "of its own");
		if (apw_engine_link_adopt(e->link, apw_take_fd(&c->link_fd),
		    err) == -1)
			return -1;
		e->proxy_fd = apw_take_fd(&c->proxy_fd);
		apw_engine_link_due(e->link, NULL);
		return e->rules == NULL ? 0 : engine_net_proxy(e, NULL, err);
	}
	if (e->shares_port && apw_engine_link_adopt(e->link,
	    apw_take_fd(&e->link_fd), err) == -1)
		return -1;
	engine_net_who(e, &who);
	apw_engine_link_due(e->link, &who);
	return e->rules == NULL ? 0 : engine_net_proxy(e, &who, err);
}

/* The sums of the run so far go to the engine's books; what it left open is
 * closed. */
static void
engine_net_close_run(struct apw_engine *e)
{
	struct apw_egress_account	sum = { 0 };

	if (e->proxy == NULL)
		return;
	apw_egress_proxy_end(e->proxy, &sum);
	e->account.allowed += sum.allowed;
	e->account.blocked += sum.blocked;
	e->account.failed += sum.failed;
	e->account.sent_bytes += sum.sent_bytes;
	e->account.received_bytes += sum.received_bytes;
}

/* Of those that were said once. */
static void
engine_net_strangers(const struct apw_engine *e)
{
	if (e->strangers > 1)
		apw_warn("connections to an engine's link were turned away",
		    APW_S("sandbox", e->sandbox_id),
		    APW_I("count", e->strangers));
}

void
engine_net_stop(struct apw_engine *e)
{
	engine_net_strangers(e);
	e->strangers = 0;
	engine_net_close_run(e);
	apw_egress_proxy_free(e->proxy);
	e->proxy = NULL;
	if (e->proxy_fd != -1)
		close(e->proxy_fd);
	e->proxy_fd = -1;
	if (e->link_fd != -1)
		close(e->link_fd);
	e->link_fd = -1;
}

void
apw_engine_run(struct apw_engine *e, const char *id)
{
	snprintf(e->run, sizeof(e->run), "%s", id);
	e->account = (struct apw_egress_account){ 0 };
	e->counted = e->rules != NULL &&
	    e->lead != APW_COMMAND_LEAD_APP;
	if (e->proxy != NULL)
		apw_egress_proxy_begin(e->proxy, e->run);
}

bool
apw_engine_account(struct apw_engine *e, struct apw_egress_account *sum)
{
	engine_net_close_run(e);
	*sum = e->account;
	return e->counted;
}
