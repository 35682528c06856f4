/* The stock: engine, pieces, code steps and flow versions on disk, shared by
 * slots and daemons of one host.  Installs and builds run as children of the
 * slot; everything is asynchronous on the slot's loop.
 *
 * Layout below the stock's path (the engine and an existing volume of the
 * Node worker know it):
 *	v12/common/main.js
 *	v12/common/pieces/NAME-VERSION/node_modules/NAME
 *	v12/codes/FLOWVERSION/STEP/index.js
 *	v12/codes/action-runs/PLATFORM_HASH/STEP/index.js
 *	v12/flows/FLOWVERSION/
 *	v12/pieces-metadata/NAME-VERSION-PLATFORM/ */
#ifndef APW_STOCK_H
#define APW_STOCK_H

#include <event2/event.h>

#include "core/apw_cycle.h"
#include "core/apw_score.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

/* The folder of the layout's version below the stock's path. */
#define APW_STOCK_VERSION	"v12"

struct apw_buf;
struct apw_stock;
struct apw_stock_ticket;

/* Whose fault a failed order is. */
enum apw_stock_fault {
	APW_STOCK_OK,
	APW_STOCK_USER,		/* unknown package, bad name: fails the run, no retry helps */
	APW_STOCK_OURS,		/* registry down, disk full, tool missing: retry later */
	APW_STOCK_HOST,		/* of those: not of what was asked for, but of
				 * this host: the stock is gone or cannot be
				 * written, no process, no descriptor */
	APW_STOCK_YIELDED,	/* a background order gave way to another one */
};

#define APW_STOCK_MEMO	80

/* One code step; `source` is the raw JSON of settings.sourceCode. */
struct apw_stock_code {
	const char	*step;		/* name, [A-Za-z_][A-Za-z0-9_]* */
	struct apw_str	 source;	/* raw text, hashed as received */
	struct apw_str	 package_json;	/* decoded */
	struct apw_str	 code;		/* decoded */
	struct apw_str	 built;		/* index.js, when somebody else has
					   built it; empty: build it */
	char		*memo;		/* APW_STOCK_MEMO bytes that live as
					   long as source, zeroes at first:
					   its hash is remembered; or NULL */
};

struct apw_stock_piece {
	const char	*package_type;	/* REGISTRY, ARCHIVE */
	const char	*piece_type;	/* OFFICIAL, CUSTOM */
	const char	*name;
	const char	*version;	/* exact */
	const char	*archive_id;	/* NULL unless ARCHIVE */
	const char	*platform_id;	/* NULL when official */
};

/* What one job needs; borrowed until the order is done or cancelled. */
struct apw_stock_order {
	const char			*flow_version_id;	/* NULL: of no flow */
	const char			*code_folder;	/* below codes, of an action;
							 * NULL: the flow version's */
	const char			*platform_id;	/* whose job it is; NULL: not
							 * known.  For the pieces' facts */
	bool				 packages;	/* code may use npm packages */
	unsigned			 release;	/* of the app, 86003 for 0.86.3;
							 * 0: not known.  Which parts
							 * of a package.json count */
	const struct apw_stock_code	*codes;
	size_t				 ncodes;
	const struct apw_stock_piece	*pieces;
	size_t				 npieces;
	bool				 per_platform;	/* custom and archive pieces go to
							 * custom_pieces/PLATFORM (process
							 * modes), not to common */
	bool				 background;	/* at low priority, and given
							 * up when another needs what
							 * it holds */
};

/* The folder below codes for a step that is run for itself, by whose it is and
 * what is in it (raw sourceCode).  -1: the platform's id cannot be one. */
#define APW_STOCK_FOLDER	384
int	apw_stock_action_folder(const char *platform_id, struct apw_str source,
	    char out[APW_STOCK_FOLDER]);
/* Could it be part of an order? */
bool	apw_stock_piece_ok(const struct apw_stock_piece *, bool per_platform);

/* err is set when fault is not OK. */
typedef void apw_stock_done_fn(void *arg, enum apw_stock_fault,
    const struct apw_err *);

/* Makes the folders and looks for the tools; one that is missing is logged
 * and fails only the orders that need it.  The first start on a host runs
 * `TOOL --version` once (a few tens of ms), later ones read what it said. */
struct apw_stock *apw_stock_open(struct event_base *, const struct apw_cycle *,
	    struct apw_err *);
void	apw_stock_close(struct apw_stock *);

/* In a slot's process at birth, before it gives privileges up and installs
 * its filter: start what makes builders' boxes.  Where that fails there are
 * none, which apw_stock_fit() acts upon.  finish: nothing of it is left. */
int	apw_stock_begin(const struct apw_cycle *, unsigned slot,
	    struct apw_err *);
void	apw_stock_finish(void);
/* Readable when no box can be made any more and the slot must be born again;
 * -1: never. */
int	apw_stock_watch_fd(void);
/* Do builders get what `jail` asks for?  Logs what they get, once. */
int	apw_stock_fit(struct apw_stock *, struct apw_err *);
/* Is there what the configured bundle needs: its other files, deno, and (where
 * node may be started to ask it) a Node.js new enough?  -1 and err: what is
 * not, and what to do about it. */
int	apw_stock_engine_needs(const struct apw_cycle *, bool ask_node,
	    struct apw_err *);
