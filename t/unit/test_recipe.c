/* Remembered recipes: what is taken is the caller's, what is not fixed is
 * never remembered, the list is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "job/recipe.h"

static struct apw_recipe *
take(struct apw_recipes *rs, const char *id, const char *platform)
{
	struct apw_recipe	*r = apw_recipes_take(rs, id, platform);

	assert_non_null(r);
	return r;
}

static void
finish(struct apw_recipes *rs, struct apw_recipe *r, size_t bytes)
{
	assert_int_equal(apw_buf_reserve(&r->flow_version, bytes), 0);
	r->complete = r->fixed = true;
	apw_recipes_give(rs, r);
}

static void
test_remembers(void **state)
{
	struct apw_recipes	*rs = apw_recipes_new();
	struct apw_recipe	*r = take(rs, "fv1", "pl1");

	(void)state;
	assert_false(r->complete);
	finish(rs, r, 10);
	assert_ptr_equal(take(rs, "fv1", "pl1"), r);
	assert_true(r->complete);
	apw_recipes_give(rs, r);

	r = take(rs, "fv1", "pl2");		/* other platforms, other pieces */
	assert_false(r->complete);
	apw_recipes_give(rs, r);
	r = take(rs, NULL, "pl1");
	assert_false(r->complete);
	finish(rs, r, 10);			/* of no flow: not kept */
	r = take(rs, NULL, "pl1");
	assert_false(r->complete);
	apw_recipes_give(rs, r);
	apw_recipes_forget(rs);
	r = take(rs, "fv1", "pl1");
	assert_false(r->complete);
	apw_recipes_give(rs, r);
	apw_recipes_give(rs, NULL);
	apw_recipes_free(rs);
}

static void
test_not_fixed(void **state)
{
	struct apw_recipes	*rs = apw_recipes_new();
	struct apw_recipe	*r = take(rs, "draft", "pl1");

	(void)state;
	r->complete = true;
	apw_recipes_give(rs, r);
	r = take(rs, "draft", "pl1");
	assert_false(r->complete);
	r->fixed = true;			/* but broken off */
	apw_recipes_give(rs, r);
	r = take(rs, "draft", "pl1");
	assert_false(r->fixed);
	apw_recipes_give(rs, r);
	apw_recipes_free(rs);
}

static int
kept(struct apw_recipes *rs, int n)
{
	struct apw_recipe	*r;
	char			 id[16];
	int			 i, found = 0;

	for (i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "fv%d", i);
		r = take(rs, id, "pl1");
		found += r->complete;
		apw_recipes_give(rs, r);
	}
	return found;
}

static void
test_bounds(void **state)
{
	struct apw_recipes	*rs = apw_recipes_new();
	char			 id[16];
	int			 i;

	(void)state;
	for (i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "fv%d", i);
		finish(rs, take(rs, id, "pl1"), 10);
	}
	assert_int_equal(kept(rs, 100), 16);
	apw_recipes_forget(rs);
	for (i = 0; i < 10; i++) {		/* large ones push each other out */
		snprintf(id, sizeof(id), "fv%d", i);
		finish(rs, take(rs, id, "pl1"), 900 * 1024);
	}
	i = kept(rs, 10);
	assert_true(i >= 1 && i <= 4);
	apw_recipes_free(rs);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_remembers),
		cmocka_unit_test(test_not_fixed),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
