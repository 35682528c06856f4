/* The engine's process: start, descriptors, end.  Room: slot. */
#include "slot/engine_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "slot/command.h"
#include "slot/oom.h"

#define ENGINE_READ_BYTES	16384
#define ENGINE_READS_A_TURN	8	/* a flood must not hold the loop */
#define ENGINE_READS_AT_END	64

const struct apw_child	engine_no_child = { .pidfd = -1, .out_fd = -1,
			    .err_fd = -1, .link_fd = -1, .proxy_fd = -1 };

/* 1: more may come; 0: end of file or error. */
static int
engine_drain(struct apw_engine *e, int fd, int stream, int reads)
{
	char	 buf[ENGINE_READ_BYTES];
	ssize_t	 n;

	while (reads-- > 0) {
		n = read(fd, buf, sizeof(buf));
		if (n == -1)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return 0;
		apw_capture_add(&e->capture, stream, true,
		    (struct apw_str){ buf, (size_t)n });
	}
	return 1;
}

static void
engine_on_stdout(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	if (engine_drain(e, fd, 1, ENGINE_READS_A_TURN) == 0)
		event_del(e->out_event);
}

static void
engine_on_stderr(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	if (engine_drain(e, fd, 2, ENGINE_READS_A_TURN) == 0)
		event_del(e->err_event);
}

/* 21 characters of a URL-safe alphabet, as the app knows them. */
static int
engine_new_id(char id[24], struct apw_err *err)
{
	static const char	alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	    "WXYZ_abcdefghijklmnopqrstuvwxyz-";
	unsigned char		bytes[21];
	size_t			i;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return apw_err_set(err, errno, "no random bytes for an id");
	for (i = 0; i < sizeof(bytes); i++)
		id[i] = alphabet[bytes[i] & 63];
	id[sizeof(bytes)] = '\0';
	return 0;
}

static int
engine_watch(struct apw_engine *e, struct apw_err *err)
{
	struct event_base	*base = e->env.base;

	e->exit_event = event_new(base, e->child.pidfd, EV_READ,
	    engine_on_exit, e);
	e->out_event = event_new(base, e->child.out_fd, EV_READ | EV_PERSIST,
	    engine_on_stdout, e);
	e->err_event = event_new(base, e->child.err_fd, EV_READ | EV_PERSIST,
	    engine_on_stderr, e);
	if (e->exit_event == NULL || e->out_event == NULL ||
	    e->err_event == NULL || event_add(e->exit_event, NULL) == -1 ||
	    event_add(e->out_event, NULL) == -1 ||
	    event_add(e->err_event, NULL) == -1)
		return apw_err_set(err, 0, "cannot watch the engine");
	return 0;
}

/* Pieces run in a child whose heap has the engine's limit: room for both. */
static uint64_t
engine_memory(const struct apw_engine *e)
{
	uint64_t	bytes = e->settings->memory_mb * 1024 * 1024;

	return apw_stock_engine_has_children(e->env.stock) ? 2 * bytes : bytes;
}

static int
engine_spawn(struct apw_engine *e, struct apw_arena *arena,
    struct apw_err *err)
{
	char			token[APW_ENGINE_LINK_TOKEN_BYTES];
	struct apw_command	cmd;
	struct apw_command_in	in = {
		.cycle = e->env.cycle, .settings = e->settings,
		.sandbox = e->sandbox, .sandbox_conf = e->sandbox_conf,
		.bundle = apw_stock_engine(e->env.stock),
		.codes = apw_stock_codes(e->env.stock),
		.lead = e->lead,
		.children = apw_stock_engine_has_children(e->env.stock),
		.app = e->rules == NULL ? "" : apw_egress_rules_app(e->rules),
		.sandbox_id = e->sandbox_id, .token = token,
		.ahead = e->serving || !e->env.cycle->engine.ahead ? NULL :
		    apw_stock_ahead(e->env.stock),
	};
	struct apw_box_spec	spec = {
		.slot = e->env.slot, .seat = e->env.seat,
		.ahead = !e->serving && e->yields, .sandbox_id = e->sandbox_id,
		.argv = cmd.argv, .envp = cmd.envp, .cwd = ".",
		.memory_bytes = engine_memory(e),
		.flow_version_id = e->tenant.flow_version_id,
		.platform_id = e->tenant.platform_id,
		.network = e->settings->network, .fence = e->fence,
	};
	int			rv;

	if (e->lead != APW_COMMAND_LEAD_NONE &&
	    apw_stock_tunnel(e->env.stock, err) == -1)
		return -1;
	if (engine_new_id(e->sandbox_id, err) == -1 ||
	    engine_net_ports(e, &in.port, &in.proxy_port, err) == -1 ||
	    apw_engine_link_expect(e->link, e->sandbox_id, token, err) == -1)
		return -1;
	spec.ports[0] = in.port;
	spec.ports[1] = in.proxy_port;
	e->yielding = spec.ahead;
	rv = apw_command_make(arena, &in, &cmd, err);
	if (rv == 0)
		rv = e->sandbox->boot(e->sandbox_conf, &spec, &e->child, err);
	if (rv == 0)
		rv = engine_net_start(e, err);
	explicit_bzero(token, sizeof(token));
	return rv;
}

