/* Code steps: codes/FLOWVERSION/STEP/index.js.  Room: stock; looked at by the
 * slot, made by a keeper.  The folder appears whole, by rename, with a mark
 * that holds the hash of all that went into it: source, whether packages were
 * allowed, and the versions of the tools. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define CODE_RECIPE	"apworkerd code 1"	/* change it when the recipe changes */
#define CODE_LOCK_SPARE_MS	60000

static const char tsconfig[] =
	"{\"compilerOptions\":{\"lib\":[\"es2022\",\"dom\"],"
	"\"module\":\"commonjs\",\"target\":\"es2022\","
	"\"moduleResolution\":\"node\","
	"\"esModuleInterop\":true,\"skipLibCheck\":true,"
	"\"forceConsistentCasingInFileNames\":true,\"strict\":false,"
	"\"noImplicitAny\":false,\"strictNullChecks\":false}}\n";

void
stock_code_hash(const struct apw_stock *stock,
    const struct apw_stock_order *order, const struct apw_stock_code *code,
    char out[STOCK_HASH_SIZE])
{
	const struct stock_tool	*installer = &stock->installer;
	const struct stock_tool	*bundler = &stock->bundler;
	const struct apw_stock_conf *conf = &stock->cycle->stock;
	struct apw_str		 parts[] = {
		APW_STR(CODE_RECIPE),
		code->source,
		order->packages ? APW_STR("packages") : APW_STR("alone"),
		conf->bundler == APW_BUNDLER_BUN ? APW_STR("bun") :
		    APW_STR("esbuild"),
		apw_str_c(bundler->version),
		!order->packages ? APW_STR("") :
		    conf->installer == APW_INSTALLER_NPM ? APW_STR("npm") :
		    APW_STR("bun"),
		order->packages ? apw_str_c(installer->version) : APW_STR(""),
	};
	char			 key = order->packages ? 'p' : 'a';
	size_t			 i;

	_Static_assert(APW_STOCK_MEMO > STOCK_HASH_SIZE, "room for key, hash");
	/* the tools are the same for the life of a slot */
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
	snprintf(buf, size, "codes/%s/%s", order->flow_version_id, code->step);
}

static bool
present(const struct apw_stock *stock, const char *folder, const char *hash)
{
	struct apw_buf	mark = APW_BUF_INIT(STOCK_HASH_SIZE + 16);
	char		rel[STOCK_PATH_BYTES];
	bool		same;

	if (hash[0] == '\0')
		return false;
	snprintf(rel, sizeof(rel), "%s/" STOCK_MARK, folder);
	same = stock_read(stock->root_fd, rel, &mark, NULL) == 1 &&
	    mark.len == 64 && memcmp(mark.data, hash, 64) == 0;
	apw_buf_free(&mark);
	snprintf(rel, sizeof(rel), "%s/index.js", folder);
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
	if (!present(stock, folder, hash))
		return false;
	snprintf(mark, sizeof(mark), "%s/" STOCK_MARK, folder);
	stock_use_touch(stock, mark);
	return true;
}

static int
code_artefact(int step_fd, struct apw_str why, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(0);
	int		rc;

	stock_bundle_artefact(&text, why);
	unlinkat(step_fd, "index.js", 0);
	rc = text.failed ? apw_err_set(err, ENOMEM, "index.js") :
	    stock_write(step_fd, "index.js", apw_buf_view(&text), err);
	apw_buf_free(&text);
	return rc;
}

/* Sources in place; 1: the user's package.json is at fault, index.js says so. */
static int
code_sources(int step_fd, const struct apw_stock_order *order,
    const struct apw_stock_code *code, size_t *ndeps, struct apw_err *err)
{
	struct stock_package	package;
	struct apw_err		why = APW_ERR_NONE;
	int			rc = -1;

	if (stock_package_filter(code->package_json, order->packages, &package,
	    &why) == -1)
		return code_artefact(step_fd, apw_str_c(why.text), err) == -1 ?
		    -1 : 1;
	*ndeps = package.ndeps;
	if (stock_write(step_fd, "package.json", apw_buf_view(&package.json),
	    err) == 0 &&
	    stock_write(step_fd, "tsconfig.json", APW_STR(tsconfig),
	    err) == 0 &&
	    stock_write(step_fd, "index.ts", code->code, err) == 0)
		rc = 0;
	apw_buf_free(&package.json);
	return rc;
}

