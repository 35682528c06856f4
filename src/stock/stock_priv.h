/* Inside the room `stock`.  Two kinds of process run this code: the slot
 * (open, order, look) and a *keeper*: a short-lived child of the slot that
 * does what takes time (locks, installs, builds, fsync, removal of trees),
 * one thing after the other, so that the slot's loop never waits. */
#ifndef APW_STOCK_PRIV_H
#define APW_STOCK_PRIV_H

#include <sys/queue.h>
#include <sys/stat.h>

#include "core/apw_buf.h"
#include "broker/broker.h"
#include "egress/rules.h"
#include "stock/release.h"
#include "stock/stock.h"

#define STOCK_VERSION		APW_STOCK_VERSION	/* cache version of the engine's world */
#define STOCK_MARK		".apworkerd"	/* what we finished says so in here */
#define STOCK_HASH_SIZE		65	/* SHA-256 in hex, and NUL */
#define STOCK_PATH_BYTES	1024	/* longest relative path that we build */
#define STOCK_OUTPUT_BYTES	65536	/* kept of a tool's stdout and stderr, each */
#define STOCK_CODE_BYTES	((size_t)16 << 20)	/* one step's code */
#define STOCK_PACKAGE_BYTES	((size_t)1 << 20)	/* one step's package.json */

struct stock_tool {
	char	*path;		/* owned; NULL: not there */
	char	*home;		/* owned; folder that holds what it needs to run */
	char	*version;	/* owned; "" when it did not tell */
};

/* Identity of a file as far as stat(2) tells it. */
struct stock_stamp {
	uint64_t	dev, ino, size;
	int64_t		mtime_ns;
};

#define STOCK_ENGINE_FILES_MAX	32

/* The files of an engine in one folder, and what the stock calls them. */
struct stock_engine_files {
	int			 dir_fd;	/* owned between look and close */
	struct stock_stamp	 folder;	/* when the names were read */
	size_t			 n;		/* 0: not yet */
	struct stock_engine_file {
		char	from[256], as[256];
	} v[STOCK_ENGINE_FILES_MAX];
};

struct stock_engine {
	struct stock_stamp	source;		/* of the files, when last hashed */
	char			hash[STOCK_HASH_SIZE];	/* of them then; "" not yet */
	uint64_t		generation;
	struct stock_engine_files files, installed;
	struct stock_stamp	scanned;	/* the bundle, when it was */
	bool			loads_source;	/* it names index.ts */
};

/* What one that stands by may load ahead. */
struct stock_ahead {
	unsigned		 without;	/* orders since that piece */
	char			 piece[STOCK_PATH_BYTES * 2];	/* below the
						 * root; "": none */
	char			 place[STOCK_PATH_BYTES * 4];
};

/* Do builders work in boxes here?  Asked when it matters. */
enum stock_boxes { STOCK_BOXES_UNKNOWN, STOCK_BOXES_READY, STOCK_BOXES_NOT };

/* A folder as it was when the stock was opened. */
#define STOCK_HELD	2
struct stock_held {
	dev_t	dev;
	ino_t	ino;
};

struct apw_stock {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	const struct apw_cycle	*cycle;		/* borrowed */
	char			*root;		/* owned: PATH/v12 */
	char			*engine_path;	/* owned */
	char			*codes_path;	/* owned */
	int			 root_fd;	/* owned */
	struct stock_tool	 node, installer, bundler;
	struct stock_engine	 engine;
	struct stock_ahead	 ahead;
	char			 release[64];
	int			 use_fd, use_lock_fd;	/* owned; -1: read-only */
	char			 use_name[64];
	struct apw_buf		 use_list;	/* what is written there */
	enum stock_boxes	 boxes;
	struct apw_err		 boxes_why;	/* not */
	struct apw_score_slot	*score;		/* borrowed; NULL: no counters */
	bool			 tidying;	/* a janitor is at work */
	struct event		*sweep;		/* owned; of actions' code; NULL:
						 * there was none so far */
	unsigned		 new_texts;	/* since the last one */
	struct stock_held	 held[STOCK_HELD];	/* what boxes mount */
	bool			 writable;	/* it was, when it was opened */
	TAILQ_HEAD(, apw_stock_ticket) tickets;	/* owned */
};

