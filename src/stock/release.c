/* The releases; see release.h.  Room: stock.
 *
 * The lines from 0.88.4 on were made from what is told of these releases, and
 * not from seeing them run: their flow bundles have parts of another form, of
 * which nothing is known, so none is taken or given; from some release on
 * their code steps are not bundled any more. */
#include "stock/release.h"

#include <stddef.h>

#include "core/apw_auto.h"

#define ALL	.package_rules = "all members", .all_members = true, \
		.refuses = true
#define ALONE	.package_rules = "dependencies alone", .step_fails = true

static const struct apw_stock_release releases[] = {
	{ .from = 0, ALL, .agent_tools = true },
	{ .from = 79000, ALL },
	{ .from = 86000, ALL, .agent_tools = true, .by_app = true,
	  .bundle_schema = "22" },
	{ .from = 86003, ALONE, .agent_tools = true, .by_app = true,
	  .bundle_schema = "22" },
	{ .from = 88000, ALONE, .agent_tools = true, .by_app = true,
	  .bundle_schema = "23" },
	{ .from = 88003, ALONE, .by_app = true, .bundle_schema = "23" },
	{ .from = 88004, ALONE, .by_app = true, .code = APW_CODE_BY_ENGINE },
	{ .from = 90000, ALONE, .by_app = true, .code = APW_CODE_SOURCE },
};

const struct apw_stock_release *
apw_stock_release_of(unsigned release)
{
	size_t	i = APW_COUNT(releases) - 1;

	while (release < releases[i].from)
		i--;
	return &releases[i];
}
