/* A tool in a box of its own.  Room: stock, keeper.  The box is made by a
 * broker that was forked when that was possible, and ends with it, and that
 * with us; what the tool writes comes to us by pipes as without a box. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "core/apw_auto.h"

/* Its place in there: what is below staging is below /build. */
static char *
box_cwd(const struct stock_run *run)
{
	size_t	n = strlen(run->staging);
	char	*path;

	if (strncmp(run->cwd, run->staging, n) != 0 || asprintf(&path, "%s%s",
	    APW_BOX_BUILD, run->cwd + n) == -1)
		return NULL;
	return path;
}

int
stock_box_start(struct stock_keeper *k, const struct stock_run *run,
    char *const *argv, char *const *envp, int out, int err_fd,
    struct stock_box *x, struct apw_err *err)
{
	apw_autofree char	*cwd = box_cwd(run);
	const char		*name = strrchr(run->staging, '/');
	struct apw_box_order	 order = {
		.flags = APW_BOX_OWN_NET | APW_BOX_ISOLATES |
		    (run->network ? APW_BOX_CACHE : 0) |
		    (k->background ? APW_BOX_AHEAD : 0),
		.memory_bytes = k->stock->cycle->stock.build_memory,
		.argv = (const char *const *)argv,
		.envp = (const char *const *)envp, .cwd = cwd,
		.staging = name == NULL ? "" : name + 1,
		.out_fd = out, .err_fd = err_fd, .rules_fd = -1,
	};
	int			 rc = 0;

	*x = (struct stock_box){ .gate = { 0, -1, -1 } };
	if (cwd == NULL)
		return apw_err_set(err, 0, "cannot prepare a box");
	if (k->broker == NULL && (k->broker = stock_boxes_open(err)) == NULL)
		return -1;
	if (apw_broker_boot(k->broker, &order, &x->box, err) == -1) {
		stock_boxes_close(k);
		return apw_err_wrap(err, "no box for a builder");
	}
	if (run->network && !run->ask)
		rc = stock_gate_start(k, x->box.proxy_fd, &x->gate, err);
	/* the gate has its own; nothing listens for what needs nothing */
	close(x->box.link_fd);
	close(x->box.proxy_fd);
	x->box.link_fd = x->box.proxy_fd = -1;
	if (rc == -1)
		stock_box_end(k, x, NULL, &(int){ 0 });
	return rc;
}

/* The limits of its group, which the kernel kept. */
static void
box_evidence(const struct apw_box_end *end, struct stock_outcome *o)
{
	bool	well = end->told && end->code == 0;

	if (o->over != NULL || o->timed_out || o->cancelled || well)
		return;
	if (end->oom_kills > 0)
		o->over = "more memory than build_memory";
	else if (end->pids_denied > 0)
		o->over = "too many processes";
}

void
stock_box_end(struct stock_keeper *k, struct stock_box *x,
    struct stock_outcome *o, int *status)
{
	struct apw_box_end	end = { .code = -1 };
	struct apw_err		err = APW_ERR_NONE;

	stock_gate_stop(&x->gate, o != NULL ? &o->said : NULL);
	/* a broker that is gone took the box with it */
	if (apw_broker_kill(k->broker, &err) == -1 ||
	    apw_broker_end(k->broker, &x->box, &end, &err) == -1) {
		apw_warn("a builder's box was lost", APW_E(&err));
		stock_boxes_close(k);
	}
	if (o != NULL)
		box_evidence(&end, o);
	*status = !end.told ? SIGKILL : end.signal != 0 ? end.signal :
	    end.code << 8;
}
