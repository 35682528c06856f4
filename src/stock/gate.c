/* The gate: an installer's only way out of its box, an egress proxy that
 * leads to the registries and nowhere else.  Room: stock, a process of its
 * own below the keeper, which reads what the installer sends and holds
 * nothing but its sockets, the log and the slot's counters. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_exit.h"
#include "egress/proxy.h"
#include "dial/resolver.h"

#define GATE_CONNECTIONS	512
#define GATE_HEAD_MS		10000
#define GATE_CONNECT_MS		30000
#define GATE_IDLE_MS		120000
#define GATE_SAYS		2048	/* about so many bytes of refusals */

struct gate {
	struct apw_egress_proxy	*proxy;		/* owned */
	int			 said_fd;	/* owned; the keeper reads it */
	struct apw_buf		 said;		/* what went there */
};

/* The usual variables are what the rules ask by. */
static int
gate_upstream(const struct apw_stock_conf *conf, struct apw_err *err)
{
	struct stock_way	way;
	int			rc;

	if (stock_way_find(conf, &way, err) == -1)
		return -1;
	unsetenv("HTTPS_PROXY");
	unsetenv("NO_PROXY");
	rc = setenv("https_proxy", way.proxy != NULL ? way.proxy : "", 1) |
	    setenv("no_proxy", way.except != NULL ? way.except : "", 1);
	stock_way_free(&way);
	return rc == 0 ? 0 : apw_err_set(err, errno, "environment");
}

static struct apw_egress_rules *
gate_rules(const struct apw_cycle *cycle, struct apw_err *err)
{
	static char			 by_environment[] = "auto";
	static struct apw_egress_place	 places[STOCK_PLACES_MAX];
	const struct apw_network_conf	 net = {
		.resolver = cycle->network.resolver,
		.upstream = by_environment, .upstream_names = true,
		.connections = GATE_CONNECTIONS,
		.head_timeout_ms = GATE_HEAD_MS,
		.connect_timeout_ms = GATE_CONNECT_MS,
		.idle_timeout_ms = GATE_IDLE_MS,
	};
	apw_autofree char		*cafile =
	    stock_way_cafile(&cycle->stock);
	const struct apw_egress_rules_conf conf = {
		.network = &net, .only = places, .upstream_ca = cafile,
		.nonly = stock_registry_places(&cycle->stock, places,
		    APW_COUNT(places)),
	};

	return apw_egress_rules_new(&conf, err);
}

/* For who reads why an install failed.  The first few will do. */
static void
gate_on_told(void *arg, const struct apw_egress_record *r)
{
	struct gate	*g = arg;
	struct apw_buf	 b = APW_BUF_INIT(1024);
	char		 port[8] = "";
	bool		 v6 = r->host != NULL && strchr(r->host, ':') != NULL;

	if (r->host == NULL || r->verdict == APW_EGRESS_ALLOWED ||
	    r->verdict == APW_EGRESS_GONE)
		return;
	if (r->port != 443)
		snprintf(port, sizeof(port), ":%u", r->port);
	apw_buf_printf(&b, v6 ? "No way to [%s]%s: " : "No way to %s%s: ",
	    r->host, port);
	if (r->verdict == APW_EGRESS_PORT)
		apw_buf_printf(&b, v6 ? "it is not the registry; if packages "
		    "come from there, add [%s]%s to registry_hosts of stock\n" :
		    "it is not the registry; if packages come from there, add "
		    "%s%s to registry_hosts of stock\n", r->host, port);
	else
		apw_buf_printf(&b, "%s%s%s\n",
		    apw_egress_verdict_name(r->verdict),
		    r->why != NULL ? ", " : "", r->why != NULL ? r->why : "");
	if (!b.failed && g->said.len < GATE_SAYS && (g->said.data == NULL ||
	    strstr(g->said.data, b.data) == NULL)) {
		apw_buf_puts(&g->said, b.data);
		(void)!write(g->said_fd, b.data, b.len);
	}
	apw_buf_free(&b);
}

