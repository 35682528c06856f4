/* The process modes' engines: one broker a slot, asked for one box after the
 * other; see box.h and broker/broker.h.  Room: modules/sandbox, in the slot.
 *
 * As root the broker is forked at the slot's birth, while it has privileges;
 * otherwise when the first box is wanted.  When it dies, the slot dies with
 * it (watch_fd) and is born again with a new one. */
#include "modules/sandbox/box.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_conf.h"
#include "core/apw_find.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "master/child.h"
#include "modules/sandbox/plain.h"
#include "stock/stock.h"

/* One a process: a slot has one engine. */
static struct {
	const struct apw_cycle	*cycle;		/* borrowed; NULL: no slot */
	unsigned		 slot;
	struct apw_broker	*broker;	/* owned */
	int			 pidfd;		/* of the broker */
	struct apw_box		 box;
	bool			 open;		/* box is not ended yet */
	enum { HOST_UNKNOWN, HOST_READY, HOST_NOT } host; /* with host's files */
	gid_t			 groups[NGROUPS_MAX];
	char			 node[PATH_MAX], node_modules[PATH_MAX];
	char			 common[PATH_MAX], codes[PATH_MAX];
	char			 custom[PATH_MAX];
	char			 tmp[PATH_MAX];	/* of hardened engines */
	char			*pasta;		/* owned; NULL: not there */
} box = { .pidfd = -1 };

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

static int
box_paths(const struct apw_cycle *cycle, struct apw_err *err)
{
	static const struct { char *to; const char *name; } folders[] = {
		{ box.common, "common" }, { box.codes, "codes" },
		{ box.custom, "custom_pieces" },
	};
	size_t	i;

	if (box_real(cycle->engine.node, box.node, err) == -1)
		return -1;
	box.node_modules[0] = '\0';
	if (cycle->engine.node_path != NULL &&
	    box_real(cycle->engine.node_path, box.node_modules, err) == -1)
		return -1;
	for (i = 0; i < APW_COUNT(folders); i++)
		if ((size_t)snprintf(folders[i].to, PATH_MAX, "%s/%s/%s",
		    cycle->stock.path, APW_STOCK_VERSION, folders[i].name) >=
		    PATH_MAX)
			return apw_err_set(err, ENAMETOOLONG, "%s",
			    cycle->stock.path);
	return 0;
}

static struct apw_box_limits
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

/* c: NULL for the limits of the module whose count. */
static int
box_start(const struct apw_cycle *cycle, unsigned slot,
    const struct apw_box_conf *c, struct apw_err *err)
{
	struct apw_broker_conf	conf = {
		.slot = slot, .node = box.node, .common = box.common,
		.codes = box.codes, .custom_pieces = box.custom,
		.ca_file = cycle->engine.ca_file,
		.host_groups = box.groups,
		.forget = box_forget,
		.forget_arg = (void *)(uintptr_t)cycle,
	};
	const struct apw_module	*m;

	if (box_paths(cycle, err) == -1 ||
	    box_host_user(cycle, &conf, err) == -1 ||
	    apw_plain_tmp_path(box.tmp, sizeof(box.tmp), err) == -1)
		return -1;
	conf.host_tmp = box.tmp;
	if (c == NULL && (m = box_module(cycle)) != NULL)
		c = APW_MODULE_CONF(cycle, m);
	if (c != NULL)
		conf.limits = box_limits(c);
	if (box.node_modules[0] != '\0')
		conf.node_modules = box.node_modules;
	free(box.pasta);
	conf.pasta = box.pasta = apw_find_program("pasta");
	if ((box.broker = apw_broker_start(&conf, err)) == NULL)
		return -1;
	box.pidfd = (int)syscall(SYS_pidfd_open, apw_broker_pid(box.broker), 0);
	if (box.pidfd == -1 || fcntl(box.pidfd, F_SETFD, FD_CLOEXEC) == -1 ||
	    apw_child_own(apw_broker_pid(box.broker)) == -1) {
		apw_err_set(err, errno, "cannot watch the broker");
		apw_sandbox_finish();
		return -1;
	}
	return 0;
}

int
apw_sandbox_begin(const struct apw_cycle *cycle, unsigned slot,
    struct apw_err *err)
{
	box.cycle = cycle;
	box.slot = slot;
	return geteuid() != 0 ? 0 : box_start(cycle, slot, NULL, err);
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
	if (box.pidfd != -1)
		close(box.pidfd);
	box.pidfd = -1;
	if (box.broker == NULL)
		return;
	apw_child_disown(apw_broker_pid(box.broker));
	apw_broker_stop(box.broker);
	box.broker = NULL;
}