/* What a keeper reports: one write below PIPE_BUF, so never torn. */
struct stock_report {
	enum apw_stock_fault	fault;
	struct apw_err		err;
};

/* The keeper's own state; handed to everything that may wait. */
struct stock_keeper {
	struct apw_stock	*stock;		/* the slot's, as it was at the fork */
	int			 control_fd;	/* end of file: stop at once; -1: none */
	struct apw_broker	*broker;	/* owned; NULL: not asked for yet */
	bool			 cancelled;
	bool			 background;	/* gives way to the others */
	int64_t			 hurry_ns;	/* when they called, at our start */
};

/* health.c */
void	stock_health_open(struct apw_stock *);
bool	stock_host_fault(struct apw_stock *, const struct apw_err *);

/* path.c: names and files below a directory descriptor */
bool	stock_is_step(const char *);
bool	stock_is_package(struct apw_str name);	/* npm's grammar */
bool	stock_is_exact(const char *version);	/* 1.2.3, 1.2.3-beta.1 */
/* Opens rel beneath dir_fd; a symbolic link may not lead out of it. */
int	stock_open(int dir_fd, const char *rel, int flags);
bool	stock_exists(int dir_fd, const char *rel);
/* All missing folders of rel; returns a descriptor of the last one. */
int	stock_mkdirs(int dir_fd, const char *rel, struct apw_err *);
/* A new file. */
int	stock_write(int dir_fd, const char *name, struct apw_str,
	    struct apw_err *);
/* Temporary file, optional fsync, rename over whatever is there. */
int	stock_replace(int dir_fd, const char *name, struct apw_str, bool sync,
	    struct apw_err *);
/* 1: read, 0: not there, -1: error or larger than out->max. */
int	stock_read(int dir_fd, const char *rel, struct apw_buf *out,
	    struct apw_err *);
int	stock_sync(int dir_fd, const char *rel, struct apw_err *);
void	stock_stamp(const struct stat *, struct stock_stamp *);
bool	stock_stamp_eq(const struct stock_stamp *, const struct stock_stamp *);

/* tree.c */
void	stock_tree_remove(int dir_fd, const char *name);

/* hash.c: parts are length-prefixed, so no two lists look alike */
int	stock_hash(char out[STOCK_HASH_SIZE], const struct apw_str *parts,
	    size_t n);
int	stock_hash_file(int fd, char out[STOCK_HASH_SIZE], struct apw_err *);

/* entry.c: lock, staging, publishing, failures remembered */
struct stock_staging {
	char	name[64];
	int	parent_fd;	/* owned */
	int	fd;		/* owned; locked while in use */
};
/* Waits for the entry's lock; timeout_ms bounds it.  The descriptor is the
 * lock; closing it gives it back. */
int	stock_lock(struct stock_keeper *, const char *key, int64_t timeout_ms,
	    int *fd, struct apw_err *);
unsigned stock_stripe(const char *key);
int	stock_lock_stripe(struct stock_keeper *, unsigned stripe,
	    int64_t timeout_ms, int *fd, struct apw_err *);
int	stock_staging_begin(struct stock_keeper *, struct stock_staging *,
	    struct apw_err *);
void	stock_staging_end(struct stock_staging *);
void	stock_sweep(struct apw_stock *);	/* leftovers; may take long */
/* Puts staged `from` in the place of `to`, atomically; what was there ends
 * up in the staging directory. */
int	stock_publish(struct stock_staging *, const char *from, int to_fd,
	    const char *to, struct apw_err *);
/* A failure that is not older than negative_ttl; false: none known. */
bool	stock_failed_get(struct apw_stock *, const char *key,
	    enum apw_stock_fault *, struct apw_err *);
void	stock_failed_put(struct apw_stock *, const char *key,
	    enum apw_stock_fault, const struct apw_err *);
void	stock_failed_clear(struct apw_stock *, const char *key);

