/* One order: what one job needs, looked up at once and, when something is
 * missing, made by a keeper.  Room: stock, slot.  The look costs a few system
 * calls an entry; nothing here waits. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/apw_clock.h"

#define TICKET_MAGIC		0x5449434b	/* "TICK" */
#define ORDER_CODES_MAX		4096
#define ORDER_PIECES_MAX	4096
#define ORDER_SPARE_MS		600000		/* locks, copies, flushes */
#define CLOSE_WAIT_MS		3000
#define ORDER_TEXTS_MAX		64		/* then the janitor has a look */

static const struct timeval janitor_limit = { .tv_sec = 3600 };

static void order_on_end(evutil_socket_t, short, void *);

static int
order_check(const struct apw_stock_order *o, struct apw_err *err)
{
	size_t	i;

	if (o->ncodes > ORDER_CODES_MAX || o->npieces > ORDER_PIECES_MAX)
		return apw_err_set(err, 0, "the flow has too many steps");
	if (o->flow_version_id != NULL &&
	    !apw_str_is_segment(apw_str_c(o->flow_version_id)))
		return apw_err_set(err, 0, "bad flow version id");
	if (o->ncodes > 0 && !stock_is_code_folder(stock_order_codes(o)))
		return apw_err_set(err, 0, "bad name of a folder for code");
	for (i = 0; i < o->ncodes; i++)
		if (!stock_is_step(o->codes[i].step))
			return apw_err_set(err, 0, "bad name of a code step: "
			    "\"%.200s\"", o->codes[i].step == NULL ? "" :
			    o->codes[i].step);
	for (i = 0; i < o->npieces; i++)
		if (stock_piece_check(&o->pieces[i], o->per_platform,
		    err) == -1)
			return -1;
	return 0;
}

static bool
order_present(struct apw_stock *stock, const struct apw_stock_order *o)
{
	size_t	i;

	stock_flow_touch(stock, o->flow_version_id);
	stock_actions_use(stock, o);
	if (!stock_engine_present(stock))
		return false;
	for (i = 0; i < o->ncodes; i++)
		if (!stock_code_present(stock, o, &o->codes[i]))
			return false;
	for (i = 0; i < o->npieces; i++)
		if (!stock_piece_present(stock, &o->pieces[i],
		    o->per_platform))
			return false;
	return true;
}

/* What is written down as in use and seen now stays. */
static bool
order_look(struct apw_stock *stock, const struct apw_stock_order *o)
{
	bool	present;

	if (stock_use_begin(stock, o) == -1)
		return false;
	present = order_present(stock, o);
	stock_use_end(stock);
	return present;
}

static enum apw_stock_fault
order_make_all(struct stock_keeper *k, void *arg, struct apw_err *err)
{
	const struct apw_stock_order	*o = arg;
	enum apw_stock_fault		 fault;
	size_t				 i;

	for (i = 0; i < o->ncodes; i++) {
		if (stock_code_present(k->stock, o, &o->codes[i]))
			continue;
		fault = stock_code_make(k, o, &o->codes[i], err);
		if (fault != APW_STOCK_OK)
			return fault;
	}
	fault = stock_engine_make(k, err);
	if (fault != APW_STOCK_OK)
		return fault;
	return stock_pieces_make(k, o, err);
}

/* In the keeper. */
static enum apw_stock_fault
order_make(struct stock_keeper *k, void *arg, struct apw_err *err)
{
	const struct apw_stock_order	*o = arg;
	enum apw_stock_fault		 fault;

	if (o->background)
		stock_hurry_low(k);
	stock_use_wait(k);
	fault = order_make_all(k, arg, err);
	if (!k->cancelled)
		stock_sweep(k->stock);
	else if (o->background)
		return APW_STOCK_YIELDED;
	return fault;
}

static void
ticket_free(struct apw_stock_ticket *t)
{
	TAILQ_REMOVE(&t->stock->tickets, t, link);
	if (t->janitor)
		t->stock->tidying = false;
	if (t->ev != NULL)
		event_free(t->ev);
	t->magic = 0;
	free(t);
}

/* The keeper ended, or ran over its time. */
static void
ticket_settle(struct apw_stock_ticket *t)
{
	if (t->keeper.pid == 0)
		return;
	stock_keeper_finish(&t->keeper, &t->report);
	if (t->report.fault == APW_STOCK_OK && t->source_known)
		stock_engine_learn(t->stock, &t->source);
	if (t->report.fault == APW_STOCK_OURS && !t->janitor &&
	    stock_host_fault(t->stock, &t->report.err))
		t->report.fault = APW_STOCK_HOST;
}

bool
stock_chore(struct apw_stock *stock, stock_work_fn *work)
{
	struct apw_stock_ticket	*t;

	if (stock->tidying || (t = calloc(1, sizeof(*t))) == NULL)
		return false;
	*t = (struct apw_stock_ticket){ .magic = TICKET_MAGIC, .stock = stock,
	    .janitor = true, .started_ms = apw_now_ms() };
	TAILQ_INSERT_TAIL(&stock->tickets, t, link);
	if (stock_keeper_start(stock, work, NULL, &t->keeper, NULL) == -1) {
		ticket_free(t);
		return false;
	}
	stock->tidying = true;
	t->ev = event_new(stock->base, t->keeper.pidfd, EV_READ, order_on_end,
	    t);
	if (t->ev != NULL && event_add(t->ev, &janitor_limit) == 0)
		return true;
	stock_keeper_finish(&t->keeper, &t->report);
	ticket_free(t);
	return false;
}