static enum apw_stock_fault
code_build(struct stock_keeper *k, struct stock_staging *st, int step_fd,
    const struct apw_stock_order *order, const struct apw_stock_code *code,
    struct apw_err *err)
{
	struct apw_buf		why = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	enum apw_stock_fault	fault;
	size_t			ndeps = 0;
	int			rc;

	if (code->built.n > 0)
		return stock_write(step_fd, "index.js", code->built,
		    err) == 0 ? APW_STOCK_OK : APW_STOCK_OURS;
	if (code->code.n > STOCK_CODE_BYTES)
		return code_artefact(step_fd, APW_STR("the code is larger "
		    "than 16 MiB"), err) == 0 ? APW_STOCK_OK : APW_STOCK_OURS;
	rc = code_sources(step_fd, order, code, &ndeps, err);
	if (rc != 0)
		return rc == 1 ? APW_STOCK_OK : APW_STOCK_OURS;
	if (ndeps > 0 && stock_install(k, st, "step", false, &fault,
	    err) == -1) {
		apw_err_wrap(err, "packages of step \"%s\"", code->step);
		return fault;
	}
	rc = stock_bundle(k, st, &why, err);
	if (rc == 1)
		rc = code_artefact(step_fd, apw_buf_view(&why), err);
	apw_buf_free(&why);
	if (rc == -1)
		apw_err_wrap(err, "step \"%s\"", code->step);
	return rc == -1 ? APW_STOCK_OURS : APW_STOCK_OK;
}

static int
code_finish(struct stock_keeper *k, struct stock_staging *st, int step_fd,
    const struct apw_stock_order *order, const struct apw_stock_code *code,
    const char *hash, struct apw_err *err)
{
	static const char *const leftovers[] = { "node_modules", "bun.lock",
	    "bun.lockb", "meta.json", "package-lock.json" };
	char		rel[STOCK_PATH_BYTES];
	apw_autofd int	flow_fd = -1;
	size_t		i;

	for (i = 0; i < APW_COUNT(leftovers); i++)
		stock_tree_remove(step_fd, leftovers[i]);
	snprintf(rel, sizeof(rel), "codes/%s", order->flow_version_id);
	if ((flow_fd = stock_mkdirs(k->stock->root_fd, rel, err)) == -1 ||
	    stock_write(step_fd, STOCK_MARK, apw_str_c(hash), err) == -1 ||
	    stock_sync(step_fd, "index.js", err) == -1 ||
	    stock_sync(step_fd, STOCK_MARK, err) == -1)
		return -1;
	if (fsync(step_fd) == -1)
		return apw_err_set(err, errno, "cannot sync a step");
	if (stock_publish(st, "step", flow_fd, code->step, err) == -1)
		return -1;
	fsync(flow_fd);
	return 0;
}

static enum apw_stock_fault
code_make_locked(struct stock_keeper *k, const struct apw_stock_order *order,
    const struct apw_stock_code *code, const char *hash, struct apw_err *err)
{
	struct stock_staging	st;
	enum apw_stock_fault	fault = APW_STOCK_OURS;
	apw_autofd int		step_fd = -1;
	int64_t			from_ms = apw_now_ms();

	if (stock_staging_begin(k, &st, err) == -1)
		return APW_STOCK_OURS;
	step_fd = stock_mkdirs(st.fd, "step", err);
	if (step_fd != -1)
		fault = code_build(k, &st, step_fd, order, code, err);
	if (fault == APW_STOCK_OK && code_finish(k, &st, step_fd, order, code,
	    hash, err) == -1)
		fault = APW_STOCK_OURS;
	stock_staging_end(&st);
	if (fault == APW_STOCK_OK)
		apw_info(code->built.n > 0 ? "code step taken from a bundle" :
		    "code step built",
		    APW_S("flow_version", order->flow_version_id),
		    APW_S("step", code->step),
		    APW_I("took_ms", apw_now_ms() - from_ms));
	return fault;
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
	if (present(k->stock, folder, hash))	/* somebody else made it */
		return APW_STOCK_OK;
	snprintf(key, sizeof(key), "%s %s", folder, hash);
	if (stock_failed_get(k->stock, key, &fault, err))
		return fault;
	fault = code_make_locked(k, order, code, hash, err);
	if (fault == APW_STOCK_OK)
		stock_failed_clear(k->stock, key);
	else if (!k->cancelled)
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
