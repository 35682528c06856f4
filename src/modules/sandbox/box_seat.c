/* The brokers of a slot: one for each engine that may be there at a time;
 * see box.h and broker/broker.h.  Room: modules/sandbox, in the slot.
 *
 * As root they are forked at the slot's birth, while it has privileges;
 * otherwise when the first box is wanted.  When one dies, the slot dies with
 * it (watch_fd) and is born again with new ones. */
#include "modules/sandbox/box_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_conf.h"
#include "core/apw_find.h"
#include "core/apw_module.h"
#include "master/child.h"
#include "modules/sandbox/plain.h"
#include "stock/stock.h"

#define BOX_SEAT_UIDS	1024	/* between those of a slot's seats */

struct box_slot	box = { .watch_fd = -1 };


/* In the broker.  Its first processes are in boxes' /proc: what that shows
 * of them is this title, and no environment. */
static void
box_forget(void *arg)
{
	apw_title_set("apworkerd: broker %u", box.slot);
	apw_title_wipe_environment();
	apw_secrets_wipe(arg);
}

/* Links are followed here: what is bound is what they lead to. */
static int
box_real(const char *path, char real[PATH_MAX], struct apw_err *err)
{
	if (realpath(path, real) == NULL)
		return apw_err_set(err, errno, "%s", path);
	return 0;
}

int
box_paths(const struct apw_cycle *cycle, struct apw_err *err)
{
	static const struct { char *to; const char *name; } folders[] = {
		{ box.common, "common" }, { box.codes, "codes" },
		{ box.custom, "custom_pieces" },
	};
	size_t	i;

	if (box_real(cycle->engine.node, box.node, err) == -1)
		return -1;
	box.node_modules[0] = box.deno[0] = '\0';
	if (cycle->engine.node_path != NULL &&
	    box_real(cycle->engine.node_path, box.node_modules, err) == -1)
		return -1;
	if (cycle->engine.deno != NULL &&
	    box_real(cycle->engine.deno, box.deno, err) == -1)
		return -1;
	for (i = 0; i < APW_COUNT(folders); i++)
		if ((size_t)snprintf(folders[i].to, PATH_MAX, "%s/%s/%s",
		    cycle->stock.path, APW_STOCK_VERSION, folders[i].name) >=
		    PATH_MAX)
			return apw_err_set(err, ENAMETOOLONG, "%s",
			    cycle->stock.path);
	return 0;
}

struct apw_box_limits
box_limits(const struct apw_box_conf *c)
{
	return (struct apw_box_limits){ .tmp_bytes = c->tmp_bytes,
	    .file_bytes = c->file_bytes, .tmp_files = c->tmp_files,
	    .pids = c->pids, .open_files = c->open_files,
	    .cpu_percent = c->cpu_percent, .cpu_weight = c->cpu_weight };
}

/* The module whose limits count: the one that is configured, or the first
 * that makes boxes. */
static const struct apw_module *
box_module(const struct apw_cycle *cycle)
{
	size_t	i;

	if (cycle->sandbox != NULL)
		return cycle->sandbox->ops.sandbox->boxed ?
		    cycle->sandbox : NULL;
	for (i = 0; apw_modules[i] != NULL; i++)
		if (apw_modules[i]->kind == APW_MODULE_SANDBOX &&
		    apw_modules[i]->ops.sandbox->boxed)
			return apw_modules[i];
	return NULL;
}

/* Whom engines with the host's files are: what the slot is, or is about to
 * become. */
static int
box_host_user(const struct apw_cycle *cycle, struct apw_broker_conf *conf,
    struct apw_err *err)
{
	const struct apw_main_conf	*m = &cycle->main;
	int				 n = APW_COUNT(box.groups);

	conf->host_uid = geteuid();
	conf->host_gid = getegid();
	if (geteuid() == 0 && m->user != NULL) {
		conf->host_uid = m->uid;
		conf->host_gid = m->gid;
		if (getgrouplist(m->user, m->gid, box.groups, &n) == -1)
			return apw_err_set(err, 0, "too many groups of %s",
			    m->user);
	} else if ((n = getgroups(n, box.groups)) == -1)
		return apw_err_set(err, errno, "cannot get our groups");
	conf->host_ngroups = (size_t)n;
	return 0;
}

/* As many engines as may be there at a time: one that works, and those that
 * stand by. */
static unsigned
box_seats(const struct apw_cycle *cycle)
{
	unsigned	n = 1 + cycle->engine.standby;

	if (cycle->sandbox != NULL && cycle->sandbox->ops.sandbox->warm)
		return 1;
	return n < APW_SANDBOX_SEATS ? n : APW_SANDBOX_SEATS;
}

static int
box_start_one(struct box_seat *seat, const struct apw_broker_conf *conf,
    struct apw_err *err)
{
	struct epoll_event	ev = { .events = EPOLLIN };

