/* What parsing cannot tell: can this host run the configured mode?  Room:
 * master, for -t, the start and each reload.  The probe runs in a child with
 * the privileges of a slot: the master would find everything possible. */
#include "master/master_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_module.h"
#include "master/fit.h"
#include "modules/sandbox/sandbox.h"
#include "stock/stock.h"

#define PROBE_TIMEOUT_MS	8000	/* the master does nothing else meanwhile */

static bool
has_probe(const struct apw_cycle *c)
{
	return c->sandbox != NULL && c->sandbox->ops.sandbox != NULL &&
	    c->sandbox->ops.sandbox->probe != NULL;
}

static int
probe_mode(const struct apw_cycle *c, struct apw_err *err)
{
	if (!has_probe(c) || c->sandbox->ops.sandbox->probe(
	    APW_MODULE_CONF(c, c->sandbox), err) == 0)
		return 0;
	return apw_err_wrap(err, "sandbox %s", c->mode);
}

static int
probe_builders(const struct apw_cycle *c, struct apw_err *err)
{
	char	text[512];

	return apw_stock_probe(c, text, sizeof(text)) == 0 ? 0 :
	    apw_err_set(err, 0, "stock, \"jail require\": %s", text);
}

static _Noreturn void
probe_child(const struct apw_cycle *c, int fd)
{
	struct apw_err	err = APW_ERR_NONE;
	int		rc;

	signal(SIGCHLD, SIG_DFL);
	/* with the privileges we have: a slot's brokers are forked before the
	 * slot gives them up */
	rc = probe_mode(c, &err);
	if (rc == 0 && c->stock.jail == APW_JAIL_REQUIRE)
		rc = probe_builders(c, &err);
	if (rc == -1 && write(fd, err.text, strlen(err.text)) == -1)
		_exit(APW_EXIT_OS);
	_exit(rc == 0 ? APW_EXIT_OK : APW_EXIT_CONF);
}

/* Read until the child closes its end or the time is over. */
static size_t
probe_read(int fd, char *buf, size_t size)
{
	struct pollfd	pfd = { .fd = fd, .events = POLLIN };
	int64_t		until = apw_now_ms() + PROBE_TIMEOUT_MS, left;
	size_t		n = 0;
	ssize_t		got;

	while (n < size && (left = until - apw_now_ms()) > 0) {
		if (poll(&pfd, 1, (int)left) == -1 && errno != EINTR)
			break;
		if (pfd.revents == 0)
			continue;
		if ((got = read(fd, buf + n, size - n)) == 0)
			break;
		if (got > 0)
			n += got;
	}
	return n;
}

static int
probe(const struct apw_cycle *c, struct apw_err *err)
{
	char	text[900];
	int	fds[2], status;
	size_t	n;
	pid_t	pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "pipe");
	fflush(NULL);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		probe_child(c, fds[1]);
	}
	close(fds[1]);
	if (pid == -1) {
		close(fds[0]);
		return apw_err_set(err, errno, "fork");
	}
	n = probe_read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[n] = '\0';
	kill(pid, SIGKILL);	/* done, or too late */
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (n > 0)
		return apw_err_set(err, 0, "%s", text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == APW_EXIT_OK)
		return 0;
	return apw_err_set(err, 0, "the probe of this host did not end well");
}

int
master_check(const struct apw_cycle *c, FILE *out)
{
	struct apw_err	err = APW_ERR_NONE;
	int		rc = master_fit(c, out);

	/* the probe's boxes need them, too */
	if (master_files(c, &err) == -1) {
		fprintf(out, "%s: error: %s\n",
		    c->file == NULL ? "environment" : c->file, err.text);
		return -1;
	}
	if ((!has_probe(c) && c->stock.jail != APW_JAIL_REQUIRE) ||
	    probe(c, &err) == 0)
		return rc;
	fprintf(out, "%s: error: %s\n",
	    c->file == NULL ? "environment" : c->file, err.text);
	return -1;
}
