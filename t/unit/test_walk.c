/* The walk over flow versions: pieces and code steps in the order of the
 * flow, whatever the nesting; nonsense is refused, depth is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "job/walk.h"

static struct apw_arena	*arena;

static int
setup(void **state)
{
	(void)state;
	arena = apw_arena_new();
	return arena == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	apw_arena_free(arena);
	return 0;
}

static int
walk(const char *text, struct apw_walk *w)
{
	struct apw_err	err = APW_ERR_NONE;
	int		rv = apw_walk(arena, apw_str_c(text), w, &err);

	assert_int_equal(rv == -1, err.text[0] != '\0');
	return rv;
}

#define PIECE(name, version)						\
	"\"settings\":{\"pieceName\":\"" name "\",\"pieceVersion\":\""	\
	version "\",\"input\":{\"nextAction\":{\"type\":\"CODE\"}}}"
#define CODE(code)							\
	"\"settings\":{\"input\":{},\"sourceCode\":{\"packageJson\":\"{}\"," \
	"\"code\":\"" code "\"}}"

static void
test_all_links(void **state)
{
	struct apw_walk	w;

	(void)state;
	assert_int_equal(walk("{\"id\":\"fv1\",\"state\":\"LOCKED\",\"trigger\":"
	    "{\"name\":\"trigger\",\"type\":\"PIECE_TRIGGER\","
	    PIECE("@activepieces/piece-webhook", "0.1.29") ",\"nextAction\":"
	    "{\"type\":\"LOOP_ON_ITEMS\",\"name\":\"step_1\",\"settings\":{},"
	    "\"firstLoopAction\":{\"name\":\"a\",\"type\":\"CODE\"," CODE("A")
	    ",\"nextAction\":null},\"nextAction\":"
	    "{\"name\":\"step_2\",\"type\":\"ROUTER\",\"settings\":{},"
	    "\"children\":[null,{\"name\":\"b\",\"type\":\"CODE\"," CODE("B")
	    "},{\"name\":\"c\",\"type\":\"PIECE\","
	    PIECE("piece-x", "~1.2.3") "}],\"nextAction\":"
	    "{\"name\":\"d\",\"type\":\"PIECE\","
	    PIECE("@activepieces/piece-webhook", "0.1.29")
	    ",\"continueOnFailureBranches\":{\"onSuccess\":{\"name\":\"e\","
	    "\"type\":\"CODE\"," CODE("E") "},\"onFailure\":{\"name\":\"f\","
	    "\"type\":\"CODE\"," CODE("F") "}},\"displayName\":\"d\"}}}}}",
	    &w), 0);
	assert_int_equal(w.steps, 9);
	assert_true(apw_str_is(w.id, "\"fv1\""));
	assert_true(apw_str_is(w.state, "\"LOCKED\""));
	assert_int_equal(w.npieces, 2);		/* the webhook once */
	assert_string_equal(w.pieces[0].name, "@activepieces/piece-webhook");
	assert_string_equal(w.pieces[0].version, "0.1.29");
	assert_string_equal(w.pieces[1].name, "piece-x");
	assert_string_equal(w.pieces[1].version, "~1.2.3");
	assert_int_equal(w.ncodes, 4);
	assert_string_equal(w.codes[0].step, "a");
	assert_string_equal(w.codes[1].step, "b");
	assert_string_equal(w.codes[2].step, "e");
	assert_string_equal(w.codes[3].step, "f");
	assert_true(apw_str_is(w.codes[1].code, "B"));
	assert_true(apw_str_is(w.codes[1].package_json, "{}"));
	assert_true(apw_str_is(w.codes[1].source,
	    "{\"packageJson\":\"{}\",\"code\":\"B\"}"));
}

/* What is named after a step comes after it, in any order of members; white
 * space and escapes are JSON's. */
/* Tools of agents come last, each once, and only from steps that are
 * pieces; what is no tool is left alone. */
static void
test_agents(void **state)
{
	struct apw_walk	w;

	(void)state;
	assert_int_equal(walk("{\"trigger\":{\"name\":\"trigger\","
	    "\"type\":\"EMPTY\",\"settings\":{\"input\":{\"agentTools\":"
	    "[{\"pieceMetadata\":{\"pieceName\":\"no\",\"pieceVersion\":"
	    "\"1.0.0\"}}]}},\"nextAction\":{\"name\":\"step_1\",\"type\":"
	    "\"PIECE\",\"settings\":{\"input\":{\"prompt\":[{\"a\":1}],"
	    "\"agentTools\":[7,null,[],{},{\"type\":\"FLOW\"},"
	    "{\"pieceMetadata\":\"x\"},{\"pieceMetadata\":{\"pieceName\":1,"
	    "\"pieceVersion\":{}}},{\"pieceMetadata\":{\"pieceName\":"
	    "\"half\"}},{\"type\":\"PIECE\",\"pieceMetadata\":{"
	    "\"actionName\":\"send\",\"pieceVersion\":\"2.0.0\","
	    "\"pieceName\":\"tool\"}},{\"pieceMetadata\":{\"pieceName\":"
	    "\"ai\",\"pieceVersion\":\"1.0.0\"}},{\"pieceMetadata\":{"
	    "\"pieceName\":\"tool\",\"pieceVersion\":\"2.0.0\"}}]},"
	    "\"pieceName\":\"ai\",\"pieceVersion\":\"1.0.0\"},"
	    "\"nextAction\":{\"name\":\"step_2\",\"type\":\"PIECE\","
	    PIECE("last", "3.0.0") "}}}}", &w), 0);
	assert_int_equal(w.npieces, 3);
	assert_string_equal(w.pieces[0].name, "ai");
	assert_false(w.pieces[0].of_agent);
	assert_string_equal(w.pieces[1].name, "last");
	assert_string_equal(w.pieces[2].name, "tool");
	assert_string_equal(w.pieces[2].version, "2.0.0");
	assert_true(w.pieces[2].of_agent);
	/* a list that is none */
	assert_int_equal(walk("{\"trigger\":{\"type\":\"PIECE\",\"settings\":"
	    "{\"input\":{\"agentTools\":{\"a\":1}},\"pieceName\":\"p\","
	    "\"pieceVersion\":\"1.0.0\"}}}", &w), 0);
	assert_int_equal(w.npieces, 1);
}