/* A box around nothing, just to see: it proves what it is before it runs. */
static int
box_try_one(struct apw_broker *b, unsigned flags, struct apw_err *err)
{
	static const char *const	argv[] = { "/usr/bin/true", NULL };
	static const char *const	envp[] = { NULL };
	apw_autofd int			null = open("/dev/null", O_RDWR |
					    O_CLOEXEC);
	struct apw_box_order		order = { .flags = flags,
					    .argv = argv, .envp = envp,
					    .out_fd = null, .err_fd = null,
					    .memory_bytes = 256 << 20,
					    .rules_fd = -1 };
	struct apw_box_end		end;
	struct apw_box			one;

	if (null == -1)
		return apw_err_set(err, errno, "/dev/null");
	if (apw_broker_boot(b, &order, &one, err) == -1)
		return -1;
	waitpid(one.pid, NULL, 0);
	return apw_broker_end(b, &one, &end, err);
}

/* No slot: a broker and a stock for the time of one box. */
static int
box_try_in(const char *dir, const struct apw_box_conf *c, unsigned flags,
    struct apw_err *err)
{
	char			 common[64], codes[64];
	struct apw_broker_conf	 conf = { .common = common, .codes = codes,
				    .limits = box_limits(c) };
	struct apw_broker	*b;
	int			 rc;

	snprintf(common, sizeof(common), "%s/common", dir);
	snprintf(codes, sizeof(codes), "%s/codes", dir);
	if (mkdir(common, 0755) == -1 || mkdir(codes, 0755) == -1)
		return apw_err_set(err, errno, "%s", dir);
	apw_autofree char *pasta = apw_find_program("pasta");
	conf.pasta = pasta;
	conf.host_uid = geteuid();
	conf.host_gid = getegid();
	if ((b = apw_broker_start(&conf, err)) == NULL)
		return -1;
	rc = (flags & APW_BOX_HOST_FILES) != 0 ?
	    apw_broker_try(b, flags, err) : box_try_one(b, flags, err);
	apw_broker_stop(b);
	rmdir(common);
	rmdir(codes);
	return rc;
}

static int
box_try(const struct apw_box_conf *c, unsigned flags, struct apw_err *err)
{
	char	dir[] = "/tmp/apworkerd-probe-XXXXXX";
	int	rc;

	if (mkdtemp(dir) == NULL)
		return apw_err_set(err, errno, "%s", dir);
	rc = box_try_in(dir, c, flags, err);
	rmdir(dir);
	return rc;
}

static unsigned
box_network_flags(enum apw_network network)
{
	switch (network) {
	case APW_NETWORK_STRICT:
		return APW_BOX_OWN_NET;
	case APW_NETWORK_PRIVATE:
		return APW_BOX_OWN_NET | APW_BOX_OUTSIDE;
	case APW_NETWORK_UNRESTRICTED:
	case APW_NETWORK_AUTO:
		break;
	}
	return 0;
}

int
apw_box_fence(const void *conf, enum apw_network network,
    enum apw_fence *fence, struct apw_err *err)
{
	unsigned	flags = box_network_flags(network);

	*fence = APW_FENCE_NETNS;
	if (box.cycle == NULL)
		return box_try(conf, flags, err);
	return apw_broker_try(box.broker, flags, err);
}

int
apw_box_probe(const void *conf, const char *mode, struct apw_err *err)
{
	char	text[256];
	int	rc;

	if (box.cycle == NULL)
		rc = box_try(conf, 0, err);
	else if (box.broker == NULL &&
	    box_start(box.cycle, box.slot, conf, err) == -1)
		rc = -1;
	else
		rc = apw_broker_describe(box.broker, text, sizeof(text), err);
	return rc == 0 ? 0 : apw_err_wrap(err, "%s is not to be had here "
	    "(\"apworkerd doctor\" says more)", mode);
}

static int
box_admit_both(const char *flow_version_id, const char *platform_id,
    struct apw_err *err)
{
	if (flow_version_id != NULL && apw_broker_admit(box.broker,
	    APW_ADMIT_FLOW, flow_version_id, err) == -1)
		return -1;
	if (platform_id != NULL && apw_broker_admit(box.broker,
	    APW_ADMIT_PLATFORM, platform_id, err) == -1)
		return -1;
	return 0;
}

static void
box_close(struct apw_box_end *end)
{
	struct apw_err	err = APW_ERR_NONE;

	if (!box.open)
		return;
	apw_broker_end(box.broker, &box.box, end, &err);
	box.open = false;
}

/* The order but for its streams. */
static int
box_boot(struct apw_box_order *order, struct apw_child *child,
    struct apw_err *err)
{
	int	out[2], fd_err[2];