/* What they would get on this host, in a line for people (cycle NULL: by
 * default); -1: less than `jail` requires. */
int	apw_stock_probe(const struct apw_cycle *, char *text, size_t size);
/* Where connections of installers are counted; borrowed. */
void	apw_stock_score(struct apw_stock *, struct apw_score_slot *);

/* Are its folders the ones that it was opened with?  -1: taken away, or
 * replaced by others, which boxes and descriptors know nothing of: the slot
 * must be born again.  Three system calls. */
int	apw_stock_look(const struct apw_stock *, struct apw_err *);
/* Make the folders, for who opens it next. */
int	apw_stock_remake(const struct apw_stock *, struct apw_err *);
/* Can something be written?  Writes and removes 64 KiB. */
int	apw_stock_try(const struct apw_stock *, struct apw_err *);
/* Might it be, when it was opened?  One that others fill is only read. */
bool	apw_stock_writable(const struct apw_stock *);

/* Code, engine and pieces for one job, in this order.  done is called once,
 * never from inside this call.  A compile error is not a failure: the step's
 * index.js then throws it.  An order without codes and pieces is the engine
 * alone.  When all is there nothing is forked and nothing written.
 * NULL: out of memory. */
struct apw_stock_ticket *apw_stock_order(struct apw_stock *,
	    const struct apw_stock_order *, apw_stock_done_fn *, void *arg);
/* Forget the order: done is not called, its children are killed. */
void	apw_stock_cancel(struct apw_stock_ticket *);

/* Packages of pieces that come from the app: an archive must be put before the
 * order that would miss it, the package of a piece of the registry may be;
 * without it the installer asks the registry.  has: true also when the piece
 * is installed already. */
#define APW_STOCK_ARCHIVE_BYTES	((size_t)128 << 20)
bool	apw_stock_archive_has(struct apw_stock *,
	    const struct apw_stock_piece *, bool per_platform);
int	apw_stock_archive_put(struct apw_stock *,
	    const struct apw_stock_piece *, bool per_platform,
	    struct apw_str tgz, struct apw_err *);
/* Is the URL that of this piece in a registry that installers ask by
 * themselves (with its credentials and its checks)?  npm's own counts, too,
 * where another is configured in its place. */
bool	apw_stock_registry_has(const struct apw_stock *, const char *url,
	    const struct apw_stock_piece *);

/* The index.js of a step of an order that is done: 1, and its text in out; 0:
 * it is not there, or only says that it does not compile. */
int	apw_stock_built(struct apw_stock *, const struct apw_stock_order *,
	    const struct apw_stock_code *, struct apw_buf *out,
	    struct apw_err *);

/* Paths for the engine's command line and environment. */
const char *apw_stock_engine(const struct apw_stock *);	/* …/common/main.js */
/* Does it start processes of its own (piece-child.js, from release 0.88.3 on)? */
bool	apw_stock_engine_has_children(const struct apw_stock *);
const char *apw_stock_codes(const struct apw_stock *);	/* …/codes */
/* Changes when the engine on disk changes: a warm one booted before is stale.
 * 0 until the first order has found or installed the engine. */
uint64_t apw_stock_generation(const struct apw_stock *);

/* Removes a tree, however deep it is and whatever modes it has; links are not
 * followed.  It may take long: in a process of its own. */
void	apw_stock_tree_remove(int dir_fd, const char *name);

/* What an engine that stands by may load before its job is known: node is to
 * run the script APW_STOCK_AHEAD of the engine's folder first, with this in
 * APW_AHEAD: a folder of packages, below the engine's; NULL: nothing. */
#define APW_STOCK_AHEAD		".ahead.cjs"
const char *apw_stock_ahead(struct apw_stock *);

/* See that the script APW_STOCK_TUNNEL is in the engine's folder.  Node loads it
 * first; APW_TUNNEL tells it "PORT[ HOST:PORT[ only]]": connections to others
 * than the loopback, and those to HOST:PORT (the app's API), go through the
 * proxy at PORT of the loopback; only: no others than the latter. */
#define APW_STOCK_TUNNEL	".tunnel.cjs"
int	apw_stock_tunnel(struct apw_stock *, struct apw_err *);

/* Flow versions (only LOCKED ones are kept) and pieces' package facts (exact
 * versions only), as raw JSON.  get: 1 and the text in out, 0 not there, -1
 * error (treat as a miss).  put: 0 also when the rules say not to keep it.
 * Flow versions are kept per release of the app, because it migrates them
 * when it is upgraded: name the release before the first get or put; before
 * that, or with "" or NULL, none is found or kept. */
void	apw_stock_release(struct apw_stock *, const char *app_version);
int	apw_stock_flow_get(struct apw_stock *, const char *flow_version_id,
	    struct apw_buf *out, struct apw_err *);
int	apw_stock_flow_put(struct apw_stock *, const char *flow_version_id,
	    struct apw_str json, struct apw_err *);
int	apw_stock_piece_get(struct apw_stock *, const char *name,
	    const char *version, const char *platform_id, struct apw_buf *out,
	    struct apw_err *);
int	apw_stock_piece_put(struct apw_stock *, const char *name,
	    const char *version, const char *platform_id, struct apw_str json,
	    struct apw_err *);

#endif
