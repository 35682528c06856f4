/* What of flows, code steps and pieces is another in another release of the
 * app: one table, a line each.  Room: stock. */
#ifndef APW_STOCK_RELEASE_H
#define APW_STOCK_RELEASE_H

#include <stdbool.h>

/* What a code step is on the disk. */
enum apw_code_form {
	APW_CODE_BUNDLED,	/* index.js alone, with its packages in it */
	APW_CODE_SOURCE,	/* index.ts as it came, package.json and
				 * node_modules */
	APW_CODE_BY_ENGINE,	/* either, by the script that the engine's
				 * bundle names */
};

struct apw_stock_release {
	unsigned	 from;		/* the first release of it, 86003 for
					 * 0.86.3 */
	enum apw_code_form code;
	/* code steps: which of package.json counts */
	const char	*package_rules;	/* their name, part of a step's hash */
	bool		 all_members;	/* else "dependencies" alone */
	bool		 refuses;	/* a dependency that is not of the
					 * registry: the step does not compile;
					 * else it is left out */
	bool		 step_fails;	/* a package that does not exist: the
					 * step fails when it is run; else the
					 * job does */
	/* pieces */
	bool		 agent_tools;	/* what agents of a flow may call is
					 * installed, too */
	bool		 by_app;	/* packages come by the app's
					 * v1/engine/pieces/bundle */
	/* flow bundles: the schemaVersion of a flow version in them, whose
	 * other parts are then known; NULL: there are none, or of a form that
	 * is not known */
	const char	*bundle_schema;
};

/* The line of a release; 0, which is none, is the oldest; one that is newer
 * than the table has its last line.  Never NULL. */
const struct apw_stock_release *apw_stock_release_of(unsigned release);

#endif