	if (pipe2(out, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for an engine");
	apw_autofd int out_r = out[0];
	apw_autofd int out_w = out[1];
	if (pipe2(fd_err, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for an engine");
	apw_autofd int err_r = fd_err[0];
	apw_autofd int err_w = fd_err[1];
	fcntl(out_r, F_SETFL, O_NONBLOCK);
	fcntl(err_r, F_SETFL, O_NONBLOCK);
	order->out_fd = out_w;
	order->err_fd = err_w;
	if (apw_broker_boot(box.broker, order, &box.box, err) == -1)
		return -1;
	box.open = true;
	child->pid = box.box.pid;
	child->engine_pid = box.box.engine_pid != 0 ? box.box.engine_pid :
	    box.box.pid;
	child->pidfd = apw_take_fd(&box.box.pidfd);
	child->out_fd = apw_take_fd(&out_r);
	child->err_fd = apw_take_fd(&err_r);
	child->link_fd = apw_take_fd(&box.box.link_fd);
	child->proxy_fd = apw_take_fd(&box.box.proxy_fd);
	/* spared by the sweep below the slot; a full table means the box is
	 * swept at once, and the start fails */
	apw_child_own(child->pid);
	return 0;
}

int
apw_box_boot(const void *conf, bool isolates, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	struct apw_box_order	order = {
		.flags = (isolates ? APW_BOX_ISOLATES : 0) |
		    box_network_flags(spec->network),
		.memory_bytes = spec->memory_bytes, .argv = spec->argv,
		.envp = spec->envp, .rules_fd = -1,
	};
	struct apw_box_end	end;

	(void)conf;
	if (box.broker == NULL)
		return apw_err_set(err, 0, "there is no broker");
	box_close(&end);	/* of a start that was given up half-way */
	if (box_admit_both(spec->flow_version_id, spec->platform_id,
	    err) == -1)
		return -1;
	return box_boot(&order, child, err);
}

/* The broker of a root's slot stays, for a mode that needs boxes; another is
 * made when one is wanted. */
bool
apw_box_host_ready(void)
{
	struct apw_err	err = APW_ERR_NONE;

	if (box.cycle == NULL || box.host != HOST_UNKNOWN)
		return box.host == HOST_READY;
	box.host = HOST_NOT;
	if ((box.broker != NULL || (geteuid() != 0 &&
	    box_start(box.cycle, box.slot, NULL, &err) == 0)) &&
	    apw_broker_try(box.broker, APW_BOX_HOST_FILES | APW_BOX_HARDEN,
	    &err) == 0) {
		box.host = HOST_READY;
		return true;
	}
	apw_notice("engines have no pid namespace here", APW_E(&err));
	if (geteuid() != 0)
		apw_sandbox_finish();
	return false;
}

bool
apw_box_has(const struct apw_child *child)
{
	return box.open && box.box.pid == child->pid;
}

int
apw_box_host_fence(enum apw_network network, struct apw_err *err)
{
	static const struct apw_box_conf	none;

	if (box.cycle == NULL)
		return box_try(&none, APW_BOX_HOST_FILES |
		    box_network_flags(network), err);
	if (!apw_box_host_ready())
		return apw_err_set(err, 0, "there are no namespaces for a "
		    "network of its own");
	return apw_broker_try(box.broker, APW_BOX_HOST_FILES |
	    box_network_flags(network), err);
}

int
apw_box_host_boot(const struct apw_box_spec *spec,
    const struct apw_harden *harden, struct apw_child *child,
    struct apw_err *err)
{
	struct apw_box_order	order = {
		.flags = APW_BOX_HOST_FILES |
		    box_network_flags(spec->network) |
		    (harden != NULL ? APW_BOX_HARDEN : 0),
		.argv = spec->argv, .envp = spec->envp, .cwd = spec->cwd,
		.rules_fd = harden != NULL ? harden->ruleset_fd : -1,
	};
	struct apw_box_end	end;

	box_close(&end);
	if (harden != NULL && box_admit_both(spec->flow_version_id, NULL,
	    err) == -1)
		return -1;
	return box_boot(&order, child, err);
}

void
apw_box_kill(const void *conf, const struct apw_child *child)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)conf;
	(void)child;
	/* an error means the broker is gone, and with it the box */
	if (box.open)
		apw_broker_kill(box.broker, &err);
}

void
apw_box_inside(const void *conf, const struct apw_cycle *cycle,
    struct apw_inside *in)
{
	(void)conf;
	*in = (struct apw_inside){ .bundle = APW_BOX_COMMON "/main.js",
	    .codes = APW_BOX_CODES, .custom_pieces = APW_BOX_CUSTOM_PIECES };
	if (box_paths(cycle, NULL) == -1)
		return;		/* and no box can be booted either */
	in->ca_file = APW_BOX_CA_FILE;
	in->node = apw_box_in_usr(box.node) ? box.node : APW_BOX_NODE;
	if (box.node_modules[0] != '\0')
		in->node_path = apw_box_in_usr(box.node_modules) ?
		    box.node_modules : APW_BOX_NODE_MODULES;
}

int
apw_box_admit(const void *conf, const char *flow_version_id,
    const char *platform_id, struct apw_err *err)
{
	(void)conf;
	return box_admit_both(flow_version_id, platform_id, err);
}

void
apw_box_end(const void *conf, const struct apw_child *child,
    struct apw_sandbox_end *to)
{
	struct apw_box_end	end = { .code = -1 };

	(void)conf;
	(void)child;
	box_close(&end);
	*to = (struct apw_sandbox_end){ .told = end.told, .code = end.code,
	    .signal = end.signal, .oom_known = end.oom_known,
	    .oom_kills = end.oom_kills };
}

int
apw_box_watch_fd(const void *conf)
{
	(void)conf;
	return box.pidfd;
}