	if ((seat->broker = apw_broker_start(conf, err)) == NULL)
		return -1;
	seat->pidfd = (int)syscall(SYS_pidfd_open,
	    apw_broker_pid(seat->broker), 0);
	if (seat->pidfd == -1 ||
	    fcntl(seat->pidfd, F_SETFD, FD_CLOEXEC) == -1 ||
	    epoll_ctl(box.watch_fd, EPOLL_CTL_ADD, seat->pidfd, &ev) == -1 ||
	    apw_child_own(apw_broker_pid(seat->broker)) == -1)
		return apw_err_set(err, errno, "cannot watch the broker");
	return 0;
}

static int
box_start_all(struct apw_broker_conf *conf, unsigned n, struct apw_err *err)
{
	if ((box.watch_fd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		return apw_err_set(err, errno, "cannot watch brokers");
	for (box.nseats = 0; box.nseats < n; box.nseats++) {
		/* nor do engines of a slot share a uid */
		if (box.nseats != 0)
			conf->uid = conf->gid = APW_BROKER_FIRST_UID +
			    BOX_SEAT_UIDS * box.nseats + conf->slot;
		box.seats[box.nseats].pidfd = -1;
		if (apw_plain_tmp_path(box.nseats, box.tmp, sizeof(box.tmp),
		    err) == -1 || box_start_one(&box.seats[box.nseats], conf,
		    err) == -1) {
			box.nseats++;
			apw_sandbox_finish();
			return -1;
		}
	}
	return 0;
}

int
box_start(const struct apw_cycle *cycle, unsigned slot,
    const struct apw_box_conf *c, struct apw_err *err)
{
	struct apw_broker_conf	conf = {
		.slot = slot, .node = box.node, .common = box.common,
		.codes = box.codes, .custom_pieces = box.custom,
		.ca_file = cycle->engine.ca_file,
		.host_groups = box.groups, .host_tmp = box.tmp,
		.box_title = box.title,
		.forget = box_forget,
		.forget_arg = (void *)(uintptr_t)cycle,
	};
	const struct apw_module	*m;

	snprintf(box.title, sizeof(box.title), "apworkerd: box %u", slot);
	conf.title_at = apw_title_place(&conf.title_bytes);
	if (box_paths(cycle, err) == -1 ||
	    box_host_user(cycle, &conf, err) == -1)
		return -1;
	if (c == NULL && (m = box_module(cycle)) != NULL)
		c = APW_MODULE_CONF(cycle, m);
	if (c != NULL)
		conf.limits = box_limits(c);
	/* and a builder's */
	conf.boxes = cycle->main.slots * (box_seats(cycle) + 1);
	/* the app's settings may want engines with the host's files */
	conf.only_boxes = cycle->sandbox != NULL &&
	    cycle->sandbox->ops.sandbox->boxed &&
	    cycle->network.mode != APW_NETWORK_PRIVATE;
	if (box.deno[0] != '\0')
		conf.deno = box.deno;
	if (box.node_modules[0] != '\0')
		conf.node_modules = box.node_modules;
	free(box.pasta);
	conf.pasta = box.pasta = apw_find_program("pasta");
	return box_start_all(&conf, box_seats(cycle), err);
}

int
apw_sandbox_begin(const struct apw_cycle *cycle, unsigned slot,
    struct apw_err *err)
{
	box.cycle = cycle;
	box.slot = slot;
	if (geteuid() != 0)
		return 0;
	box.unborn = box_start(cycle, slot, NULL, err) == -1;
	return box.unborn ? -1 : 0;
}

int
apw_sandbox_unborn(struct apw_err *err)
{
	if (!box.unborn)
		return 0;
	return box_paths(box.cycle, err) == -1 ? -1 : 1;
}

int
apw_sandbox_watch_fd(void)
{
	return box.watch_fd;
}

bool
apw_sandbox_yields(void)
{
	return box.yields;
}

unsigned
apw_sandbox_seats(void)
{
	return box.nseats;
}

unsigned
apw_sandbox_slot(const struct apw_cycle **cycle)
{
	*cycle = box.cycle;
	return box.slot;
}

void
apw_sandbox_finish(void)
{
	struct box_seat	*seat;
	unsigned	 i;

	for (i = 0; i < box.nseats; i++)
		if (box.seats[i].broker != NULL)
			apw_broker_hang_up(box.seats[i].broker);
	while (box.nseats > 0) {
		seat = &box.seats[--box.nseats];
		if (seat->pidfd != -1)
			close(seat->pidfd);
		seat->pidfd = -1;
		if (seat->broker == NULL)
			continue;
		apw_child_disown(apw_broker_pid(seat->broker));
		apw_broker_stop(seat->broker);
		seat->broker = NULL;
	}
	if (box.watch_fd != -1)
		close(box.watch_fd);
	box.watch_fd = -1;
}
