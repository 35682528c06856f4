/* Is this host fit for the configuration?  What slots and engines would
 * refuse is looked for in a child that has a slot's privileges; what the
 * master would, in the master.  Room: master, for -t, the start and each
 * reload.  See core/apw_fit.h for the looks themselves. */
#include "master/fit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_fit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "dial/tls.h"
#include "master/child.h"
#include "master/dirs.h"
#include "modules/sandbox/sandbox.h"
#include "stock/check.h"
#include "stock/stock.h"

#define FIT_TIMEOUT_MS	20000	/* a mount whose server is gone */
#define FIT_TEXT	65536

static void
fit_ca(struct apw_fit *f, const char *directive, const char *path)
{
	struct apw_err	err = APW_ERR_NONE;

	if (path != NULL && apw_tls_file(path, &err) == -1)
		apw_fit_error(f, directive, "\"%s\" is \"%s\": %s; expected a "
		    "file of certificates (PEM)", directive, path, err.text);
}

/* What an engine is started with.  In a box the broker puts it in its place,
 * with the master's privileges; else the engine finds it itself, with those
 * of slots. */
static void
fit_engine(struct apw_fit *f)
{
	const struct apw_engine_conf	*e = &f->cycle->engine;

	f->block = "engine";
	apw_fit_program(f, "node", e->node, "the Node.js executable");
	if (e->node_path != NULL)
		apw_fit_folder(f, "node_path", e->node_path, R_OK | X_OK);
	fit_ca(f, "ca_file", e->ca_file);
}

static bool
fit_boxed(const struct apw_cycle *c)
{
	return c->sandbox == NULL || c->sandbox->ops.sandbox->boxed;
}

static void
fit_stock(struct apw_fit *f)
{
	const struct apw_stock_conf	*s = &f->cycle->stock;
	apw_autofree char		*cafile = NULL;
	struct stat			 st;

	f->block = "stock";
	if (stat(s->path, &st) == 0)	/* read-only ones are of use, too */
		apw_fit_folder(f, "path", s->path, access(s->path, W_OK) ==
		    -1 && errno == EROFS ? R_OK | X_OK : R_OK | W_OK | X_OK);
	apw_fit_room(f, "path", s->path, true);
	if (s->npmrc != NULL && apw_fit_file(f, "npmrc", s->npmrc,
	    "an .npmrc") && (cafile = apw_stock_cafile(f->cycle)) != NULL)
		fit_ca(f, "npmrc", cafile);
}

/* Without its journal a slot works as well: that is a warning. */
static void
fit_leases(struct apw_fit *f)
{
	const struct apw_main_conf	*m = &f->cycle->main;
	char				 path[PATH_MAX];
	struct stat			 st;

	if (m->journal == APW_JOURNAL_OFF ||
	    apw_dir_leases(m, path, sizeof(path)) == -1 ||
	    lstat(path, &st) == -1)
		return;
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() &&
	    st.st_uid != 0) || (st.st_mode & 022) != 0 ||
	    access(path, R_OK | W_OK | X_OK) == -1)
		apw_fit_warn(f, "state", "\"%s\" is not a directory of mode "
		    "0700 of the slots' user: jobs are not journalled", path);
}

static void
fit_folders(struct apw_fit *f)
{
	const struct apw_cycle	*c = f->cycle;

	f->block = NULL;
	fit_leases(f);
	fit_stock(f);
	f->block = "source";
	if (c->source != NULL && c->source->fit != NULL)
		c->source->fit(f, APW_MODULE_CONF(c, c->source));
}

static void
fit_as_slot(struct apw_fit *f)
{
	const char	*bundle = f->cycle->engine.bundle;
	struct apw_err	 err = APW_ERR_NONE;
	struct stat	 st;

	fit_folders(f);
	f->block = "engine";
	if (stat(bundle, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		apw_fit_warn(f, "bundle", "\"bundle\" is \"%s\", which is "
		    "empty: no engine will start", bundle);
	else if (apw_fit_file(f, "bundle", bundle, "the engine's main.js") &&
	    apw_stock_engine_needs(f->cycle, true, &err) == -1)
		apw_fit_error(f, "bundle", "\"bundle\": %s", err.text);
	if (!fit_boxed(f->cycle))
		fit_engine(f);
}

static _Noreturn void
fit_child(const struct apw_cycle *c, int fd)
{
	struct apw_fit	f = { .cycle = c, .out = fdopen(fd, "w") };
	struct apw_err	err = APW_ERR_NONE;

	signal(SIGCHLD, SIG_DFL);
	if (f.out == NULL)
		_exit(1);
	if (geteuid() == 0 && c->main.user != NULL) {
		f.noting = true;
		fit_folders(&f);
		f.noting = false;
		f.block = NULL;
		if (apw_child_drop(&c->main, &err) == -1)
			apw_fit_error(&f, "user", "\"user\": %s", err.text);
	}
	if (f.errors == 0)
		fit_as_slot(&f);
	fflush(f.out);
	_exit(f.errors == 0 ? 0 : 1);
}

/* Copies what the child says until it ends, or the time is over. */
static bool
fit_copy(int fd, FILE *out)
{
	struct pollfd	pfd = { .fd = fd, .events = POLLIN };
	int64_t		until = apw_now_ms() + FIT_TIMEOUT_MS, left;
	char		text[4096];
	size_t		total = 0;
	ssize_t		n;

	while ((left = until - apw_now_ms()) > 0 && total < FIT_TEXT) {
		if (poll(&pfd, 1, (int)left) == -1 && errno != EINTR)
			break;
		if (pfd.revents == 0)
			continue;
		n = read(fd, text, sizeof(text));
		if (n == 0)
			return true;
		if (n > 0) {
			fwrite(text, 1, (size_t)n, out);
			total += (size_t)n;
		}
	}
	return false;
}

static int
fit_fork(const struct apw_cycle *c, FILE *out)
{
	int	fds[2], status = 0;
	pid_t	pid;
	bool	whole;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	fflush(NULL);
	if ((pid = fork()) == 0) {
		close(fds[0]);
		fit_child(c, fds[1]);
	}
	close(fds[1]);
	whole = pid != -1 && fit_copy(fds[0], out);
	close(fds[0]);
	if (pid == -1)
		return -1;
	if (!whole)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (!whole)
		fprintf(out, "apworkerd: error: the files of the "
		    "configuration cannot be looked at in %d s: is one on a "
		    "file system that does not answer?\n",
		    FIT_TIMEOUT_MS / 1000);
	return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int
master_fit(const struct apw_cycle *c, FILE *out)
{
	struct apw_fit	f = { .cycle = c, .out = out };
	int		rc = fit_fork(c, out);

	if (fit_boxed(c))
		fit_engine(&f);
	return rc == 0 && f.errors == 0 ? 0 : -1;
}
