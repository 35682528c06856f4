/* The doctor; see doctor.h.  Room: broker, in a process of its own.  It tries
 * and tells; it changes nothing. */
#include "broker/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/harden.h"
#include "broker/landlock.h"
#include "broker/message.h"
#include "broker/probe.h"
#include "core/apw_auto.h"
#include "core/apw_module.h"
#include "core/apw_watch.h"
#include "modules/sandbox/sandbox.h"
#include "stock/stock.h"

#define DOCTOR_NODE_MS	20000
#define DOCTOR_TEXT	512

struct doctor {
	FILE	*f;
	bool	 isolates;		/* isolated-vm loads */
	bool	 memory;		/* of a whole box can be limited */
	int	 grade;
	bool	 can[PROBE_COUNT];
	char	 node[PATH_MAX];
};

static void
doctor_line(const struct doctor *d, const char *name, const char *text,
    const char *remedy)
{
	fprintf(d->f, "%-28s %s\n", name, text);
	if (remedy != NULL && *remedy != '\0')
		fprintf(d->f, "%-28s -> %s\n", "", remedy);
}

/* What a program says on stdout, its first line; -1 when it fails. */
static int
doctor_ask(const char *const *argv, const char *const *envp, char *text,
    size_t size)
{
	ssize_t	n = 0;
	int	fd[2], status = -1;
	pid_t	pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return -1;
	if ((pid = fork()) == 0) {
		int	null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(fd[1], 1);
		dup2(fd[1], 2);
		execve(argv[0], (char *const *)(uintptr_t)argv,
		    (char *const *)(uintptr_t)envp);
		_exit(127);
	}
	close(fd[1]);
	apw_autofd int out = fd[0];
	if (pid == -1)
		return -1;
	if (message_wait(out, DOCTOR_NODE_MS) == 1)
		n = read(out, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	close(apw_take_fd(&out));
	if (n <= 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void
doctor_find_node(struct doctor *d, const struct apw_cycle *cycle)
{
	const char	*path = getenv("PATH"), *end;

	d->node[0] = '\0';
	if (cycle != NULL && cycle->engine.node != NULL) {
		snprintf(d->node, sizeof(d->node), "%s", cycle->engine.node);
		return;
	}
	for (; path != NULL && *path != '\0'; path = end + (*end == ':')) {
		end = path + strcspn(path, ":");
		snprintf(d->node, sizeof(d->node), "%.*s/node",
		    (int)(end - path), path);
		if (access(d->node, X_OK) == 0)
			return;
	}
	d->node[0] = '\0';
}

static void
doctor_node(struct doctor *d, const struct apw_cycle *cycle)
{
	char		 text[DOCTOR_TEXT], path[PATH_MAX + 16];
	const char	*modules = cycle != NULL && cycle->engine.node_path !=
			     NULL ? cycle->engine.node_path :
			     "/usr/src/node_modules";
	const char	*envp[] = { path, NULL };
	const char	*version[] = { d->node, "-v", NULL };
	const char	*load[] = { d->node, "--no-node-snapshot", "-e",
			     "const i = require('isolated-vm'); "
			     "new i.Isolate().dispose(); console.log('ok')",
			     NULL };

	doctor_find_node(d, cycle);
	if (d->node[0] == '\0') {
		doctor_line(d, "node", "not found",
		    "put node on PATH or say \"engine { node PATH; }\"");
		return;
	}
	snprintf(path, sizeof(path), "NODE_PATH=%s", modules);
	if (doctor_ask(version, envp, text, sizeof(text)) == -1)
		doctor_line(d, "node", "does not start", d->node);
	else if (atoi(text + 1) < 22)
		doctor_line(d, "node", text, "engines of Activepieces 0.85 "
		    "need 22.15 or later");
	else
		doctor_line(d, "node", text, NULL);
	d->isolates = doctor_ask(load, envp, text, sizeof(text)) == 0;
	doctor_line(d, "isolated-vm", d->isolates ? "loads" : "does not load",
	    d->isolates ? NULL : "install it for this node, and name its "
	    "folder with \"engine { node_path DIRECTORY; }\"");
}

/* A broker knows best where its limits come from. */
static void
doctor_cgroup(struct doctor *d)
{
	struct apw_broker_conf	 conf = { .common = NULL };
	struct apw_err		 err = APW_ERR_NONE;
	int			 given = apw_broker_home();
	struct apw_broker	*b = apw_broker_start(&conf, &err);
	char			 text[DOCTOR_TEXT] = "rlimits only";

	if (b != NULL)
		apw_broker_describe(b, text, sizeof(text), &err);
	apw_broker_stop(b);
	apw_broker_home_leave(given);
	d->memory = strstr(text, " memory") != NULL;
	doctor_line(d, "limits of a whole box", text, d->memory ? NULL :
	    "cgroup v2: a group of its own (systemd Delegate=yes, or a "
	    "writable /sys/fs/cgroup); cgroup v1: root");
}

static void
doctor_landlock(struct doctor *d)
{
	char	text[64];
	int	abi = landlock_abi();

	d->grade = apw_harden_grade();
	snprintf(text, sizeof(text), abi == 0 ? "none" : "version %d", abi);
	doctor_line(d, "Landlock", text, abi == 0 ?
	    "kernel 5.13 or later with \"landlock\" in the boot option lsm=" :
	    abi < LANDLOCK_ABI_SCOPE ? "kernel 6.12 or later keeps abstract "
	    "sockets and signals apart, too" : NULL);
}

/* Of whom plain engines are. */
static void
doctor_sockets(const struct doctor *d, const struct apw_cycle *cycle)
{
	char	text[DOCTOR_TEXT];

	if (geteuid() == 0 && apw_sockets_of_root(text, sizeof(text)) != 0)
		doctor_line(d, "sockets of root", text, cycle != NULL &&
		    cycle->main.user != NULL ? NULL : "without \"user\" "
		    "engines of UNSANDBOXED and SANDBOX_CODE_ONLY, hardened "
		    "or not, can open them: say \"user NAME\", or use a "
		    "process mode");
}

static int
doctor_mode_probe(const struct apw_module *m, const void *conf, char *text,
    size_t size)
{
	struct apw_err	err = APW_ERR_NONE;

	if (m->ops.sandbox->probe(conf, &err) == 0)
		return 0;
	snprintf(text, size, "%s", err.text);
	return -1;
}

static const char *
doctor_degraded(const struct doctor *d, const struct apw_sandbox_ops *ops)
{
	if (ops->boxed && !d->memory)
		return "degraded: memory is limited process by process, not "
		    "for the box";
	if (ops->boxed && geteuid() != 0)
		return "degraded: boxes have this user's uid";
	if (ops->boxed && d->grade < 3)
		return "degraded: abstract sockets of the host are in reach "
		    "while its network is shared";
	if (!ops->boxed && (!d->can[PROBE_CLONE3] || !d->can[PROBE_MOUNT]))
		return "degraded: no namespaces: engines see the host's "
		    "processes, hardened ones other flows' code";
	if (!ops->boxed && !d->can[PROBE_PROC])
		return "degraded: without a /proc of their own engines see "
		    "the host's processes, hardened ones other flows' code";
	if (!ops->boxed && d->grade < 2)
		return "degraded: \"harden\" has no Landlock: files of the "
		    "host are in reach";
	if (!ops->boxed && d->grade < 3)
		return "degraded: \"harden\" cannot keep signals and abstract "
		    "sockets apart";
	return "available";
}

static int
doctor_mode(const struct doctor *d, const struct apw_module *m,
    const void *conf, const char *mode)
{
	char	why[DOCTOR_TEXT];

	if (doctor_mode_probe(m, conf, why, sizeof(why)) == -1) {
		doctor_line(d, mode, "not available", why);
		return 0;
	}
	if (m->ops.sandbox->isolates_v8 && !d->isolates) {
		doctor_line(d, mode, "not available",
		    "isolated-vm does not load");
		return 0;
	}
	doctor_line(d, mode, doctor_degraded(d, m->ops.sandbox), NULL);
	return 1;
}

static int
doctor_modes(const struct doctor *d, const struct apw_cycle *cycle)
{
	static char		 none[1024];	/* a module's conf, all zero */
	const struct apw_module	*m;
	const char		*const *mode;
	const void		*conf;
	int			 any = 0, wanted = -1, ok;
	size_t			 i;

	for (i = 0; (m = apw_modules[i]) != NULL; i++) {
		if (m->kind != APW_MODULE_SANDBOX)
			continue;
		conf = cycle == NULL ? none : APW_MODULE_CONF(cycle, m);
		for (mode = m->ops.sandbox->modes; *mode != NULL; mode++) {
			ok = doctor_mode(d, m, conf, *mode);
			any |= ok;
			if (cycle != NULL && cycle->sandbox == m)
				wanted = ok;
		}
	}
	return wanted == -1 ? any : wanted;
}

static void
doctor_network(const struct doctor *d, const char *mode,
    const struct apw_sandbox_ops *ops, const void *conf,
    enum apw_network network)
{
	static const char *const	held[] = {
		[APW_FENCE_PORTS] = "two ports of the host's, by Landlock: a "
		    "host elsewhere that listens on these ports can be "
		    "reached, too",
		[APW_FENCE_NETNS] = "a namespace of its own",
	};
	struct apw_err	err = APW_ERR_NONE;
	enum apw_fence	fence = APW_FENCE_NONE;
	char		name[64];

	snprintf(name, sizeof(name), "%s, %s", network == APW_NETWORK_STRICT ?
	    "strict" : "private", mode);
	if (ops->fence == NULL || ops->fence(conf, network, &fence, &err) ==
	    -1)
		doctor_line(d, name, "not available", err.text);
	else
		doctor_line(d, name, held[fence], NULL);
}

/* What each network would be here, in a mode of each kind. */
static void
doctor_networks(const struct doctor *d, const struct apw_cycle *cycle)
{
	static char			 none[1024];
	static const char *const	 modes[] = { "SANDBOX_PROCESS",
					    "UNSANDBOXED" };
	const struct apw_module		*m;
	const char			*mode;
	const void			*conf;
	size_t				 i, j;

	doctor_line(d, "unrestricted", "the host's: engines reach what "
	    "listens on its loopback, links of other slots too", NULL);
	for (i = 0; (m = apw_modules[i]) != NULL; i++) {
		if (m->kind != APW_MODULE_SANDBOX)
			continue;
		mode = m->ops.sandbox->modes[0];
		conf = cycle == NULL ? none : APW_MODULE_CONF(cycle, m);
		for (j = 0; j < APW_COUNT(modes); j++) {
			if (strcmp(mode, modes[j]) != 0)
				continue;
			doctor_network(d, mode, m->ops.sandbox, conf,
			    APW_NETWORK_PRIVATE);
			doctor_network(d, mode, m->ops.sandbox, conf,
			    APW_NETWORK_STRICT);
		}
	}
}

/* One instance does for all slots; what is used up is seldom ours. */
static void
doctor_watch(const struct doctor *d)
{
	struct apw_err	 err = APW_ERR_NONE;
	const char	*name;
	char		 text[DOCTOR_TEXT];
	long		 limit = apw_watch_limit(&name);
	unsigned long	 used = apw_watch_used();
	apw_autofd int	 fd = apw_watch_open(&err);

	if (fd == -1) {
		doctor_line(d, "inotify", "none to be had: slots look for jobs "
		    "each second, apworkerctl run for results", err.text);
		return;
	}
	snprintf(text, sizeof(text), "%s is %ld for uid %lu, of which %lu "
	    "can be seen in use", name, limit, (unsigned long)geteuid(), used);
	doctor_line(d, "inotify", text, limit >= 0 && (long)used > limit / 4 *
	    3 ? "few are left: raise it with sysctl -w" : NULL);
}

static void
doctor_builders(const struct doctor *d, const struct apw_cycle *cycle)
{
	char	text[DOCTOR_TEXT];

	apw_stock_probe(cycle, text, sizeof(text));
	doctor_line(d, "installs and builds", text, NULL);
}

int
apw_doctor(const struct apw_cycle *cycle, FILE *f)
{
	struct doctor		d = { .f = f };
	struct probe_result	r;
	enum probe		p;

	fprintf(f, "This host, as %s:\n", geteuid() == 0 ? "root" :
	    "an ordinary user");
	for (p = 0; p < PROBE_COUNT; p++) {
		probe_run(p, &r);
		d.can[p] = r.ok;
		doctor_line(&d, probe_name(p), r.text, r.remedy);
	}
	doctor_landlock(&d);
	doctor_cgroup(&d);
	doctor_watch(&d);
	doctor_node(&d, cycle);
	doctor_sockets(&d, cycle);
	fputs("\nNetworks:\n", f);
	doctor_networks(&d, cycle);
	fputs("\nBuilders:\n", f);
	doctor_builders(&d, cycle);
	fputs("\nModes:\n", f);
	return doctor_modes(&d, cycle);
}