static void
test_spelling(void **state)
{
	struct apw_walk	w;

	(void)state;
	assert_int_equal(walk(" { \"trigger\" : { \"nextAction\" : { \"settings\""
	    " : { \"sourceCode\" : {\"code\":\"x\\n\\u00e9\"} } , \"type\" :"
	    " \"CODE\" , \"na\\u006de\" : \"s1\" } , \"type\" : \"EMPTY\" ,"
	    " \"name\" : \"trigger\" } } ", &w), 0);
	assert_int_equal(w.ncodes, 1);
	assert_string_equal(w.codes[0].step, "s1");
	assert_true(apw_str_is(w.codes[0].code, "x\n\xc3\xa9"));
	assert_true(apw_str_is(w.codes[0].package_json, ""));
}

static void
test_refused(void **state)
{
	static const char *const	bad[] = {
		"", "null", "[]", "{", "{}", "{\"trigger\":null}",
		"{\"trigger\":{\"type\":\"CODE\",\"name\":\"../x\"," CODE("") "}}",
		"{\"trigger\":{\"type\":\"CODE\",\"name\":\"a b\"," CODE("") "}}",
		"{\"trigger\":{\"type\":\"CODE\",\"name\":\"a\\u0000\"," CODE("")
		    "}}",
		"{\"trigger\":{\"type\":\"CODE\"," CODE("") "}}",
		"{\"trigger\":{\"type\":\"CODE\",\"name\":\"a\"}}",
		"{\"trigger\":{\"type\":\"PIECE\",\"name\":\"a\"}}",
		("{\"trigger\":{\"type\":\"PIECE\",\"name\":\"a\",\"settings\":"
		    "{\"pieceName\":7,\"pieceVersion\":\"1\"}}}"),
		"{\"trigger\":{\"type\":\"CODE\" \"name\":\"a\"}}",
		"{\"trigger\":{\"type\":\"CODE\",}}",
		"{\"trigger\":{\"nextAction\":{}}",
	};
	struct apw_walk	w;
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(bad); i++)
		if (walk(bad[i], &w) != -1)
			fail_msg("taken: %s", bad[i]);
}

static void
nest(struct apw_buf *b, size_t n)
{
	size_t	i;

	apw_buf_puts(b, "{\"trigger\":{\"type\":\"EMPTY\",\"name\":\"t\"");
	for (i = 1; i < n; i++)
		apw_buf_printf(b, ",\"nextAction\":{\"type\":\"CODE\","
		    "\"name\":\"s%zu\"," CODE("export const code = 1;"), i);
	for (i = 0; i <= n; i++)
		apw_buf_puts(b, "}");
}

static void
test_depth(void **state)
{
	struct apw_buf	b = APW_BUF_INIT(0);
	struct apw_walk	w;

	(void)state;
	nest(&b, APW_WALK_STEPS_MAX);
	assert_int_equal(walk(b.data, &w), 0);
	assert_int_equal(w.ncodes, APW_WALK_STEPS_MAX - 1);
	assert_string_equal(w.codes[0].step, "s1");
	apw_buf_reset(&b);
	nest(&b, APW_WALK_STEPS_MAX + 1);
	assert_int_equal(walk(b.data, &w), -1);
	apw_buf_free(&b);
}

/* Every prefix of a version is refused or walked, never read beyond. */
static void
test_truncated(void **state)
{
	struct apw_buf	b = APW_BUF_INIT(0);
	struct apw_walk	w;
	struct apw_err	err;
	size_t		n;
	char		*copy;

	(void)state;
	nest(&b, 3);
	for (n = 0; n < b.len; n++) {
		copy = malloc(n == 0 ? 1 : n);	/* exact, for the sanitizer */
		assert_non_null(copy);
		memcpy(copy, b.data, n);
		assert_int_equal(apw_walk(arena, (struct apw_str){ copy, n },
		    &w, &err), -1);
		free(copy);
	}
	apw_buf_free(&b);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest	tests[] = {
		TEST(test_all_links),
		TEST(test_agents),
		TEST(test_spelling),
		TEST(test_refused),
		TEST(test_depth),
		TEST(test_truncated),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