/* keeper.c */
typedef enum apw_stock_fault stock_work_fn(struct stock_keeper *, void *arg,
	    struct apw_err *);
struct stock_child {
	pid_t	pid;		/* 0: none */
	int	pidfd;		/* owned; readable when it ended */
	int	control_fd;	/* owned; closing it stops the keeper */
	int	report_fd;	/* owned; holds the report once it ended */
};
int	stock_keeper_start(struct apw_stock *, stock_work_fn *, void *arg,
	    struct stock_child *, struct apw_err *);
/* After pidfd became readable (or not, then it is killed): reaps, closes. */
void	stock_keeper_finish(struct stock_child *, struct stock_report *);
/* Sleeps; -1 when the slot wants us to stop. */
int	stock_keeper_sleep(struct stock_keeper *, int64_t ms);

/* hurry.c: those who wait call, those in the background give way */
void	stock_hurry_low(struct stock_keeper *);	/* be one of the latter */
void	stock_hurry_call(struct stock_keeper *);
bool	stock_hurry_called(struct stock_keeper *);	/* then it is cancelled */

/* limit.c */
void	stock_limit_set(int64_t timeout_ms);	/* in the tool's process */
/* In the keeper, while a tool runs: what it has too much of; NULL: nothing. */
const char *stock_limit_exceeded(const struct apw_stock *, pid_t top);

/* boxes.c: who makes them */
bool	stock_boxes(struct apw_stock *);	/* do builders work in boxes? */
int	stock_boxes_fd(void);		/* for keepers to keep; -1 */
/* A keeper's own broker. */
struct apw_broker *stock_boxes_open(struct apw_err *);
/* Its process is to be ended. */
void	stock_boxes_close(struct stock_keeper *);

/* box.c: a tool's box, in its keeper */
struct stock_run;
struct stock_outcome;
struct stock_gate {
	pid_t	pid;		/* 0: none */
	int	life_fd;	/* owned */
	int	said_fd;	/* owned; what it refused, in words */
};
struct stock_box {
	struct apw_box		box;
	struct stock_gate	gate;
};
/* out and err are the ends to write to. */
int	stock_box_start(struct stock_keeper *, const struct stock_run *,
	    char *const *argv, char *const *envp, int out, int err_fd,
	    struct stock_box *, struct apw_err *);
/* Nothing of it is left; *status as waitpid(2) tells it. */
void	stock_box_end(struct stock_keeper *, struct stock_box *,
	    struct stock_outcome *, int *status);

/* gate.c: an installer's only way out of its box */
int	stock_gate_start(struct stock_keeper *, int listen_fd,
	    struct stock_gate *, struct apw_err *);
/* What did not get through, in lines to be shown, is added to said (or NULL:
 * nobody asks). */
void	stock_gate_stop(struct stock_gate *, struct apw_buf *said);

/* registry.c: where packages come from, by all that says so */
#define STOCK_PLACES_MAX	64
size_t	stock_registry_places(const struct apw_stock_conf *,
	    struct apw_egress_place *, size_t max);
/* npmrc.c */
#define STOCK_NPMRC_HOST	"/etc/npmrc"	/* what npm reads, too */
/* Every entry as npm has it, with its variables, in the file's order; array: one
 * of several ("key[]").  The texts are borrowed, and may be secrets. */
typedef void stock_npmrc_fn(void *arg, const char *key, const char *value,
	    bool array);
/* A file that is not there (or NULL) has none.  -1 and err: it cannot be
 * read. */
int	stock_npmrc_each(const char *path, stock_npmrc_fn *, void *arg,
	    struct apw_err *);
/* -1: err says what an operator should know of it. */
int	stock_npmrc_check(const char *path, struct apw_err *);
/* A value; the caller frees it; NULL: none. */
char	*stock_npmrc_get(const char *path, const char *key);
/* What it and the host's own say, for an installer: .npmrc of the folder, in
 * the plainest form, all variables filled in; way: with what it says of
 * proxies. */
int	stock_npmrc_copy(const char *npmrc, bool way, int folder_fd,
	    struct apw_err *);

