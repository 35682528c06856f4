/* Engines in boxes: of the process modes, and with the host's files; see
 * box.h and broker/broker.h.  Room: modules/sandbox, in the slot.  Each seat
 * has a broker, which is asked for one box after the other. */
#include "modules/sandbox/box_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_find.h"
#include "core/apw_log.h"

#define BOX_HOST_MORE	(UINT64_C(128) << 20)	/* bytes */

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
	return apw_broker_try(box.seats[0].broker, flags, err);
}

int
apw_box_probe(const void *conf, const char *mode, struct apw_err *err)
{
	char	text[256];
	int	rc;

	if (box.cycle == NULL)
		rc = box_try(conf, 0, err);
	else if (box.nseats == 0 &&
	    box_start(box.cycle, box.slot, conf, err) == -1)
		rc = -1;
	else
		rc = apw_broker_describe(box.seats[0].broker, text,
		    sizeof(text), err);
	if (rc == 0 && box.cycle != NULL)
		box.yields = strstr(text, " cpu") != NULL;
	return rc == 0 ? 0 : apw_err_wrap(err, "%s is not to be had here "
	    "(\"apworkerd doctor\" says more)", mode);
}

/* NULL: there is no such broker. */
static struct box_seat *
box_seat(unsigned n)
{
	return n < box.nseats ? &box.seats[n] : NULL;
}

static void
box_close(struct box_seat *seat, struct apw_box_end *end)
{
	struct apw_err	err = APW_ERR_NONE;

	if (!seat->open)
		return;
	apw_broker_end(seat->broker, &seat->box, end, &err);
	seat->open = false;
}

/* The order but for its streams. */
static int
box_boot(struct box_seat *seat, struct apw_box_order *order,
    struct apw_child *child, struct apw_err *err)
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
	if (apw_broker_boot(seat->broker, order, &seat->box, err) == -1)
		return err != NULL && (err->code == ENOENT || err->code ==
		    EACCES || err->code == ENOEXEC) ?
		    apw_err_wrap(err, "%s", order->argv[0]) : -1;
	seat->open = true;
	child->seat = (unsigned)(seat - box.seats);
	child->pid = seat->box.pid;
	child->engine_pid = seat->box.engine_pid != 0 ? seat->box.engine_pid :
	    seat->box.pid;
	child->pidfd = apw_take_fd(&seat->box.pidfd);
	child->out_fd = apw_take_fd(&out_r);
	child->err_fd = apw_take_fd(&err_r);
	child->link_fd = apw_take_fd(&seat->box.link_fd);
	child->proxy_fd = apw_take_fd(&seat->box.proxy_fd);
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
		    (spec->ahead ? APW_BOX_AHEAD : 0) |
		    box_network_flags(spec->network),
		.memory_bytes = spec->memory_bytes, .argv = spec->argv,
		.envp = spec->envp, .rules_fd = -1,
	};
	struct box_seat		*seat = box_seat(spec->seat);
	struct apw_box_end	 end;

	(void)conf;
	if (seat == NULL)
		return apw_err_set(err, 0, "there is no broker");
	box_close(seat, &end);	/* of a start that was given up half-way */
	if (apw_broker_admit_both(seat->broker, spec->flow_version_id,
	    spec->platform_id, err) == -1)
		return -1;
	return box_boot(seat, &order, child, err);
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
	if ((box.nseats != 0 || (geteuid() != 0 &&
	    box_start(box.cycle, box.slot, NULL, &err) == 0)) &&
	    apw_broker_try(box.seats[0].broker, APW_BOX_HOST_FILES |
	    APW_BOX_HARDEN, &err) == 0) {
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
	return child->seat < box.nseats && box.seats[child->seat].open &&
	    box.seats[child->seat].box.pid == child->pid;
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
	return apw_broker_try(box.seats[0].broker, APW_BOX_HOST_FILES |
	    box_network_flags(network), err);
}

/* Such an engine may have a heap of all its memory, as it has where nothing
 * holds it; what is no heap, and what it starts, has a quarter more. */
static uint64_t
box_host_memory(uint64_t bytes)
{
	uint64_t	more = bytes / 4;

	return bytes == 0 ? 0 : bytes + (more < BOX_HOST_MORE ?
	    BOX_HOST_MORE : more);
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
		.memory_bytes = box_host_memory(spec->memory_bytes),
		.argv = spec->argv, .envp = spec->envp, .cwd = spec->cwd,
		.rules_fd = harden != NULL ? harden->ruleset_fd : -1,
	};
	struct box_seat		*seat = box_seat(spec->seat);
	struct apw_box_end	 end;

	if (seat == NULL)
		return apw_err_set(err, 0, "there is no broker");
	box_close(seat, &end);
	if (harden != NULL && apw_broker_admit_both(seat->broker,
	    spec->flow_version_id, NULL, err) == -1)
		return -1;
	return box_boot(seat, &order, child, err);
}

void
apw_box_kill(const void *conf, const struct apw_child *child)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)conf;
	/* an error means the broker is gone, and with it the box */
	if (apw_box_has(child))
		apw_broker_kill(box.seats[child->seat].broker, &err);
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
	if (box.deno[0] != '\0')
		in->deno = apw_box_in_usr(box.deno) ? box.deno : APW_BOX_DENO;
	if (box.node_modules[0] != '\0')
		in->node_path = apw_box_in_usr(box.node_modules) ?
		    box.node_modules : APW_BOX_NODE_MODULES;
}

void
apw_box_hurry(const void *conf, const struct apw_child *child)
{
	(void)conf;
	if (apw_box_has(child))
		apw_broker_hurry(box.seats[child->seat].broker);
}

void
apw_box_mark(const struct apw_child *child)
{
	if (apw_box_has(child))
		apw_broker_mark(box.seats[child->seat].broker);
}

int
apw_box_admit(const void *conf, const struct apw_child *child,
    const char *flow_version_id, const char *platform_id, struct apw_err *err)
{
	(void)conf;
	if (!apw_box_has(child))
		return apw_err_set(err, 0, "there is no box");
	return apw_broker_admit_both(box.seats[child->seat].broker,
	    flow_version_id, platform_id, err);
}

void
apw_box_end(const void *conf, const struct apw_child *child,
    struct apw_sandbox_end *to)
{
	struct apw_box_end	end = { .code = -1 };

	(void)conf;
	if (apw_box_has(child))
		box_close(&box.seats[child->seat], &end);
	*to = (struct apw_sandbox_end){ .told = end.told, .code = end.code,
	    .signal = end.signal, .oom_known = end.oom_known,
	    .oom_kills = end.oom_kills };
}

int
apw_box_watch_fd(const void *conf)
{
	(void)conf;
	return box.watch_fd;
}
