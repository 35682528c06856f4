/* The tools: installer (bun or npm), bundler (esbuild or bun) and node; where
 * they are and which version they say they are.  Room: stock, slot at open.
 * A version is asked once a host: the answer is kept in the stock under the
 * tool's path, size and time of change. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"

#define TOOLS_DIR		".tools"
#define TOOL_VERSION_MS		15000
#define TOOL_VERSION_BYTES	64

/* The folder that holds all a tool needs: the outermost node_modules around
 * the real file, or the file's own folder. */
static char *
tool_home(const char *path)
{
	char	*real = realpath(path, NULL), *cut;

	if (real == NULL)
		return NULL;
	cut = strstr(real, "/node_modules/");
	if (cut != NULL)
		cut += strlen("/node_modules");
	else
		cut = strrchr(real, '/');
	*cut = '\0';
	return real;
}

static void
tool_find(struct stock_tool *tool, const char *conf_path, const char *name)
{
	if (conf_path != NULL)
		tool->path = apw_is_program(conf_path) ? strdup(conf_path) : NULL;
	else
		tool->path = apw_find_program(name);
	tool->home = tool->path != NULL ? tool_home(tool->path) : NULL;
}

static int
tool_key(const struct stock_tool *tool, char key[STOCK_HASH_SIZE])
{
	struct stat		st;
	struct stock_stamp	stamp;
	struct apw_str		parts[2];

	if (stat(tool->path, &st) == -1)
		return -1;
	stock_stamp(&st, &stamp);
	parts[0] = apw_str_c(tool->path);
	parts[1] = (struct apw_str){ (const char *)&stamp, sizeof(stamp) };
	return stock_hash(key, parts, 2);
}

/* First line of what it prints, harmless characters only. */
static void
tool_take_version(const struct apw_buf *out, char *version, size_t size)
{
	size_t	i;

	for (i = 0; i < out->len && i + 1 < size; i++) {
		char c = out->data[i];

		if (c == '\n')
			break;
		version[i] = c > ' ' && c < 0x7f ? c : '_';
	}
	version[i] = '\0';
}

static void
tool_say_why(const struct stock_tool *tool, const struct stock_outcome *o)
{
	struct apw_buf	text = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);

	stock_outcome_text(o, &text);
	apw_warn("tool does not run", APW_S("tool", tool->path),
	    APW_S("said", text.data));
	apw_buf_free(&text);
}

static enum apw_stock_fault
tool_ask(struct stock_keeper *k, void *arg, struct apw_err *err)
{
	struct stock_tool	*tool = arg;
	static const char *const args[] = { "--version", NULL };
	struct stock_staging	 st;
	struct stock_outcome	 outcome;
	char			 key[STOCK_HASH_SIZE];
	char			 version[TOOL_VERSION_BYTES] = "";
	apw_autofree char	*folder = NULL;
	apw_autofd int		 dir = -1;
	struct stock_run	 run = { .tool = tool, .args = args,
	    /* npm reads the host's settings before anything else */
	    .network = true, .ask = true, .timeout_ms = TOOL_VERSION_MS };

	if (stock_staging_begin(k, &st, err) == -1)
		return APW_STOCK_OURS;
	if (asprintf(&folder, "%s/.staging/%s", k->stock->root, st.name) != -1)
		run.cwd = run.staging = folder;
	if (run.cwd != NULL && stock_builder_run(k, &run, &outcome, err) == 0) {
		if (stock_outcome_ok(&outcome))
			tool_take_version(&outcome.out, version,
			    sizeof(version));
		else
			tool_say_why(tool, &outcome);
		stock_outcome_free(&outcome);
	}
	stock_staging_end(&st);
	if (version[0] == '\0' || tool_key(tool, key) == -1)
		return APW_STOCK_OURS;
	dir = stock_mkdirs(k->stock->root_fd, TOOLS_DIR, err);
	if (dir == -1 || stock_replace(dir, key, apw_str_c(version), false,
	    err) == -1)
		return APW_STOCK_OURS;
	return APW_STOCK_OK;
}

static bool
tool_read_version(struct apw_stock *stock, struct stock_tool *tool)
{
	struct apw_buf	text = APW_BUF_INIT(TOOL_VERSION_BYTES);
	char		key[STOCK_HASH_SIZE], rel[STOCK_HASH_SIZE + 16];
	bool		known = false;

	if (tool_key(tool, key) == -1)
		return false;
	snprintf(rel, sizeof(rel), TOOLS_DIR "/%s", key);
	if (stock_read(stock->root_fd, rel, &text, NULL) == 1 && text.len > 0) {
		tool->version = strdup(text.data);
		known = tool->version != NULL;
	}
	apw_buf_free(&text);
	return known;
}

static void
tool_version(struct apw_stock *stock, struct stock_tool *tool)
{
	struct stock_child	child;
	struct stock_report	report;
	struct pollfd		p = { .events = POLLIN };

	if (tool->path == NULL || tool_read_version(stock, tool))
		return;
	if (stock_keeper_start(stock, tool_ask, tool, &child, NULL) == 0) {
		p.fd = child.pidfd;
		poll(&p, 1, TOOL_VERSION_MS + 1000);
		stock_keeper_finish(&child, &report);
	}
	if (!tool_read_version(stock, tool)) {
		apw_warn("tool does not tell its version",
		    APW_S("tool", tool->path));
		tool->version = strdup("unknown");
	}
}

void
stock_tools_locate(const struct apw_cycle *cycle, struct stock_tool *node,
    struct stock_tool *installer, struct stock_tool *bundler)
{
	const struct apw_stock_conf	*conf = &cycle->stock;

	tool_find(node, cycle->engine.node, "node");
	tool_find(installer, conf->installer_path,
	    conf->installer == APW_INSTALLER_NPM ? "npm" : "bun");
	tool_find(bundler, conf->bundler_path,
	    conf->bundler == APW_BUNDLER_BUN ? "bun" : "esbuild");
}

static void
tool_miss(const struct stock_tool *tool, const char *use, const char *path)
{
	if (tool->path == NULL)
		apw_warn("tool not found, what needs it will fail",
		    APW_S("tool", path != NULL ? path : use));
}

void
stock_tools_find(struct apw_stock *stock)
{
	const struct apw_cycle	*c = stock->cycle;

	stock_tools_locate(c, &stock->node, &stock->installer,
	    &stock->bundler);
	tool_miss(&stock->node, "node", c->engine.node);
	tool_miss(&stock->installer, c->stock.installer == APW_INSTALLER_NPM ?
	    "npm" : "bun", c->stock.installer_path);
	tool_miss(&stock->bundler, c->stock.bundler == APW_BUNDLER_BUN ?
	    "bun" : "esbuild", c->stock.bundler_path);
	tool_version(stock, &stock->installer);
	tool_version(stock, &stock->bundler);
}

void
stock_tool_free(struct stock_tool *tool)
{
	free(tool->path);
	free(tool->home);
	free(tool->version);
	*tool = (struct stock_tool){ .path = NULL };
}
