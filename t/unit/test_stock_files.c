/* The stock on disk, in one process: paths that stay inside, publishing,
 * failures that are remembered, texts that are checked, the package store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "stock/stock_priv.h"

struct world {
	char			 dir[64];
	struct apw_cycle	 cycle;
	struct apw_stock	*stock;
};

static int
setup(void **state)
{
	struct world	*w = calloc(1, sizeof(*w));
	struct apw_err	 err = APW_ERR_NONE;

	snprintf(w->dir, sizeof(w->dir), "/tmp/apw-stock-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->cycle.stock.path = w->dir;
	w->cycle.stock.negative_ttl_ms = 60000;
	/* tools that do not exist: nothing is run */
	w->cycle.stock.installer_path = (char []){ "/nonexistent/bun" };
	w->cycle.stock.bundler_path = (char []){ "/nonexistent/esbuild" };
	w->stock = apw_stock_open(NULL, &w->cycle, &err);
	if (w->stock == NULL)
		fail_msg("%s", err.text);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world	*w = *state;

	apw_stock_close(w->stock);
	stock_tree_remove(AT_FDCWD, w->dir);
	assert_int_equal(access(w->dir, F_OK), -1);
	free(w);
	return 0;
}

static void
test_open_beneath(void **state)
{
	struct world	*w = *state;
	int		 root = w->stock->root_fd;

	assert_true(stock_exists(root, "common"));
	assert_false(stock_exists(root, ".."));
	assert_false(stock_exists(root, "common/../.."));
	assert_false(stock_exists(root, "/etc/passwd"));
	assert_int_equal(symlinkat("/etc", root, "out"), 0);
	assert_int_equal(symlinkat("../../..", root, "up"), 0);
	assert_int_equal(symlinkat("common", root, "in"), 0);
	assert_false(stock_exists(root, "out/passwd"));
	assert_false(stock_exists(root, "up/etc"));
	assert_true(stock_exists(root, "in"));
	assert_int_equal(stock_mkdirs(root, "out/x", NULL), -1);
	assert_int_equal(stock_mkdirs(root, "a/../b", NULL), -1);
	assert_int_equal(stock_mkdirs(root, "a//b", NULL), -1);
}

static void
test_files(void **state)
{
	struct world	*w = *state;
	struct apw_buf	 buf = APW_BUF_INIT(100);
	int		 root = w->stock->root_fd;
	char		 big[200];

	assert_int_equal(stock_read(root, "x", &buf, NULL), 0);
	assert_int_equal(stock_replace(root, "x", APW_STR("one"), true, NULL),
	    0);
	assert_int_equal(stock_replace(root, "x", APW_STR("two"), false, NULL),
	    0);
	assert_int_equal(stock_write(root, "x", APW_STR("no"), NULL), -1);
	assert_int_equal(stock_read(root, "x", &buf, NULL), 1);
	assert_string_equal(buf.data, "two");
	apw_buf_reset(&buf);
	memset(big, 'b', sizeof(big));
	stock_replace(root, "x", (struct apw_str){ big, 200 }, false, NULL);
	assert_int_equal(stock_read(root, "x", &buf, NULL), -1);
	apw_buf_free(&buf);
	assert_int_equal(stock_read(root, "common", &buf, NULL), -1);
	apw_buf_free(&buf);
}

static void
put(int dir_fd, const char *folder, const char *name, const char *text)
{
	int	fd = stock_mkdirs(dir_fd, folder, NULL);

	assert_int_not_equal(fd, -1);
	unlinkat(fd, name, 0);
	assert_int_equal(stock_write(fd, name, apw_str_c(text), NULL), 0);
	close(fd);
}

static void
test_publish(void **state)
{
	struct world		*w = *state;
	struct stock_keeper	 k = { .stock = w->stock, .control_fd = -1 };
	struct stock_staging	 st;
	struct apw_buf		 buf = APW_BUF_INIT(100);
	int			 codes, round;

	codes = stock_mkdirs(w->stock->root_fd, "codes/fv", NULL);
	for (round = 0; round < 2; round++) {
		assert_int_equal(stock_staging_begin(&k, &st, NULL), 0);
		put(st.fd, "step", "f", round == 0 ? "old" : "new");
		assert_int_equal(stock_publish(&st, "step", codes, "s", NULL),
		    0);
		stock_staging_end(&st);
	}
	assert_int_equal(stock_read(codes, "s/f", &buf, NULL), 1);
	assert_string_equal(buf.data, "new");
	apw_buf_free(&buf);
	close(codes);
}

static void
old(int dir_fd, const char *name)
{
	const struct timespec	times[2] = { { 0, UTIME_OMIT }, { 1000, 0 } };

	assert_int_equal(utimensat(dir_fd, name, times, 0), 0);
}

