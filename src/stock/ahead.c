/* What an engine that stands by may load before there is a job: the framework
 * that pieces stand on.  Room: stock, slot.
 *
 * An engine loads a piece with its first use, and with it the framework that
 * the piece names: hundreds of files, and most of what a fresh engine's first
 * operation costs.  Most pieces name one of few frameworks: the one that the
 * last job's piece did is loaded ahead by a script of ours, which node runs
 * before the engine; it waits until the engine has nothing to do.  Only the
 * app's own packages are loaded by it, which come with official pieces, and
 * no piece: one that stands by is nobody's. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define AHEAD_FRAMEWORK	"/@activepieces/pieces-framework"
#define AHEAD_FILE	"common/" APW_STOCK_AHEAD
#define AHEAD_FORGET	16	/* orders without a piece */

/* It says nothing and fails silently: what cannot be loaded now fails when
 * somebody needs it.  Children of the engine are not meant. */
static const char ahead_script[] =
"'use strict';\n"
"/* apworkerd: loads ahead what the first operation would wait for. */\n"
"const { createRequire } = require('node:module');\n"
"const { performance } = require('node:perf_hooks');\n"
"const LOOK_MS = 20, QUIET_MS = 60, BUSY_MS = 8;\n"
"const place = process.env.APW_AHEAD;\n"
"const at = process.execArgv.indexOf(__filename);\n"
"\n"
"delete process.env.APW_AHEAD;\n"
"if (at > 0)\n"
"	process.execArgv.splice(at - 1, 2);\n"
"if (place !== undefined) {\n"
"	const load = createRequire(`${place}/ahead.js`);\n"
"	const turns = [() => fetch('data:,').then((r) => r.text()),\n"
"	    ...['@sinclair/typebox', 'zod', '@activepieces/shared',\n"
"	    '@activepieces/pieces-framework'].map((name) =>\n"
"	    () => load(name))];\n"
"	let from = performance.eventLoopUtilization();\n"
"	let since = performance.now();\n"
"	const later = (ms) => setTimeout(look, ms).unref();\n"
"	const look = async () => {\n"
"		const now = performance.eventLoopUtilization();\n"
"		const { active } = performance.eventLoopUtilization(now, from);\n"
"\n"
"		from = now;\n"
"		/* it boots, or there is an operation: that goes first */\n"
"		if (active > BUSY_MS)\n"
"			since = performance.now();\n"
"		if (performance.now() - since < QUIET_MS) {\n"
"			later(LOOK_MS);\n"
"			return;\n"
"		}\n"
"		try {\n"
"			await turns.shift()();\n"
"		} catch {\n"
"		}\n"
"		from = performance.eventLoopUtilization();\n"
"		if (turns.length > 0)\n"
"			later(2);\n"
"	};\n"
"	later(LOOK_MS);\n"
"}\n";

static bool
ahead_there(const struct apw_stock *stock)
{
	return stock_script_there(stock, AHEAD_FILE, apw_str_c(ahead_script));
}

void
stock_ahead_open(struct apw_stock *stock)
{
	stock_script_put(stock, AHEAD_FILE, apw_str_c(ahead_script), NULL);
}

void
stock_ahead_learn(struct apw_stock *stock, const struct apw_stock_order *o)
{
	struct stock_ahead	*a = &stock->ahead;
	char			 folder[STOCK_PATH_BYTES];
	size_t			 i;

	if (o->background)
		return;
	for (i = 0; i < o->npieces; i++)
		if (stock_piece_folder(&o->pieces[i], o->per_platform, folder,
		    sizeof(folder)) == 0 &&
		    strncmp(folder, "common/", 7) == 0) {
			snprintf(a->piece, sizeof(a->piece),
			    "%s/node_modules/%s", folder, o->pieces[i].name);
			a->without = 0;
			return;
		}
	if (a->piece[0] != '\0' && ++a->without >= AHEAD_FORGET)
		a->piece[0] = '\0';
}

/* A package's folder, with all links gone, and cut off: where its neighbours
 * are.  -1: not there, or not below common. */
static int
ahead_neighbours(const struct apw_stock *stock, const char *path,
    const char *name, char *place, size_t size)
{
	apw_autofree char	*real = realpath(path, NULL);
	size_t			 root = strlen(stock->root), n, tail;

	if (real == NULL || strncmp(real, stock->root, root) != 0 ||
	    strncmp(real + root, "/common/", 8) != 0)
		return -1;
	n = strlen(real);
	tail = strlen(name);
	if (n <= root + tail || strcmp(real + n - tail, name) != 0 ||
	    n - tail >= size)
		return -1;
	snprintf(place, size, "%.*s", (int)(n - tail), real);
	return 0;
}

const char *
apw_stock_ahead(struct apw_stock *stock)
{
	struct stock_ahead	*a = &stock->ahead;
	const char		*name = strstr(a->piece, "/node_modules/");
	char			 path[PATH_MAX], place[PATH_MAX];

	if (name == NULL || !ahead_there(stock) || snprintf(path,
	    sizeof(path), "%s/%s", stock->root, a->piece) >=
	    (int)sizeof(path) ||
	    ahead_neighbours(stock, path, name + strlen("/node_modules"),
	    place, sizeof(place)) == -1)
		return NULL;
	if (snprintf(path, sizeof(path), "%s" AHEAD_FRAMEWORK, place) >=
	    (int)sizeof(path) || ahead_neighbours(stock, path,
	    AHEAD_FRAMEWORK, place, sizeof(place)) == -1)
		return NULL;
	snprintf(a->place, sizeof(a->place), "%s", place +
	    strlen(stock->root) + strlen("/common/"));
	return a->place;
}
