/* Code steps: codes/FLOWVERSION/STEP, with index.js, or with index.ts and its
 * packages, as the app's release has it (release.h).  Room: stock; looked at by
 * the slot, made by a keeper.  The folder appears whole, by rename, with a mark
 * that holds the hash of all that went into it: source, whether packages were
 * allowed, what of package.json counts, and the versions of the tools; and,
 * when it is only good for a while, until when. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define CODE_RECIPE	"apworkerd code 2"	/* change it when the recipe changes */
#define CODE_LOCK_SPARE_MS	60000
#define CODE_PUBLISH_TRIES	5
#define CODE_MARK_BYTES		(STOCK_HASH_SIZE + 32)
#define CODE_WHY_BYTES		((size_t)24 << 10)	/* of a tool's words, where
							 * ours are to follow */

static const char tsconfig[] =
	"{\"compilerOptions\":{\"lib\":[\"es2022\",\"dom\"],"
	"\"module\":\"commonjs\",\"target\":\"es2022\","
	"\"moduleResolution\":\"node\","
	"\"esModuleInterop\":true,\"skipLibCheck\":true,"
	"\"forceConsistentCasingInFileNames\":true,\"strict\":false,"
	"\"noImplicitAny\":false,\"strictNullChecks\":false}}\n";

/* The file that the engine loads. */
static const char *
code_script(const struct apw_stock *stock, const struct apw_stock_order *order)
{
	return stock_code_is_source(stock, order->release) ? "index.ts" :
	    "index.js";
}

bool
stock_code_is_source(const struct apw_stock *stock, unsigned release)
{
	enum apw_code_form	form = apw_stock_release_of(release)->code;

	return form == APW_CODE_SOURCE || (form == APW_CODE_BY_ENGINE &&
	    stock->engine.loads_source);
}

void
stock_code_hash(const struct apw_stock *stock,
    const struct apw_stock_order *order, const struct apw_stock_code *code,
    char out[STOCK_HASH_SIZE])
{
	const struct stock_tool	*installer = &stock->installer;
	const struct stock_tool	*bundler = &stock->bundler;
	const struct apw_stock_conf *conf = &stock->cycle->stock;
	const struct apw_stock_release *rules =
	    apw_stock_release_of(order->release);
	bool			 source = stock_code_is_source(stock,
				    order->release);
	struct apw_str		 parts[] = {
		APW_STR(CODE_RECIPE),
		code->source,
		order->packages ? APW_STR("packages") : APW_STR("alone"),
		source ? APW_STR("source") :
		    conf->bundler == APW_BUNDLER_BUN ? APW_STR("bun") :
		    APW_STR("esbuild"),
		source ? APW_STR("") : apw_str_c(bundler->version),
		!order->packages ? APW_STR("") :
		    conf->installer == APW_INSTALLER_NPM ? APW_STR("npm") :
		    APW_STR("bun"),
		order->packages ? apw_str_c(installer->version) : APW_STR(""),
		!order->packages ? APW_STR("") :
		    apw_str_c(rules->package_rules),
	};
	/* all that is not the same for the life of a slot */
	char			 key = !order->packages ? 'a' :
				    rules->all_members ? 'p' : 'q';
	size_t			 i;

	_Static_assert(APW_STOCK_MEMO > STOCK_HASH_SIZE, "room for key, hash");
	if (source)
		key += 'A' - 'a';
	if (code->memo != NULL && code->memo[0] == key) {
		memcpy(out, code->memo + 1, STOCK_HASH_SIZE);
		return;
	}
	for (i = 0; i < APW_COUNT(parts); i++)
		if (parts[i].p == NULL)
			parts[i] = APW_STR("");
	if (stock_hash(out, parts, APW_COUNT(parts)) == -1 ||
	    code->memo == NULL)
		return;
	code->memo[0] = key;
	memcpy(code->memo + 1, out, STOCK_HASH_SIZE);
}

static void
code_folder(const struct apw_stock_order *order,
    const struct apw_stock_code *code, char *buf, size_t size)
{
	snprintf(buf, size, "codes/%s/%s", stock_order_codes(order),
	    code->step);
}