static void
test_sweep(void **state)
{
	struct world		*w = *state;
	struct stock_keeper	 k = { .stock = w->stock, .control_fd = -1 };
	struct stock_staging	 st;

	assert_int_equal(stock_staging_begin(&k, &st, NULL), 0);
	put(w->stock->root_fd, ".staging/dead", "f", "x");
	put(w->stock->root_fd, ".staging/young", "f", "x");
	old(st.parent_fd, st.name);
	old(st.parent_fd, "dead");
	stock_sweep(w->stock);
	assert_false(stock_exists(st.parent_fd, "dead"));
	assert_true(stock_exists(st.parent_fd, "young"));
	assert_true(stock_exists(st.parent_fd, st.name));	/* locked */
	stock_staging_end(&st);
	put(w->stock->root_fd, ".failed", "k", "x");
	stock_sweep(w->stock);
	assert_true(stock_exists(w->stock->root_fd, ".failed/k"));
	old(w->stock->root_fd, ".failed/k");
	stock_sweep(w->stock);
	assert_false(stock_exists(w->stock->root_fd, ".failed/k"));
}

static void
test_lock(void **state)
{
	struct world		*w = *state;
	struct stock_keeper	 k = { .stock = w->stock, .control_fd = -1 };
	int			 a = -1, b = -1;
	int64_t			 from;

	assert_int_equal(stock_lock(&k, "key", 0, &a, NULL), 0);
	from = apw_now_ms();
	assert_int_equal(stock_lock(&k, "key", 50, &b, NULL), -1);
	assert_true(apw_now_ms() - from >= 50);
	close(a);
	assert_int_equal(stock_lock(&k, "key", 0, &b, NULL), 0);
	close(b);
}

static void
test_failures(void **state)
{
	struct world		*w = *state;
	enum apw_stock_fault	 fault = APW_STOCK_OK;
	struct apw_err		 err, why = { 0, "no such package" };

	assert_false(stock_failed_get(w->stock, "k", &fault, &err));
	stock_failed_put(w->stock, "k", APW_STOCK_USER, &why);
	/* not kept while a tool is missing: look again at once */
	assert_false(stock_failed_get(w->stock, "k", &fault, &err));
	w->stock->installer.path = strdup("/x");
	w->stock->bundler.path = strdup("/x");
	stock_failed_put(w->stock, "k", APW_STOCK_USER, &why);
	assert_true(stock_failed_get(w->stock, "k", &fault, &err));
	assert_int_equal(fault, APW_STOCK_USER);
	assert_non_null(strstr(err.text, "no such package"));
	w->cycle.stock.negative_ttl_ms = -5000;
	assert_false(stock_failed_get(w->stock, "k", &fault, &err));
	w->cycle.stock.negative_ttl_ms = 60000;
	stock_failed_put(w->stock, "k", APW_STOCK_OURS, &why);
	stock_failed_clear(w->stock, "k");
	assert_false(stock_failed_get(w->stock, "k", &fault, &err));
}

static void
test_flows(void **state)
{
	struct world	*w = *state;
	struct apw_buf	 buf = APW_BUF_INIT(0);
	struct apw_str	 locked = APW_STR("{\"id\":\"fv\",\"state\":\"LOCKED\"}");

	assert_int_equal(apw_stock_flow_put(w->stock, "fv", locked, NULL), 0);
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	apw_stock_release(w->stock, "0.85.4");
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	assert_int_equal(apw_stock_flow_put(w->stock, "fv",
	    APW_STR("{\"id\":\"fv\",\"state\":\"DRAFT\"}"), NULL), 0);
	assert_int_equal(apw_stock_flow_put(w->stock, "fv",
	    APW_STR("{\"id\":\"other\",\"state\":\"LOCKED\"}"), NULL), 0);
	assert_int_equal(apw_stock_flow_put(w->stock, "fv",
	    APW_STR("not json"), NULL), 0);
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	assert_int_equal(apw_stock_flow_put(w->stock, "fv", locked, NULL), 0);
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 1);
	assert_true(apw_str_eq(apw_buf_view(&buf), locked));
	apw_buf_reset(&buf);
	apw_stock_release(w->stock, "0.86.0");
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	apw_stock_release(w->stock, "0.85.4");
	/* torn, foreign, empty: a miss each */
	put(w->stock->root_fd, "flows/fv", "apw-0.85.4.json", "{\"id\"");
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	put(w->stock->root_fd, "flows/fv", "apw-0.85.4.json", "");
	assert_int_equal(apw_stock_flow_get(w->stock, "fv", &buf, NULL), 0);
	put(w->stock->root_fd, "flows/fv", "cache.json", "{}");
	assert_int_equal(apw_stock_flow_get(w->stock, "../x", &buf, NULL), -1);
	assert_int_equal(apw_stock_flow_put(w->stock, "", locked, NULL), -1);
	apw_buf_free(&buf);
}