/* Something came in: is it too much now?  Nobody waits for the answer. */
static void
order_start_janitor(struct apw_stock *stock)
{
	if (stock->cycle->stock.max_bytes != 0 &&
	    stock_chore(stock, stock_janitor))
		stock->new_texts = 0;
}

static void
order_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct apw_stock_ticket	*t;
	apw_stock_done_fn	*done;
	struct stock_report	 report;
	void			*done_arg;
	struct apw_stock	*stock;
	bool			 made;

	(void)fd;
	APW_CAST(t, arg, TICKET_MAGIC);
	if (what & EV_TIMEOUT && t->keeper.pid != 0)
		apw_alert("the stock's keeper does not end",
		    APW_I("pid", t->keeper.pid));
	stock = t->stock;
	/* texts come in without a keeper: look after them now and then */
	made = !t->janitor && (t->keeper.pid != 0 ||
	    stock->new_texts >= ORDER_TEXTS_MAX);
	ticket_settle(t);
	/* what jobs use, not what they may */
	if (t->order != NULL && t->report.fault == APW_STOCK_OK &&
	    !t->order->background)
		stock_ahead_learn(stock, t->order);
	report = t->report;
	done = t->done;
	done_arg = t->arg;
	if (done != NULL)
		apw_debug("stock order done", APW_I("took_ms",
		    apw_now_ms() - t->started_ms),
		    APW_I("fault", report.fault));
	ticket_free(t);
	if (made)
		order_start_janitor(stock);
	if (done != NULL)
		done(done_arg, report.fault, &report.err);
}

static int64_t
order_limit_ms(const struct apw_stock *stock, const struct apw_stock_order *o)
{
	const struct apw_stock_conf	*conf = &stock->cycle->stock;

	return (conf->install_timeout_ms + conf->build_timeout_ms) *
	    (int64_t)(o->ncodes + o->npieces + 1) + ORDER_SPARE_MS;
}

static int
ticket_start_keeper(struct apw_stock_ticket *t)
{
	int64_t		ms = order_limit_ms(t->stock, t->order);
	struct timeval	tv = { .tv_sec = ms / 1000 };

	t->source_known = stock_engine_source(t->stock, &t->source,
	    NULL) == 0;
	if (stock_keeper_start(t->stock, order_make,
	    (void *)(uintptr_t)t->order, &t->keeper, &t->report.err) == -1)
		return -1;
	t->ev = event_new(t->stock->base, t->keeper.pidfd, EV_READ,
	    order_on_end, t);
	if (t->ev != NULL && event_add(t->ev, &tv) == 0)
		return 0;
	stock_keeper_finish(&t->keeper, &t->report);
	return apw_err_set(&t->report.err, ENOMEM, "stock");
}

struct apw_stock_ticket *
apw_stock_order(struct apw_stock *stock, const struct apw_stock_order *order,
    apw_stock_done_fn *done, void *arg)
{
	struct apw_stock_ticket	*t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	*t = (struct apw_stock_ticket){ .magic = TICKET_MAGIC, .stock = stock,
	    .order = order, .done = done, .arg = arg,
	    .started_ms = apw_now_ms(),
	    .keeper = { .pidfd = -1, .control_fd = -1, .report_fd = -1 } };
	TAILQ_INSERT_TAIL(&stock->tickets, t, link);
	if (order_check(order, &t->report.err) == -1)
		t->report.fault = APW_STOCK_USER;
	else if (order_look(stock, order))
		t->report.fault = APW_STOCK_OK;
	else if (ticket_start_keeper(t) == 0)
		return t;
	else
		t->report.fault = APW_STOCK_HOST;
	if (t->ev != NULL)
		event_free(t->ev);
	t->ev = evtimer_new(stock->base, order_on_end, t);
	if (t->ev == NULL) {
		ticket_free(t);
		return NULL;
	}
	event_active(t->ev, EV_TIMEOUT, 1);
	return t;
}

void
apw_stock_cancel(struct apw_stock_ticket *t)
{
	if (t == NULL)
		return;
	APW_ASSERT(t->magic == TICKET_MAGIC && t->done != NULL);
	t->done = NULL;
	t->order = NULL;
	if (t->keeper.pid == 0) {
		ticket_free(t);
		return;
	}
	/* it ends its tools and leaves; the ticket waits for that */
	close(t->keeper.control_fd);
	t->keeper.control_fd = -1;
}

void
stock_tickets_end(struct apw_stock *stock)
{
	struct apw_stock_ticket	*t;
	struct pollfd		 p = { .events = POLLIN };
	int64_t			 end_ms = apw_now_ms() + CLOSE_WAIT_MS, left;

	TAILQ_FOREACH(t, &stock->tickets, link)
		if (t->keeper.pid != 0 && t->keeper.control_fd != -1) {
			close(t->keeper.control_fd);
			t->keeper.control_fd = -1;
		}
	while ((t = TAILQ_FIRST(&stock->tickets)) != NULL) {
		if (t->keeper.pid != 0) {
			p.fd = t->keeper.pidfd;
			left = end_ms - apw_now_ms();
			poll(&p, 1, left > 0 ? left : 0);
			stock_keeper_finish(&t->keeper, &t->report);
		}
		ticket_free(t);
	}
}