static bool
present(const struct apw_stock *stock, const char *folder, const char *script,
    const char *hash)
{
	struct apw_buf	mark = APW_BUF_INIT(CODE_MARK_BYTES);
	char		rel[STOCK_PATH_BYTES];
	bool		same;

	if (hash[0] == '\0')
		return false;
	snprintf(rel, sizeof(rel), "%s/" STOCK_MARK, folder);
	same = stock_read(stock->root_fd, rel, &mark, NULL) == 1 &&
	    mark.len >= 64 && memcmp(mark.data, hash, 64) == 0 &&
	    (mark.len == 64 || strtoll(mark.data + 64, NULL, 10) >
	    apw_wall_ms());
	apw_buf_free(&mark);
	snprintf(rel, sizeof(rel), "%s/%s", folder, script);
	return same && stock_exists(stock->root_fd, rel);
}

bool
stock_code_present(const struct apw_stock *stock,
    const struct apw_stock_order *order, const struct apw_stock_code *code)
{
	char	hash[STOCK_HASH_SIZE], folder[STOCK_PATH_BYTES];
	char	mark[STOCK_PATH_BYTES + 16];

	stock_code_hash(stock, order, code, hash);
	code_folder(order, code, folder, sizeof(folder));
	if (!present(stock, folder, code_script(stock, order), hash))
		return false;
	snprintf(mark, sizeof(mark), "%s/" STOCK_MARK, folder);
	stock_use_touch(stock, mark);
	return true;
}

/* What one step's build leaves beside its files. */
struct code_work {
	const struct apw_stock_order	*order;		/* borrowed */
	const struct apw_stock_code	*code;		/* borrowed */
	const char			*hash;		/* borrowed */
	int				 fd;		/* owned; the step's folder */
	struct stock_package		 package;
	const char			*script;	/* a literal */
	bool				 source;	/* it is not bundled */
	bool				 taken;		/* somebody else has */
	bool				 for_a_while;	/* it only tells a failure
							 * that may pass */
};

/* In the place of the step's script: one that throws what and why. */
static int
code_artefact(const struct code_work *w, const char *what, struct apw_str why,
    struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(0);
	int		rc;

	stock_bundle_artefact(&text, w->source, what, why);
	unlinkat(w->fd, w->script, 0);
	rc = text.failed ? apw_err_set(err, ENOMEM, "%s", w->script) :
	    stock_write(w->fd, w->script, apw_buf_view(&text), err);
	apw_buf_free(&text);
	return rc;
}

/* Sources in place; 1: the user's package.json is at fault, index.js says so. */
static int
code_sources(struct code_work *w, struct apw_err *err)
{
	struct apw_err	why = APW_ERR_NONE;

	if (stock_package_filter(w->code->package_json, w->order->packages,
	    w->order->release, &w->package, &why) == -1) {
		stock_cut_clean(why.text);
		return code_artefact(w, STOCK_NOT_COMPILED,
		    apw_str_c(why.text), err) == -1 ? -1 : 1;
	}
	if (w->package.notes.len > 0)
		apw_warn("not all of a code step's package.json counts",
		    APW_S("flow_version", stock_order_codes(w->order)),
		    APW_S("step", w->code->step),
		    APW_S("package_json", w->package.notes.data));
	if (stock_write(w->fd, "package.json", apw_buf_view(&w->package.json),
	    err) == 0 && (w->source ||
	    stock_write(w->fd, "tsconfig.json", APW_STR(tsconfig),
	    err) == 0) &&
	    stock_write(w->fd, "index.ts", w->code->code, err) == 0)
		return 0;
	return -1;
}

/* What does not compile because of a package that is not there: what of
 * package.json did not count? */
static void
code_explain(const struct code_work *w, struct apw_buf *why)
{
	const struct stock_package	*p = &w->package;

	if (p->notes.len == 0 || why->data == NULL ||
	    strstr(why->data, "Could not resolve") == NULL)
		return;
	if (why->len > CODE_WHY_BYTES) {
		why->data[CODE_WHY_BYTES] = '\0';
		stock_cut_clean(why->data);
		why->len = strlen(why->data);
		apw_buf_puts(why, "\n[...]\n");
	}
	if (why->data[why->len - 1] != '\n')
		apw_buf_puts(why, "\n");
	apw_buf_printf(why, "package.json: %s\n", p->notes.data);
}

/* The packages are not to be had.  0: the step says so when it is run, as
 * this release of the app has it; -1: the order fails. */