/* The keeper has closed its end: all is over. */
static void
gate_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct gate	*g = arg;

	(void)fd;
	(void)what;
	apw_egress_proxy_end(g->proxy, NULL);
	_exit(APW_EXIT_OK);
}

static int
gate_open(struct event_base *base, struct gate *g,
    const struct apw_stock *stock, int listen_fd, int life_fd,
    struct apw_err *err)
{
	struct apw_egress_rules		*rules = gate_rules(stock->cycle, err);
	struct apw_resolver	*resolver = rules == NULL ? NULL :
		    apw_resolver_new(base,
		    apw_egress_rules_resolver(rules), err);
	struct apw_egress_proxy_conf	 conf = { .listen_fd = listen_fd,
		    .rules = rules, .resolver = resolver,
		    .score = stock->score,
		    .told = gate_on_told, .arg = g };
	struct event			*end;

	g->proxy = resolver == NULL ? NULL :
	    apw_egress_proxy_new(base, &conf, err);
	end = g->proxy == NULL ? NULL :
	    event_new(base, life_fd, EV_READ, gate_on_end, g);
	if (end == NULL || event_add(end, NULL) == -1)
		return -1;
	apw_egress_proxy_begin(g->proxy, "install");
	return 0;
}

static _Noreturn void
gate_main(const struct apw_stock *stock, int listen_fd, int life_fd,
    int said_fd, pid_t keeper)
{
	struct gate		 g = { .said_fd = said_fd,
				    .said = APW_BUF_INIT(2 * GATE_SAYS) };
	struct apw_err		 err = APW_ERR_NONE;
	struct event_base	*base;
	int			 keep[] = { listen_fd, life_fd, said_fd,
				    apw_log_fd() };

	prctl(PR_SET_NAME, "apw-gate");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(APW_EXIT_TEMP);
	apw_child_close_others(keep, APW_COUNT(keep));
	if (gate_upstream(&stock->cycle->stock, &err) == -1 ||
	    (base = event_base_new()) == NULL ||
	    gate_open(base, &g, stock, listen_fd, life_fd, &err) == -1) {
		apw_error("builders do not get to the registry", APW_E(&err));
		_exit(APW_EXIT_OS);
	}
	event_base_dispatch(base);
	_exit(APW_EXIT_OS);
}

int
stock_gate_start(struct stock_keeper *k, int listen_fd, struct stock_gate *g,
    struct apw_err *err)
{
	pid_t	keeper = getpid();
	int	life[2], said[2];

	*g = (struct stock_gate){ .life_fd = -1, .said_fd = -1 };
	if (pipe2(life, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for a gate");
	if (pipe2(said, O_CLOEXEC | O_NONBLOCK) == -1) {
		close(life[0]);
		close(life[1]);
		return apw_err_set(err, errno, "no pipe for a gate");
	}
	g->pid = fork();
	if (g->pid == 0)
		gate_main(k->stock, listen_fd, life[0], said[1], keeper);
	close(life[0]);
	close(said[1]);
	g->life_fd = life[1];
	g->said_fd = said[0];
	if (g->pid != -1)
		return 0;
	apw_err_set(err, errno, "cannot fork a gate");
	close(life[1]);
	close(said[0]);
	*g = (struct stock_gate){ .life_fd = -1, .said_fd = -1 };
	return -1;
}

void
stock_gate_stop(struct stock_gate *g, struct apw_buf *said)
{
	char	text[2 * GATE_SAYS];
	ssize_t	n;

	if (g->pid == 0)
		return;
	close(g->life_fd);
	while (waitpid(g->pid, NULL, 0) == -1 && errno == EINTR)
		;
	n = read(g->said_fd, text, sizeof(text));
	if (n > 0 && said != NULL)
		apw_buf_put(said, text, (size_t)n);
	close(g->said_fd);
	*g = (struct stock_gate){ .life_fd = -1, .said_fd = -1 };
}
