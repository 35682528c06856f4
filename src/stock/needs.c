/* What a bundle needs and is not there: other files, programs, a newer Node.
 * Room: stock; asked by the master's test and by slots, before any job.
 *
 * A literal of the bundle tells each of them: literals survive minification.
 * What is asked for here would otherwise be found out by a job. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/apw_auto.h"

static bool
needs_deno(const struct apw_cycle *c)
{
	return c->engine.deno == NULL;
}

static const struct need {
	const char	*word;
	bool		(*lacks)(const struct apw_cycle *);
	unsigned	 node_major, node_minor;	/* or else this, where
							 * node can be asked */
	const char	*text;
} needs[] = {
	{ "AP_DENO_PATH", needs_deno, 0, 0, "runs code steps with deno, and "
	    "none is configured: install deno and name its binary with "
	    "\"engine { deno PATH; }\" or AP_DENO_PATH" },
	/* at its start; 23 has it from 23.8 on */
	{ "zstdDecompress)", NULL, 22, 15, "needs Node.js 22.15 or later "
	    "(zstd)" },
};

/* "v20.20.2": too old for it? */
static bool
needs_node(const struct need *n, const char *version)
{
	unsigned	major = 0, minor = 0;

	if (sscanf(version, "v%u.%u", &major, &minor) != 2)
		return false;		/* nothing that we can read */
	if (major == 23)
		return minor < 8;
	return major < n->node_major ||
	    (major == n->node_major && minor < n->node_minor);
}

static int
needs_look(const struct apw_cycle *c, int bundle_fd, bool ask_node,
    struct apw_err *err)
{
	const struct need	*n;
	char			 version[80];

	for (n = needs; n < needs + APW_COUNT(needs); n++) {
		if (n->lacks != NULL ? !n->lacks(c) : !ask_node)
			continue;
		if (stock_engine_file_says(bundle_fd, n->word) != 1)
			continue;
		if (n->lacks != NULL)
			return apw_err_set(err, 0, "engine bundle %s %s",
			    c->engine.bundle, n->text);
		if (stock_check_ask(c->engine.node, c->engine.node, version,
		    sizeof(version)) == 0 && needs_node(n, version))
			return apw_err_set(err, 0, "engine bundle %s %s, and "
			    "%s is %s: name a newer one with \"engine { node "
			    "PATH; }\"", c->engine.bundle, n->text,
			    c->engine.node, version);
	}
	return 0;
}

/* The bundle is read once: as long as its files are the same, so is what they
 * need. */
int
apw_stock_engine_needs(const struct apw_cycle *c, bool ask_node,
    struct apw_err *err)
{
	struct stock_engine_files	 f = { .n = 0 };
	apw_autofd int			 fd = -1;
	int				 rc;

	if (c->engine.bundle == NULL ||
	    stock_engine_files_look(&f, c->engine.bundle, NULL) == -1)
		return 0;		/* others say so */
	rc = stock_engine_files_check(&f, err);
	if (rc == 0 && (fd = open(c->engine.bundle, O_RDONLY | O_CLOEXEC |
	    O_NONBLOCK | O_NOCTTY)) != -1)
		rc = needs_look(c, fd, ask_node, err);
	stock_engine_files_close(&f);
	return rc;
}