int
engine_process_start(struct apw_engine *e, struct apw_err *err)
{
	struct apw_arena	*arena = apw_arena_new();
	int			 rv;

	if (arena == NULL)
		return apw_err_set(err, ENOMEM, "cannot start an engine");
	e->booted_ms = apw_now_ms();
	e->booted_stock = apw_stock_generation(e->env.stock);
	e->booted_from = e->fingerprint;
	e->oom_kills = apw_oom_kills();
	e->jobs = 0;
	memset(&e->evidence, 0, sizeof(e->evidence));
	e->evidence.sandbox_id = e->sandbox_id;
	e->evidence.code = -1;
	rv = engine_spawn(e, arena, err);
	apw_arena_free(arena);
	if (rv == -1)
		return -1;
	atomic_fetch_add(&e->env.score->engine_starts, 1);
	if (e->serving)
		engine_show(e);
	apw_capture_begin(&e->capture);
	apw_info(e->serving ? "engine started" : "standby engine started",
	    APW_I("pid", e->child.engine_pid),
	    APW_S("sandbox", e->sandbox_id));
	return engine_watch(e, err);
}

void
engine_show(const struct apw_engine *e)
{
	atomic_store(&e->env.score->engine_pid, e->child.engine_pid);
}

/* As the kernel has it: "process 12, state D, in io_schedule". */
const char *
apw_engine_late_text(const struct apw_engine *e, char *text, size_t size)
{
	char	path[64], stat[512] = "", wchan[64] = "", *p;
	ssize_t	n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)e->child.pid);
	apw_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1 && (n = read(fd, stat, sizeof(stat) - 1)) > 0)
		stat[n] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)e->child.pid);
	apw_autofd int where = open(path, O_RDONLY | O_CLOEXEC);
	if (where == -1 || (n = read(where, wchan, sizeof(wchan) - 1)) < 0)
		n = 0;
	wchan[n] = '\0';
	/* the name may hold anything: the state follows its last ')' */
	p = strrchr(stat, ')');
	snprintf(text, size, "process %d, state %c%s%s", (int)e->child.pid,
	    p != NULL && p[1] == ' ' && p[2] != '\0' ? p[2] : '?',
	    wchan[0] == '\0' || wchan[0] == '0' ? "" : ", in ", wchan[0] ==
	    '0' ? "" : wchan);
	return text;
}

void
engine_process_kill(struct apw_engine *e)
{
	if (e->child.pid != 0)
		e->sandbox->kill(e->sandbox_conf, &e->child);
}

/* What is in the pipes now is its last word: a grandchild that still holds
 * them open is not waited for. */
void
engine_last_words(struct apw_engine *e)
{
	engine_drain(e, e->child.out_fd, 1, ENGINE_READS_AT_END);
	engine_drain(e, e->child.err_fd, 2, ENGINE_READS_AT_END);
}

/* A box knows better: the process we reaped was its init. */
static void
engine_box_end(struct apw_engine *e)
{
	struct apw_evidence	*ev = &e->evidence;
	struct apw_sandbox_end	 end;

	e->sandbox->end(e->sandbox_conf, &e->child, &end);
	if (end.told) {
		ev->code = end.code;
		ev->signal = end.signal;
	} else
		ev->box_killed = ev->signal == SIGKILL;
	if (end.oom_known)
		ev->oom_own = ev->oom_kill = end.oom_kills != 0;
}

void
engine_process_reap(struct apw_engine *e)
{
	struct apw_evidence	*ev = &e->evidence;
	siginfo_t		 info = { 0 };

	engine_last_words(e);
	if (waitid(P_PIDFD, (id_t)e->child.pidfd, &info,
	    WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
		ev->ended = true;
		if (info.si_code == CLD_EXITED)
			ev->code = info.si_status;
		else
			ev->signal = info.si_status;
	}
	ev->ran_ms = apw_now_ms() - e->booted_ms;
	ev->children = apw_stock_engine_has_children(e->env.stock);
	ev->oom_kill = ev->signal == SIGKILL &&
	    apw_oom_kills() > e->oom_kills;
	if (e->sandbox->end != NULL)
		engine_box_end(e);
	engine_process_forget(e);
}

void
engine_process_forget(struct apw_engine *e)
{
	struct event	**events[] = { &e->exit_event, &e->out_event,
	    &e->err_event };
	int32_t		 shown = e->child.engine_pid;
	size_t		 i;

	for (i = 0; i < 3; i++) {
		if (*events[i] != NULL)
			event_free(*events[i]);
		*events[i] = NULL;
	}
	engine_net_stop(e);
	if (e->child.pid == 0)
		return;
	apw_child_disown(e->child.pid);
	close(e->child.pidfd);
	close(e->child.out_fd);
	close(e->child.err_fd);
	if (e->child.link_fd != -1)
		close(e->child.link_fd);
	if (e->child.proxy_fd != -1)
		close(e->child.proxy_fd);
	e->child = engine_no_child;
	/* another may be shown already */
	atomic_compare_exchange_strong(&e->env.score->engine_pid, &shown, 0);
}