/* way.c: to the registries, straight or by a proxy */
struct stock_way {
	char	*proxy;		/* owned; may hold a password; NULL: straight */
	char	*except;	/* owned; hosts, with commas; NULL: none */
	bool	 usual;		/* of nobody but HTTPS_PROXY and its like */
	char	 from[128];	/* who, for a message */
};
int	stock_way_find(const struct apw_stock_conf *, struct stock_way *,
	    struct apw_err *);
void	stock_way_free(struct stock_way *);
/* -1: it leads nowhere; err says what is to be put right, and where. */
int	stock_way_check(const struct stock_way *, struct apw_err *);
/* Authorities for TLS to the proxy; the caller frees it; NULL: none. */
char	*stock_way_cafile(const struct apw_stock_conf *);
/* The authorities that the npmrc, or the host's own, names; the caller frees it;
 * NULL: none. */
char	*stock_registry_cafile(const struct apw_stock_conf *);
/* Files that the npmrc names, for who has to show them; paths are borrowed. */
void	stock_registry_files(const struct apw_stock_conf *,
	    void (*fn)(void *arg, const char *path), void *arg);

/* cache.c: the installers' download caches */
struct stock_cache {
	int		 all_fd;	/* owned; shared with other builds */
	int		 fd;		/* owned; nobody else's now */
	char		 name[8];	/* below .cache */
	const char	*tool;		/* a literal: "bun", "npm" */
	struct timespec	 from;		/* what is newer came with this build */
};
int	stock_cache_take(struct stock_keeper *, const char *tool,
	    struct stock_cache *, struct apw_err *);
void	stock_cache_give(struct stock_cache *);
/* What is new, as far as max and a little more. */
uint64_t stock_cache_bytes(const struct stock_cache *, uint64_t max);
void	stock_cache_undo(const struct stock_cache *);	/* what is new goes */
/* All of them, when nobody uses one. */
void	stock_caches_drop(struct stock_keeper *, struct stock_staging *);

/* disk.c: what a build has put on the disk */
#define STOCK_DISK_DEPTH	100	/* folders; no package has so many */
#define STOCK_DISK_ENTRY	4096	/* what a name costs at least */
struct stock_disk {
	const struct stock_cache *cache;	/* borrowed; or NULL */
	int64_t	next_ms;	/* of the next look */
};
void	stock_disk_begin(struct stock_disk *, const struct stock_cache *);
/* Is it more than build_disk?  Looks when it is time to, or at the end. */
bool	stock_disk_over(const struct apw_stock *, const char *staging,
	    struct stock_disk *, bool at_end);

/* builder.c: a tool run by a keeper */
struct stock_run {
	const struct stock_tool	*tool;
	const char *const	*args;		/* after argv[0]; NULL-terminated */
	const char		*cwd;		/* absolute */
	const char		*staging;	/* absolute: HOME, TMPDIR are made here */
	bool			 network;	/* an installer: registry variables, /etc */
	bool			 ask;		/* only its version: no registry */
	const struct stock_cache *cache;	/* an installer's; or NULL */
	int64_t			 timeout_ms;
};
struct stock_outcome {
	bool		timed_out;
	bool		cancelled;
	const char	*over;		/* the limit it ran over, in words; NULL */
	bool		 over_disk;	/* and it was this one: the user's fault */
	int		exit_code;	/* -1 when it did not exit */
	int		signal;		/* 0: none */
	struct apw_buf	said;		/* by its gate: what it did not let
					 * through, or could not reach */
	struct apw_buf	out, err;
};
/* -1: could not be started.  Whatever it started is gone on return. */
int	stock_builder_run(struct stock_keeper *, const struct stock_run *,
	    struct stock_outcome *, struct apw_err *);
bool	stock_outcome_ok(const struct stock_outcome *);
void	stock_cut_clean(char *text);	/* no half a character at its end */
void	stock_outcome_free(struct stock_outcome *);
/* "Exit 1" and both streams, printable, valid UTF-8. */
void	stock_outcome_text(const struct stock_outcome *, struct apw_buf *);

