/* Places an order in the real stock, as a slot would: JSON on stdin, the
 * outcome as JSON on stdout.  For the tests of the room `stock`.
 *
 *	{ "stock": { "path", "installer", "installer_path", "bundler",
 *	    "bundler_path", "install_timeout_ms", "build_timeout_ms",
 *	    "negative_ttl_ms", "registry", "npmrc", "max_bytes",
 *	    "jail": false, or "landlock", "require"; else on,
 *	    "build_memory", "build_disk",
 *	    "proxy", "no_proxy", "registry_hosts" },
 *	  "engine": "main.js", "node": "/usr/bin/node",
 *	  "flow_version_id", "platform_id", "packages", "release",
 *	  "per_platform",
 *	  "background",
 *	  "codes": [ { "step", "packageJson", "code" } ],
 *	  "pieces": [ { "packageType", "pieceType", "pieceName",
 *	    "pieceVersion", "archiveId", "platformId" } ],
 *	  "repeat": times the order is placed, one after the other,
 *	  "cancel": cancel it when this file is there,
 *	  "until": stay until this file is there,
 *	  "archive": file to put for the first piece,
 *	  "code_folder": in place of the flow version's,
 *	  "sweep": then take actions' code away, as a slot does now and then }
 */
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_clock.h"
#include "stock/stock_priv.h"

struct run {
	struct event_base	*base;
	struct apw_stock	*stock;
	struct apw_stock_order	 order;
	struct apw_stock_ticket	*ticket;
	int64_t			 from_us;
	json_t			*out;
	long long		 left;
	const char		*until;		/* a file; NULL: leave at once */
	const char		*cancel;	/* a file; NULL: never */
	bool			 inside;	/* of apw_stock_order() */
	bool			 sweep;
};

static const char *
text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int64_t
number(json_t *o, const char *key, int64_t dflt)
{
	json_t	*v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : dflt;
}

static char *
copy(const char *s)
{
	return s == NULL ? NULL : strdup(s);
}

static void place(struct run *);

static void
on_done(void *arg, enum apw_stock_fault fault, const struct apw_err *err)
{
	static const char *const names[] = {
		[APW_STOCK_OK] = "OK", [APW_STOCK_USER] = "USER",
		[APW_STOCK_OURS] = "OURS", [APW_STOCK_HOST] = "HOST",
		[APW_STOCK_YIELDED] = "YIELDED",
	};
	struct run	*r = arg;
	char		 generation[32];

	json_array_append_new(json_object_get(r->out, "us"),
	    json_integer(apw_now_us() - r->from_us));
	json_object_set_new(r->out, "fault", json_string(names[fault]));
	json_object_set_new(r->out, "early", json_boolean(r->inside));
	json_object_set_new(r->out, "error", fault == APW_STOCK_OK ?
	    json_null() : json_string(err->text));
	snprintf(generation, sizeof(generation), "%016llx",
	    (unsigned long long)apw_stock_generation(r->stock));
	json_object_set_new(r->out, "generation", json_string(generation));
	r->ticket = NULL;
	if (--r->left > 0 && fault == APW_STOCK_OK)
		place(r);
	else {
		r->left = 0;
		if (r->sweep && !stock_chore(r->stock, stock_actions_sweep))
			exit(2);
		if (r->until == NULL && !r->sweep)
			event_base_loopbreak(r->base);
	}
}

static void
place(struct run *r)
{
	r->from_us = apw_now_us();
	r->inside = true;
	r->ticket = apw_stock_order(r->stock, &r->order, on_done, r);
	r->inside = false;
	if (r->ticket == NULL)
		exit(2);
}

/* Stay, as a slot does, or cancel, when a file appears. */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct run	*r = arg;

	(void)fd;
	(void)what;
	if (r->left <= 0 && r->sweep && !r->stock->tidying)
		event_base_loopbreak(r->base);
	if (r->left <= 0 && r->until != NULL && access(r->until, F_OK) == 0)
		event_base_loopbreak(r->base);
	if (r->ticket == NULL || r->cancel == NULL ||
	    access(r->cancel, F_OK) == -1)
		return;
	apw_stock_cancel(r->ticket);
	r->ticket = NULL;
	json_object_set_new(r->out, "fault", json_string("CANCELLED"));
	event_base_loopbreak(r->base);
}

static void
read_one(struct apw_strlist *list, const char *value)
{
	if (value == NULL)
		return;
	list->v = calloc(2, sizeof(char *));
	list->v[0] = copy(value);
	list->n = 1;
}

static void
read_conf(struct apw_cycle *c, json_t *in)
{
	json_t			*s = json_object_get(in, "stock");
	struct apw_stock_conf	*conf = &c->stock;
	const char		*tool;

	c->engine.bundle = copy(text(in, "engine"));
	c->engine.node = copy(text(in, "node"));
	conf->path = copy(text(s, "path"));
	tool = text(s, "installer");
	conf->installer = tool != NULL && strcmp(tool, "npm") == 0 ?
	    APW_INSTALLER_NPM : APW_INSTALLER_BUN;
	tool = text(s, "bundler");
	conf->bundler = tool != NULL && strcmp(tool, "bun") == 0 ?
	    APW_BUNDLER_BUN : APW_BUNDLER_ESBUILD;
	conf->installer_path = copy(text(s, "installer_path"));
	conf->bundler_path = copy(text(s, "bundler_path"));
	conf->registry = copy(text(s, "registry"));
	conf->proxy = copy(text(s, "proxy"));
	read_one(&conf->no_proxy, text(s, "no_proxy"));
	read_one(&conf->registry_hosts, text(s, "registry_hosts"));
	conf->npmrc = copy(text(s, "npmrc"));
	conf->install_timeout_ms = number(s, "install_timeout_ms", 120000);
	conf->build_timeout_ms = number(s, "build_timeout_ms", 60000);
	conf->negative_ttl_ms = number(s, "negative_ttl_ms", 30000);
	conf->build_memory = number(s, "build_memory", 0);
	conf->build_disk = number(s, "build_disk", 0);
	conf->max_bytes = number(s, "max_bytes", 0);
	tool = text(s, "jail");
	conf->jail = json_is_false(json_object_get(s, "jail")) ?
	    APW_JAIL_OFF : tool == NULL ? APW_JAIL_ON :
	    strcmp(tool, "landlock") == 0 ? APW_JAIL_LANDLOCK :
	    APW_JAIL_REQUIRE;
}