static int
code_not_installed(const struct stock_keeper *k, struct code_work *w,
    enum apw_stock_fault fault, struct apw_err *err)
{
	struct apw_err	why = *err;
	struct apw_buf	text = APW_BUF_INIT(2 * sizeof(why.text));
	int		rc;

	apw_err_wrap(err, "packages of step \"%s\"", w->code->step);
	/* nobody runs it now: who does shall try for himself */
	if (fault != APW_STOCK_USER || k->background ||
	    !apw_stock_release_of(w->order->release)->step_fails)
		return -1;
	apw_warn("the packages of a code step cannot be installed, its runs "
	    "fail", APW_S("flow_version", stock_order_codes(w->order)),
	    APW_S("step", w->code->step), APW_S("error", why.text));
	w->for_a_while = true;
	stock_cut_clean(why.text);
	apw_buf_printf(&text, "Error: %s", why.text);
	rc = code_artefact(w, STOCK_NOT_INSTALLED, apw_buf_view(&text),
	    err);
	apw_buf_free(&text);
	return rc;
}

static enum apw_stock_fault
code_build(struct stock_keeper *k, struct stock_staging *st,
    struct code_work *w, struct apw_err *err)
{
	struct apw_buf		why = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	enum apw_stock_fault	fault;
	int			rc;

	if (w->taken)
		return stock_write(w->fd, "index.js", w->code->built,
		    err) == 0 ? APW_STOCK_OK : APW_STOCK_OURS;
	if (w->code->code.n > STOCK_CODE_BYTES)
		return code_artefact(w, STOCK_NOT_COMPILED, APW_STR("the "
		    "code is larger than 16 MiB"), err) == 0 ? APW_STOCK_OK :
		    APW_STOCK_OURS;
	rc = code_sources(w, err);
	if (rc != 0)
		return rc == 1 ? APW_STOCK_OK : APW_STOCK_OURS;
	if (w->package.ndeps > 0 && stock_install(k, st, "step", false,
	    &fault, err) == -1)
		return code_not_installed(k, w, fault, err) == 0 ? APW_STOCK_OK :
		    fault;
	if (w->source)
		return APW_STOCK_OK;
	rc = stock_bundle(k, st, &why, err);
	if (rc == 1) {
		code_explain(w, &why);
		rc = code_artefact(w, STOCK_NOT_COMPILED,
		    apw_buf_view(&why), err);
	}
	apw_buf_free(&why);
	if (rc == -1)
		apw_err_wrap(err, "build of step \"%s\"", w->code->step);
	return rc == -1 ? APW_STOCK_OURS : APW_STOCK_OK;
}

static int
code_mark(const struct stock_keeper *k, const struct code_work *w,
    struct apw_err *err)
{
	char	text[CODE_MARK_BYTES];

	snprintf(text, sizeof(text), "%s", w->hash);
	if (w->for_a_while)
		snprintf(text, sizeof(text), "%s %lld", w->hash, (long long)
		    (apw_wall_ms() + k->stock->cycle->stock.negative_ttl_ms));
	return stock_write(w->fd, STOCK_MARK, apw_str_c(text), err);
}

/* Into its place.  The folder above may be taken away as empty meanwhile: it
 * is made again then. */
static int
code_publish(struct stock_keeper *k, struct stock_staging *st,
    const struct code_work *w, struct apw_err *err)
{
	char		rel[STOCK_PATH_BYTES];
	unsigned	tries;

	snprintf(rel, sizeof(rel), "codes/%s", stock_order_codes(w->order));
	for (tries = 0; tries < CODE_PUBLISH_TRIES; tries++) {
		apw_autofd int	fd = stock_mkdirs(k->stock->root_fd, rel, err);

		if (fd == -1)
			return -1;
		if (stock_publish(st, "step", fd, w->code->step, err) == 0) {
			fsync(fd);
			return 0;
		}
		if (err->code != ENOENT)
			break;
	}
	return -1;
}

static int
code_finish(struct stock_keeper *k, struct stock_staging *st,
    struct code_work *w, struct apw_err *err)
{
	static const char *const leftovers[] = { "bun.lock", "bun.lockb",
	    "meta.json", "package-lock.json", "node_modules" };
	/* the engine loads the packages from where they were installed */
	const size_t	nleftovers = APW_COUNT(leftovers) -
			    (w->source && !w->for_a_while);
	size_t		i;

