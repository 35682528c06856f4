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
#include "egress/resolver.h"

#define GATE_CONNECTIONS	512
#define GATE_HEAD_MS		10000
#define GATE_CONNECT_MS		30000
#define GATE_IDLE_MS		120000

/* The usual variables are what the rules ask by: of the configuration, then
 * of the daemon's environment.  A variable for one scheme does for both. */
static int
gate_upstream(const struct apw_stock_conf *conf)
{
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY" };
	static const char *const http[] = { "http_proxy", "HTTP_PROXY" };
	struct apw_buf	hosts = APW_BUF_INIT(65536);
	const char	*v = conf->proxy;
	size_t		i;
	int		rc = 0;

	for (i = 0; v == NULL && i < APW_COUNT(https); i++)
		if ((v = getenv(https[i])) != NULL && *v == '\0')
			v = NULL;
	for (i = 0; v == NULL && i < APW_COUNT(http); i++)
		if ((v = getenv(http[i])) != NULL && *v == '\0')
			v = NULL;
	if (v != NULL)
		rc = setenv("https_proxy", v, 1);
	if (conf->proxy == NULL)
		return rc;
	stock_no_proxy(conf, &hosts);
	unsetenv("NO_PROXY");
	rc |= setenv("no_proxy", hosts.len > 0 ? hosts.data : "", 1);
	if (hosts.failed)
		rc = -1;
	apw_buf_free(&hosts);
	return rc;
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
	const struct apw_egress_rules_conf conf = {
		.network = &net, .only = places,
		.nonly = stock_registry_places(&cycle->stock, places,
		    APW_COUNT(places)),
	};

	return apw_egress_rules_new(&conf, err);
}

/* The keeper has closed its end: all is over. */
static void
gate_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct apw_egress_proxy	*proxy = arg;

	(void)fd;
	(void)what;
	apw_egress_proxy_end(proxy, NULL);
	_exit(APW_EXIT_OK);
}

static int
gate_open(struct event_base *base, const struct apw_stock *stock,
    int listen_fd, int life_fd, struct apw_err *err)
{
	struct apw_egress_rules		*rules = gate_rules(stock->cycle, err);
	struct apw_egress_resolver	*resolver = rules == NULL ? NULL :
		    apw_egress_resolver_new(base,
		    apw_egress_rules_resolver(rules), err);
	struct apw_egress_proxy_conf	 conf = { .listen_fd = listen_fd,
		    .rules = rules, .resolver = resolver,
		    .score = stock->score };
	struct apw_egress_proxy		*proxy = resolver == NULL ? NULL :
		    apw_egress_proxy_new(base, &conf, err);
	struct event			*end = proxy == NULL ? NULL :
		    event_new(base, life_fd, EV_READ, gate_on_end, proxy);

	if (end == NULL || event_add(end, NULL) == -1)
		return -1;
	apw_egress_proxy_begin(proxy, "install");
	return 0;
}

static _Noreturn void
gate_main(const struct apw_stock *stock, int listen_fd, int life_fd,
    pid_t keeper)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct event_base	*base;
	int			 keep[] = { listen_fd, life_fd, apw_log_fd() };

	prctl(PR_SET_NAME, "apw-gate");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(APW_EXIT_TEMP);
	apw_child_close_others(keep, APW_COUNT(keep));
	if (gate_upstream(&stock->cycle->stock) == -1 ||
	    (base = event_base_new()) == NULL ||
	    gate_open(base, stock, listen_fd, life_fd, &err) == -1) {
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
	int	life[2];

	*g = (struct stock_gate){ .life_fd = -1 };
	if (pipe2(life, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for a gate");
	g->pid = fork();
	if (g->pid == 0)
		gate_main(k->stock, listen_fd, life[0], keeper);
	close(life[0]);
	if (g->pid == -1) {
		close(life[1]);
		g->pid = 0;
		return apw_err_set(err, errno, "cannot fork a gate");
	}
	g->life_fd = life[1];
	return 0;
}

void
stock_gate_stop(struct stock_gate *g)
{
	if (g->pid == 0)
		return;
	close(g->life_fd);
	while (waitpid(g->pid, NULL, 0) == -1 && errno == EINTR)
		;
	*g = (struct stock_gate){ .life_fd = -1 };
}