static void
read_codes(struct apw_stock_order *o, json_t *list)
{
	struct apw_stock_code	*codes = calloc(json_array_size(list) + 1,
	    sizeof(*codes));
	json_t			*v, *source;
	size_t			 i;

	json_array_foreach(list, i, v) {
		codes[i].memo = calloc(1, APW_STOCK_MEMO);
		codes[i].step = copy(text(v, "step"));
		codes[i].package_json = apw_str_c(copy(text(v, "packageJson")));
		codes[i].code = apw_str_c(copy(text(v, "code")));
		source = json_pack("{s:O?,s:O?}", "packageJson",
		    json_object_get(v, "packageJson"), "code",
		    json_object_get(v, "code"));
		codes[i].source = apw_str_c(json_dumps(source, JSON_COMPACT));
		json_decref(source);
	}
	o->codes = codes;
	o->ncodes = json_array_size(list);
}

static void
read_pieces(struct apw_stock_order *o, json_t *list)
{
	struct apw_stock_piece	*pieces = calloc(json_array_size(list) + 1,
	    sizeof(*pieces));
	json_t			*v;
	size_t			 i;

	json_array_foreach(list, i, v) {
		pieces[i].package_type = copy(text(v, "packageType"));
		pieces[i].piece_type = copy(text(v, "pieceType"));
		pieces[i].name = copy(text(v, "pieceName"));
		pieces[i].version = copy(text(v, "pieceVersion"));
		pieces[i].archive_id = copy(text(v, "archiveId"));
		pieces[i].platform_id = copy(text(v, "platformId"));
	}
	o->pieces = pieces;
	o->npieces = json_array_size(list);
}

static void
put_archive(struct run *r, const char *path)
{
	static char	tgz[1 << 20];
	struct apw_err	err = APW_ERR_NONE;
	FILE		*f = fopen(path, "r");
	size_t		 n = f == NULL ? 0 : fread(tgz, 1, sizeof(tgz), f);

	if (f != NULL)
		fclose(f);
	json_object_set_new(r->out, "had_archive", json_boolean(
	    apw_stock_archive_has(r->stock, r->order.pieces,
	    r->order.per_platform)));
	if (apw_stock_archive_put(r->stock, r->order.pieces,
	    r->order.per_platform, (struct apw_str){ tgz, n }, &err) == -1)
		json_object_set_new(r->out, "archive_error",
		    json_string(err.text));
}

int
main(void)
{
	json_error_t		 why;
	json_t			*in = json_loadf(stdin, JSON_ALLOW_NUL, &why);
	struct apw_cycle	*cycle = calloc(1, sizeof(*cycle));
	struct apw_err		 err = APW_ERR_NONE;
	struct run		 r = { .out = json_pack("{s:[]}", "us") };
	struct event		*look;

	if (in == NULL) {
		fprintf(stderr, "stock-tool: %s\n", why.text);
		return 2;
	}
	apw_log_open("stderr", APW_LOG_INFO, APW_LOG_TEXT, NULL);
	apw_log_room("stock-tool");
	r.base = event_base_new();
	read_conf(cycle, in);
	r.order.flow_version_id = copy(text(in, "flow_version_id"));
	r.order.code_folder = copy(text(in, "code_folder"));
	r.sweep = json_is_true(json_object_get(in, "sweep"));
	r.order.platform_id = copy(text(in, "platform_id"));
	r.order.packages = json_is_true(json_object_get(in, "packages"));
	r.order.release = number(in, "release", 0);
	r.order.per_platform = json_is_true(json_object_get(in,
	    "per_platform"));
	r.order.background = json_is_true(json_object_get(in, "background"));
	read_codes(&r.order, json_object_get(in, "codes"));
	read_pieces(&r.order, json_object_get(in, "pieces"));
	r.left = number(in, "repeat", 1);
	if (apw_stock_begin(cycle, 1, &err) == -1)
		fprintf(stderr, "stock-tool: %s\n", err.text);
	r.stock = apw_stock_open(r.base, cycle, &err);
	if (r.stock == NULL) {
		json_object_set_new(r.out, "fault", json_string("OPEN"));
		json_object_set_new(r.out, "error", json_string(err.text));
		json_dumpf(r.out, stdout, JSON_COMPACT);
		fflush(stdout);
		_Exit(1);
	}
	if (text(in, "archive") != NULL)
		put_archive(&r, text(in, "archive"));
	r.until = text(in, "until");
	r.cancel = text(in, "cancel");
	place(&r);
	look = event_new(r.base, -1, EV_PERSIST, on_look, &r);
	event_add(look, &(struct timeval){ .tv_usec = 10000 });
	event_base_dispatch(r.base);
	event_free(look);
	json_object_set_new(r.out, "engine",
	    json_string(apw_stock_engine(r.stock)));
	apw_stock_close(r.stock);
	apw_stock_finish();
	event_base_free(r.base);
	json_dumpf(r.out, stdout, JSON_COMPACT);
	fflush(stdout);
	_Exit(0);	/* its small copies are not worth a leak report */
}