/* env.c: environment of a tool, composed name by name */
#define STOCK_ENV_MAX	48
struct stock_env {
	char	*v[STOCK_ENV_MAX + 1];	/* owned strings, NULL-terminated */
	size_t	 n;
};
int	stock_env_compose(const struct apw_stock *, const struct stock_run *,
	    bool boxed, struct stock_env *, struct apw_err *);
void	stock_env_free(struct stock_env *);
const char *stock_env_cafile(void);	/* extra certificates, or NULL */

/* jail.c: in the child, before exec; -1 is fatal for the child */
int	stock_jail_prepare(const struct apw_stock *, const struct stock_run *,
	    struct apw_err *);		/* ruleset descriptor; -1: no Landlock */
int	stock_jail_enter(int ruleset_fd);

/* tool.c */
void	stock_tools_find(struct apw_stock *);
void	stock_tools_locate(const struct apw_cycle *, struct stock_tool *node,
	    struct stock_tool *installer, struct stock_tool *bundler);
void	stock_tool_free(struct stock_tool *);

/* engine.c */
bool	stock_engine_present(struct apw_stock *);	/* learns generation too */
enum apw_stock_fault stock_engine_make(struct stock_keeper *, struct apw_err *);
/* In the slot, after a keeper's success: what it hashed was `source`. */
void	stock_engine_learn(struct apw_stock *, const struct stock_stamp *source);
int	stock_engine_source(struct apw_stock *, struct stock_stamp *,
	    struct apw_err *);

/* spec.c: what may be asked of a registry */
struct json_t;
bool	stock_is_spec(struct apw_str version);
/* Copies what npm calls overrides, and yarn resolutions; -1: err says which
 * one may not be. */
int	stock_spec_overrides(struct json_t *user, struct json_t *to,
	    struct apw_err *);
int	stock_spec_resolutions(struct json_t *user, struct json_t *to,
	    struct apw_err *);

/* engine_files.c: look opens the folder of the bundle at path and reads the names
 * where they may have changed; all others come between look and close. */
int	stock_engine_files_look(struct stock_engine_files *, const char *path,
	    struct apw_err *);
void	stock_engine_files_close(struct stock_engine_files *);
int	stock_engine_files_stamp(const struct stock_engine_files *,
	    struct stock_stamp *all, struct apw_err *);
int	stock_engine_files_hash(const struct stock_engine_files *,
	    char out[STOCK_HASH_SIZE], struct apw_err *);
int	stock_engine_files_copy(const struct stock_engine_files *, int dir_fd,
	    struct apw_err *);
/* -1: the bundle names a file that is not there; err says which. */
/* Is the word in the file?  1, 0, -1: it cannot be read. */
int	stock_engine_file_says(int fd, const char *word);
int	stock_engine_files_check(const struct stock_engine_files *,
	    struct apw_err *);
bool	stock_engine_files_have(const struct stock_engine_files *,
	    const char *name);		/* at any time after a look */
/* Is the word in the bundle?  1, 0; -1: it cannot be read. */
int	stock_engine_files_say(const struct stock_engine_files *,
	    const char *word);

/* package.c: a user's package.json */
#define STOCK_NOTES_BYTES	((size_t)8192)
struct stock_package {
	struct apw_buf	json;		/* what we write */
	size_t		ndeps;		/* 0: nothing to install */
	struct apw_buf	notes;		/* what does not count, and why, for
					 * people; empty: all does */
};
/* -1: err says why the step cannot be built (a compile error). */
int	stock_package_filter(struct apw_str user, bool allowed,
	    unsigned release, struct stock_package *, struct apw_err *);
void	stock_package_free(struct stock_package *);

/* code.c */
/* Are steps of this release what the user wrote, not bundled? */
bool	stock_code_is_source(const struct apw_stock *, unsigned release);
void	stock_code_hash(const struct apw_stock *,
	    const struct apw_stock_order *, const struct apw_stock_code *,
	    char out[STOCK_HASH_SIZE]);
bool	stock_code_present(const struct apw_stock *,
	    const struct apw_stock_order *, const struct apw_stock_code *);
enum apw_stock_fault stock_code_make(struct stock_keeper *,
	    const struct apw_stock_order *, const struct apw_stock_code *,
	    struct apw_err *);