static void
test_facts(void **state)
{
	struct world	*w = *state;
	struct apw_buf	 buf = APW_BUF_INIT(0);
	struct apw_str	 json = APW_STR("{\"pieceName\":\"@a/b\"}");

	assert_int_equal(apw_stock_piece_put(w->stock, "@a/b", "1.2.3", "p",
	    json, NULL), 0);
	assert_int_equal(apw_stock_piece_get(w->stock, "@a/b", "1.2.3", "p",
	    &buf, NULL), 1);
	assert_true(apw_str_eq(apw_buf_view(&buf), json));
	apw_buf_reset(&buf);
	assert_int_equal(apw_stock_piece_get(w->stock, "@a/b", "1.2.3", "q",
	    &buf, NULL), 0);
	assert_int_equal(apw_stock_piece_put(w->stock, "@a/b", "~1.2.3", "p",
	    json, NULL), 0);
	assert_int_equal(apw_stock_piece_get(w->stock, "@a/b", "~1.2.3", "p",
	    &buf, NULL), 0);
	assert_int_equal(apw_stock_piece_get(w->stock, "../b", "1.2.3", "p",
	    &buf, NULL), -1);
	assert_int_equal(apw_stock_piece_get(w->stock, "b", "1.2.3", "../p",
	    &buf, NULL), -1);
	apw_buf_free(&buf);
}

/* A package of the store, with a link to another one. */
static void
package(int base_fd, const char *name, const char *to)
{
	char	folder[200], target[200];
	int	fd;

	snprintf(folder, sizeof(folder),
	    "node_modules/.bun/%s@1/node_modules/%s", name, name);
	put(base_fd, folder, "index.js", name);
	if (to == NULL)
		return;
	*strrchr(folder, '/') = '\0';
	fd = stock_mkdirs(base_fd, folder, NULL);
	snprintf(target, sizeof(target), "../../%s@1/node_modules/%s", to, to);
	assert_int_equal(symlinkat(target, fd, to), 0);
	close(fd);
}

static void
merge(struct world *w, int root, const char *const (*packages)[2])
{
	struct stock_keeper	k = { .stock = w->stock, .control_fd = -1 };
	struct stock_staging	st;
	struct apw_err		err = APW_ERR_NONE;

	assert_int_equal(stock_staging_begin(&k, &st, &err), 0);
	for (; (*packages)[0] != NULL; packages++)
		package(st.fd, (*packages)[0], (*packages)[1]);
	if (stock_store_merge(&st, root, &err) == -1)
		fail_msg("%s", err.text);
	stock_staging_end(&st);
}

static void
test_store(void **state)
{
	static const char *const first[][2] = { { "a", "b" }, { "b", "c" },
	    { "c", "a" }, { NULL, NULL } };
	static const char *const second[][2] = { { "a", "d" }, { "d", NULL },
	    { NULL, NULL } };
	struct world	*w = *state;
	int		 root = stock_mkdirs(w->stock->root_fd, "common", NULL);
	int		 store;

	merge(w, root, first);
	assert_true(stock_exists(root, "node_modules/.bun/a@1/node_modules/b/"
	    "index.js"));
	/* what is good stays, also when it was resolved in another way */
	merge(w, root, second);
	assert_true(stock_exists(root, "node_modules/.bun/a@1/node_modules/b"));
	assert_false(stock_exists(root,
	    "node_modules/.bun/a@1/node_modules/d"));
	/* c was lost: what leads to it is replaced, deep down too */
	store = stock_mkdirs(root, "node_modules/.bun", NULL);
	stock_tree_remove(store, "c@1");
	merge(w, root, second);
	assert_true(stock_exists(root, "node_modules/.bun/a@1/node_modules/d/"
	    "index.js"));
	assert_false(stock_exists(root,
	    "node_modules/.bun/a@1/node_modules/b"));
	/* half-done by somebody else: no mark, so it is replaced */
	stock_tree_remove(store, "d@1/.apworkerd");
	put(store, "d@1", "junk", "x");
	unlinkat(store, "d@1/.apworkerd", 0);
	merge(w, root, second);
	assert_false(stock_exists(store, "d@1/junk"));
	close(store);
	close(root);
}

static void
test_tree_remove(void **state)
{
	struct world	*w = *state;
	int		 root = w->stock->root_fd;

	put(root, "keep", "f", "x");
	put(root, "gone/a/b", "f", "x");
	assert_int_equal(symlinkat("../keep", stock_open(root, "gone",
	    O_RDONLY), "link"), 0);
	assert_int_equal(fchmodat(root, "gone/a", 0500, 0), 0);
	stock_tree_remove(root, "gone");
	assert_false(stock_exists(root, "gone"));
	assert_true(stock_exists(root, "keep/f"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(test_open_beneath), TEST(test_files), TEST(test_publish),
		TEST(test_sweep), TEST(test_lock), TEST(test_failures),
		TEST(test_flows), TEST(test_facts), TEST(test_store),
		TEST(test_tree_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
