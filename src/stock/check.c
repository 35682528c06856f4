/* The tools, for `apworkerd -t`: where they are, which versions they are, and
 * whether that is new enough.  Room: stock, called by the master's test.  It
 * starts them with nothing but a PATH, and waits a few seconds at most. */
#include "stock/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_clock.h"
#include "stock/stock_priv.h"

#define CHECK_MS	10000

/* What we cannot do without, and since when they have it. */
static const struct tool_need {
	const char	*name, *use;
	unsigned	 major, minor, patch;
	const char	*for_what;
} needs[] = {
	{ "bun", "installer", 1, 2, 19, "--linker isolated" },
	{ "npm", "installer", 7, 0, 0, "lock files of version 2" },
	{ "esbuild", "bundler", 0, 17, 0, "--metafile and --log-limit" },
	{ "bun", "bundler", 1, 3, 6, "--metafile" },
};

static _Noreturn void
child_main(const char *path, const char *node, int out)
{
	static char home[] = "HOME=/nonexistent", plain[] = "NO_COLOR=1";
	static char version[] = "--version", search[8192];
	char	*argv[] = { (char *)(uintptr_t)path, version, NULL };
	char	*envp[] = { search, home, plain, NULL };
	int	 null = open("/dev/null", O_RDWR);
	const char *slash = node == NULL ? NULL : strrchr(node, '/');

	/* npm is a script for node */
	snprintf(search, sizeof(search), "PATH=%.*s:/usr/local/bin:/usr/bin:"
	    "/bin", slash == NULL ? 4 : (int)(slash - node),
	    slash == NULL ? "/bin" : node);
	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(null, 2);
	execve(path, argv, envp);
	_exit(127);
}

/* Its first line; -1: it said nothing, or not in time. */
int
stock_check_ask(const char *path, const char *node, char *text, size_t size)
{
	int64_t		end_ms = apw_now_ms() + CHECK_MS, left;
	struct pollfd	p = { .events = POLLIN };
	int		fds[2];
	size_t		have = 0;
	ssize_t		n = 1;
	pid_t		pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	if ((pid = fork()) == 0)
		child_main(path, node, fds[1]);
	close(fds[1]);
	p.fd = fds[0];
	while (pid != -1 && n > 0 && have < size - 1 &&
	    (left = end_ms - apw_now_ms()) > 0 && poll(&p, 1, (int)left) == 1) {
		n = read(fds[0], text + have, size - 1 - have);
		have += n > 0 ? (size_t)n : 0;
	}
	close(fds[0]);
	if (pid != -1) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
	}
	text[have] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
	return have > 0 ? 0 : -1;
}

static bool
too_old(const struct tool_need *need, const char *version)
{
	unsigned	a = 0, b = 0, c = 0;

	if (sscanf(version, "%*[vV]%u.%u.%u", &a, &b, &c) != 3 &&
	    sscanf(version, "%u.%u.%u", &a, &b, &c) != 3)
		return false;		/* not a version that we can read */
	if (a != need->major)
		return a < need->major;
	return b != need->minor ? b < need->minor : c < need->patch;
}

static void
check_one(const struct apw_cycle *c, const char *use, const char *name,
    const char *path, FILE *out)
{
	const struct tool_need	*need;
	char			 version[80];

	if (path == NULL)
		return;			/* the reader of the file said so */
	if (stock_check_ask(path, c->engine.node, version, sizeof(version)) == -1) {
		fprintf(out, "apworkerd: warning: %s %s (%s) does not tell "
		    "its version: jobs that need it will fail\n", use, name,
		    path);
		return;
	}
	fprintf(out, "apworkerd: %s %s %s (%s)\n", use, name, version, path);
	for (need = needs; need < needs + sizeof(needs) / sizeof(*needs);
	    need++)
		if (strcmp(need->name, name) == 0 &&
		    strcmp(need->use, use) == 0 && too_old(need, version))
			fprintf(out, "apworkerd: warning: %s %s is too old: "
			    "expected %u.%u.%u or later, which has %s; jobs "
			    "that need it will fail\n", name, version,
			    need->major, need->minor, need->patch,
			    need->for_what);
}

void
apw_stock_check(const struct apw_cycle *c, FILE *out)
{
	struct apw_err		err = APW_ERR_NONE;
	struct stock_way	way;
	char			text[640];

	check_one(c, "installer", c->stock.installer == APW_INSTALLER_NPM ?
	    "npm" : "bun", c->stock.installer_path, out);
	check_one(c, "bundler", c->stock.bundler == APW_BUNDLER_BUN ? "bun" :
	    "esbuild", c->stock.bundler_path, out);
	if (stock_way_find(&c->stock, &way, &err) == -1 ||
	    stock_way_check(&way, &err) == -1)
		fprintf(out, "apworkerd: warning: %s\n", err.text);
	stock_way_free(&way);
	err = (struct apw_err)APW_ERR_NONE;
	if (stock_npmrc_check(c->stock.npmrc, &err) == -1)
		fprintf(out, "apworkerd: warning: %s\n", err.text);
	apw_stock_probe(c, text, sizeof(text));
	fprintf(out, "apworkerd: builders: %s\n", text);
}

char *
apw_stock_cafile(const struct apw_cycle *c)
{
	return stock_registry_cafile(&c->stock);
}