	for (i = 0; i < nleftovers; i++)
		stock_tree_remove(w->fd, leftovers[i]);
	if (code_mark(k, w, err) == -1 || (w->source &&
	    w->package.ndeps > 0 && syncfs(w->fd) == -1) ||
	    stock_sync(w->fd, w->script, err) == -1 ||
	    stock_sync(w->fd, STOCK_MARK, err) == -1)
		return -1;
	if (fsync(w->fd) == -1)
		return apw_err_set(err, errno, "cannot sync a step");
	return code_publish(k, st, w, err);
}

static enum apw_stock_fault
code_make_locked(struct stock_keeper *k, struct code_work *w,
    struct apw_err *err)
{
	struct stock_staging	st;
	enum apw_stock_fault	fault = APW_STOCK_OURS;
	int64_t			from_ms = apw_now_ms();

	if (stock_staging_begin(k, &st, err) == -1)
		return APW_STOCK_OURS;
	w->fd = stock_mkdirs(st.fd, "step", err);
	if (w->fd != -1)
		fault = code_build(k, &st, w, err);
	if (fault == APW_STOCK_OK && code_finish(k, &st, w, err) == -1)
		fault = APW_STOCK_OURS;
	stock_staging_end(&st);
	stock_package_free(&w->package);
	if (w->fd != -1)
		close(w->fd);
	if (fault == APW_STOCK_OK)
		apw_info(w->taken ? "code step taken from a bundle" :
		    "code step built",
		    APW_S("flow_version", stock_order_codes(w->order)),
		    APW_S("step", w->code->step),
		    APW_I("took_ms", apw_now_ms() - from_ms));
	return fault;
}

/* What somebody else has built is taken, but for a script that only says that
 * it could not be built: that was there, and we are here. */
static bool
code_taken(const struct apw_stock *stock, const struct apw_stock_order *order,
    const struct apw_stock_code *code)
{
	return code->built.n > 0 &&
	    !stock_code_is_source(stock, order->release) &&
	    !stock_bundle_is_artefact(code->built);
}

enum apw_stock_fault
stock_code_make(struct stock_keeper *k, const struct apw_stock_order *order,
    const struct apw_stock_code *code, struct apw_err *err)
{
	const struct apw_stock_conf *conf = &k->stock->cycle->stock;
	char			hash[STOCK_HASH_SIZE];
	char			folder[STOCK_PATH_BYTES];
	char			key[STOCK_PATH_BYTES + STOCK_HASH_SIZE];
	enum apw_stock_fault	fault;
	apw_autofd int		lock = -1;

	stock_code_hash(k->stock, order, code, hash);
	code_folder(order, code, folder, sizeof(folder));
	if (stock_lock(k, folder, conf->install_timeout_ms +
	    conf->build_timeout_ms + CODE_LOCK_SPARE_MS, &lock, err) == -1)
		return APW_STOCK_OURS;
	/* somebody else made it */
	if (present(k->stock, folder, code_script(k->stock, order), hash))
		return APW_STOCK_OK;
	snprintf(key, sizeof(key), "%s %s", folder, hash);
	if (stock_failed_get(k->stock, key, &fault, err))
		return fault;
	fault = code_make_locked(k, &(struct code_work){ .order = order,
	    .code = code, .hash = hash, .fd = -1,
	    .script = code_script(k->stock, order),
	    .source = stock_code_is_source(k->stock, order->release),
	    .taken = code_taken(k->stock, order, code) }, err);
	if (fault == APW_STOCK_OK)
		stock_failed_clear(k->stock, key);
	else if (!k->cancelled && !k->background)
		stock_failed_put(k->stock, key, fault, err);
	return fault;
}

int
apw_stock_built(struct apw_stock *stock, const struct apw_stock_order *order,
    const struct apw_stock_code *code, struct apw_buf *out,
    struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES], rel[STOCK_PATH_BYTES + 16];

	if (!stock_code_present(stock, order, code))
		return 0;
	code_folder(order, code, folder, sizeof(folder));
	snprintf(rel, sizeof(rel), "%s/index.js", folder);
	if (stock_read(stock->root_fd, rel, out, err) != 1)
		return -1;
	return !stock_bundle_is_artefact(apw_buf_view(out));
}