/* actions.c: code of actions, which is used for a while and not again */
#define STOCK_ACTIONS	"action-runs"
bool	stock_is_code_folder(const char *);	/* FLOWVERSION, or one of these */
const char *stock_order_codes(const struct apw_stock_order *);
void	stock_actions_use(struct apw_stock *, const struct apw_stock_order *);
void	stock_actions_open(struct apw_stock *);
void	stock_actions_close(struct apw_stock *);
/* In a keeper: what is old, and what is too much. */
enum apw_stock_fault stock_actions_sweep(struct stock_keeper *, void *arg,
	    struct apw_err *);

/* bundle.c */
/* 0: index.js is in the step's folder; 1: it is the user's error, text in
 * why; -1: ours. */
int	stock_bundle(struct stock_keeper *, const struct stock_staging *,
	    struct apw_buf *why, struct apw_err *);
/* The script of a step that has no code to run: it throws what and why.
 * source: it is index.ts, else index.js. */
#define STOCK_NOT_COMPILED	"Compilation Error "
#define STOCK_NOT_INSTALLED	"Failed to install dependencies. "
void	stock_bundle_artefact(struct apw_buf *out, bool source,
	    const char *what, struct apw_str why);
/* Is it index.js of such a step, ours or a Node worker's? */
bool	stock_bundle_is_artefact(struct apw_str index_js);
/* Does the list of inputs stay inside the step's folder? */
int	stock_bundle_inputs(struct apw_str metafile, struct apw_err *);
/* Bytes that the bundler says index.js has; -1: it does not say. */
int64_t	stock_bundle_size(struct apw_str metafile);
/* Does the tool's text speak of a file outside? */
bool	stock_bundle_leaks(struct apw_str text);
/* Of esbuild's text the errors alone, as the app's own worker has them:
 * "Error: TEXT (index.ts:LINE:COLUMN)", one a line.  How many; 0: it is not
 * text of that kind. */
int	stock_bundle_errors(struct apw_str text, struct apw_buf *out);

/* install.c: command line of the installer */
int	stock_install(struct stock_keeper *, const struct stock_staging *,
	    const char *cwd_rel, bool isolated, enum apw_stock_fault *,
	    struct apw_err *);

/* piece.c */
int	stock_piece_folder(const struct apw_stock_piece *, bool per_platform,
	    char *buf, size_t size);	/* below the root; -1: bad name */
bool	stock_piece_present(const struct apw_stock *,
	    const struct apw_stock_piece *, bool per_platform);
bool	stock_piece_loads(int dir_fd, const char *folder, const char *name);
enum apw_stock_fault stock_pieces_make(struct stock_keeper *,
	    const struct apw_stock_order *, struct apw_err *);
int	stock_piece_check(const struct apw_stock_piece *, bool per_platform,
	    struct apw_err *);

/* archive.c: what the app gave of a piece, in its folder */
void	stock_archive_name(const struct apw_stock_piece *, char *buf,
	    size_t size);
bool	stock_archive_there(const struct apw_stock *,
	    const struct apw_stock_piece *, bool per_platform);
void	stock_archive_drop(const struct apw_stock *,
	    const struct apw_stock_piece *, bool per_platform);

/* batch.c: one installer run for some pieces of one root */
enum apw_stock_fault stock_batch_install(struct stock_keeper *,
	    const struct apw_stock_piece *const *, size_t n, bool per_platform,
	    struct apw_err *);
/* store.c: the isolated linker's packages, shared by the pieces of a root */
int	stock_store_merge(struct stock_staging *, int root_fd,
	    struct apw_err *);

/* links.c */
struct stock_names {
	char	**v;		/* owned, strings too */
	size_t	  n, cap;
};
int	stock_names_add(struct stock_names *, const char *);
void	stock_names_free(struct stock_names *);
/* Packages of the store that the links in a node_modules folder lead to;
 * -1: one leads nowhere or out (the others are there). */
int	stock_links_read(struct stock_names *, int dir_fd, const char *folder);

