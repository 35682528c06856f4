/* The installer's command line, for code steps and pieces.  Room: stock,
 * keeper.  Lifecycle scripts of packages are never run: they would be foreign
 * code outside any box. */
#include "stock/stock_priv.h"

#include <stdio.h>

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
	"--no-package-lock", "--include=dev", "--include=optional",
	"--include=peer", "--no-progress",
	"--install-strategy=hoisted", "--loglevel=error", NULL
};

int
stock_install(struct stock_keeper *k, const struct stock_staging *st,
    const char *cwd_rel, bool isolated, enum apw_stock_fault *fault,
    struct apw_err *err)
{
	const struct apw_stock_conf	*conf = &k->stock->cycle->stock;
	bool			 npm = conf->installer == APW_INSTALLER_NPM;
	apw_autofree char	*staging = NULL, *cwd = NULL;
	struct stock_cache	 cache;
	struct stock_outcome	 outcome;
	struct apw_buf		 text = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	struct stock_run	 run = { .tool = &k->stock->installer,
	    .network = true, .timeout_ms = conf->install_timeout_ms > 0 ?
	    conf->install_timeout_ms : 600000,
	    .args = npm ? npm_args : isolated ? bun_isolated_args : bun_args };
	const char		*advice;
	int			 rc;

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
	run.cache = &cache;
	if (stock_cache_take(k, npm ? "npm" : "bun", &cache, err) == -1)
		return -1;
	rc = stock_builder_run(k, &run, &outcome, err);
	if (rc == 0 && outcome.over_disk)
		stock_cache_undo(&cache);
	stock_cache_give(&cache);
	if (rc == -1)
		return -1;
	*fault = stock_fault_of(&outcome);
	if (*fault != APW_STOCK_OK) {
		stock_outcome_text(&outcome, &text);
		/* its gate knows better why it got no answer */
		advice = outcome.said.len > 0 ? NULL :
		    stock_fault_advice(apw_buf_view(&text));
		apw_err_set(err, 0, "%s%s%s", advice == NULL ? "" : advice,
		    advice == NULL ? "" : ": ", text.data == NULL ? "failed" :
		    text.data);
	}
	if (outcome.timed_out)
		apw_err_wrap(err, "install did not end within %lld ms",
		    (long long)run.timeout_ms);
	apw_buf_free(&text);
	stock_outcome_free(&outcome);
	return *fault == APW_STOCK_OK ? 0 : -1;
}
