/* The installer's command line, for code steps and pieces.  Room: stock,
 * keeper.  Lifecycle scripts of packages are never run: they would be foreign
 * code outside any box. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>

#include "core/apw_auto.h"

static const char *const bun_args[] = {
	"install", "--ignore-scripts", "--no-progress", "--no-summary",
	"--linker", "hoisted", NULL
};
static const char *const bun_isolated_args[] = {
	"install", "--ignore-scripts", "--no-progress", "--no-summary",
	"--linker", "isolated", NULL
};
static const char *const npm_args[] = {
	"install", "--ignore-scripts", "--no-audit", "--no-fund",
	"--no-package-lock", "--omit=dev", "--no-progress",
	"--install-strategy=hoisted", "--loglevel=error", NULL
};

static int
make_caches(struct stock_keeper *k, struct apw_err *err)
{
	static const char *const caches[] = { ".cache/bun", ".cache/npm" };
	size_t			 i;

	for (i = 0; i < APW_COUNT(caches); i++) {
		apw_autofd int fd = stock_mkdirs(k->stock->root_fd, caches[i],
		    err);

		if (fd == -1)
			return -1;
	}
	return 0;
}

/* The janitor must not take them from under a running installer. */
static int
hold_caches(struct stock_keeper *k, struct apw_err *err)
{
	apw_autofd int	fd = stock_mkdirs(k->stock->root_fd, ".cache", err);

	if (fd == -1)
		return -1;
	while (flock(fd, LOCK_SH | LOCK_NB) == -1)
		if (errno != EWOULDBLOCK || stock_keeper_sleep(k, 5) == -1)
			return apw_err_set(err, errno, "cannot lock .cache");
	return apw_take_fd(&fd);
}

int
stock_install(struct stock_keeper *k, const struct stock_staging *st,
    const char *cwd_rel, bool isolated, enum apw_stock_fault *fault,
    struct apw_err *err)
{
	const struct apw_stock_conf	*conf = &k->stock->cycle->stock;
	bool			 npm = conf->installer == APW_INSTALLER_NPM;
	apw_autofree char	*staging = NULL, *cwd = NULL;
	apw_autofd int		 cache_fd = -1;
	struct stock_outcome	 outcome;
	struct apw_buf		 text = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	struct stock_run	 run = { .tool = &k->stock->installer,
	    .network = true, .timeout_ms = conf->install_timeout_ms > 0 ?
	    conf->install_timeout_ms : 600000,
	    .args = npm ? npm_args : isolated ? bun_isolated_args : bun_args };

	*fault = APW_STOCK_OURS;
	if (run.tool->path == NULL)
		return apw_err_set(err, 0, "installer \"%s\" not found",
		    conf->installer_path != NULL ? conf->installer_path :
		    npm ? "npm" : "bun");
	if (asprintf(&staging, "%s/.staging/%s", k->stock->root,
	    st->name) == -1 || asprintf(&cwd, "%s/%s", staging, cwd_rel) == -1)
		return apw_err_set(err, 0, "out of memory");
	run.cwd = cwd;
	run.staging = staging;
	if ((cache_fd = hold_caches(k, err)) == -1 ||
	    make_caches(k, err) == -1 ||
	    stock_builder_run(k, &run, &outcome, err) == -1)
		return -1;
	*fault = stock_fault_of(&outcome);
	if (*fault != APW_STOCK_OK) {
		stock_outcome_text(&outcome, &text);
		apw_err_set(err, 0, "%s", text.data == NULL ? "failed" :
		    text.data);
	}
	if (outcome.timed_out)
		apw_err_wrap(err, "install did not end within %lld ms",
		    (long long)run.timeout_ms);
	apw_buf_free(&text);
	stock_outcome_free(&outcome);
	return *fault == APW_STOCK_OK ? 0 : -1;
}