/* use.c: what is in use, so that nobody takes it away */
int	stock_use_open(struct apw_stock *, struct apw_err *);
void	stock_use_close(struct apw_stock *);
/* Writes the order down; 0: nothing can go away until end(), so look; -1:
 * cannot tell now, ask a keeper. */
int	stock_use_begin(struct apw_stock *, const struct apw_stock_order *);
void	stock_use_end(struct apw_stock *);
void	stock_use_wait(struct stock_keeper *);
int	stock_use_lock(struct stock_keeper *, int how, int *fd);
void	stock_use_sweep_one(int dir_fd, const char *name);
bool	stock_use_has(struct apw_stock *, const char *entry);
void	stock_use_touch(const struct apw_stock *, const char *mark);

/* measure.c */
struct stock_entry {
	char	*path;		/* owned; below the root */
	int64_t	 used;		/* seconds, exact to the hour */
};
struct stock_entries {
	struct stock_entry	*v;	/* owned; the longest unused first */
	size_t			 n, cap;
};
uint64_t stock_measure(struct stock_keeper *);
void	stock_entries_find(struct stock_keeper *, struct stock_entries *);
void	stock_entries_free(struct stock_entries *);

/* janitor.c, gc.c */
enum apw_stock_fault stock_janitor(struct stock_keeper *, void *arg,
	    struct apw_err *);
void	stock_gc(struct stock_keeper *, struct stock_staging *);
/* Take an entry away, unless it is in use; and its folder, when it was the
 * last of a flow. */
bool	stock_evict(struct stock_keeper *, struct stock_staging *,
	    const char *entry);

/* fault.c */
enum apw_stock_fault stock_fault_of(const struct stock_outcome *);
enum apw_stock_fault stock_fault_text(struct apw_str);
/* What the operator can do about it; NULL: nothing that we know. */
const char *stock_fault_advice(struct apw_str text);

/* flow.c, meta.c */
void	stock_flow_touch(struct apw_stock *, const char *id);
/* 1: the place, 0: not to be kept, -1: bad name. */
int	stock_meta_folder(const char *name, const char *version,
	    const char *platform_id, char *folder, size_t size,
	    struct apw_err *);

/* text.c: a checked text in a file (flow versions, piece facts) */
int	stock_text_get(struct apw_stock *, const char *folder,
	    const char *name, struct apw_buf *out, struct apw_err *);
int	stock_text_put(struct apw_stock *, const char *folder,
	    const char *name, struct apw_str, struct apw_err *);

/* check.c */
/* The first line of PROGRAM --version; -1: it said nothing, or not in time.
 * Starts it, and waits: for tests of the configuration. */
int	stock_check_ask(const char *path, const char *node, char *text,
	    size_t size);

/* tunnel.c */
/* A script of ours in common (path: "common/NAME"), as it should be. */
bool	stock_script_there(const struct apw_stock *, const char *path,
	    struct apw_str script);
int	stock_script_put(const struct apw_stock *, const char *path,
	    struct apw_str script, struct apw_err *);

/* ahead.c */
void	stock_ahead_open(struct apw_stock *);
/* An order that is done. */
void	stock_ahead_learn(struct apw_stock *, const struct apw_stock_order *);

/* order.c */
struct apw_stock_ticket {
	uint32_t			 magic;
	struct apw_stock		*stock;		/* borrowed */
	const struct apw_stock_order	*order;		/* borrowed until done */
	apw_stock_done_fn		*done;		/* NULL: cancelled */
	void				*arg;
	struct event			*ev;		/* owned */
	struct stock_child		 keeper;
	struct stock_stamp		 source;	/* of the engine, at the fork */
	bool				 source_known;
	struct stock_report		 report;
	bool				 janitor;	/* no order: tidies up */
	int64_t				 started_ms;
	TAILQ_ENTRY(apw_stock_ticket)	 link;
};

/* Work that nobody waits for, in a keeper of its own; one at a time.  false:
 * not now. */
bool	stock_chore(struct apw_stock *, stock_work_fn *);
void	stock_tickets_end(struct apw_stock *);	/* at close; waits a little */

#endif
