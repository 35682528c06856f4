/* Flow versions in the stock: flows/ID/RELEASE.json.  Room: stock, slot.  Only
 * LOCKED ones, which never change while the app's release stays the same; a
 * new release may migrate them, so the release is part of the name.  Without
 * a release nothing is kept: the source is a directory, where a flow of the
 * same id may be another one tomorrow. */
#include "stock/stock_priv.h"

#include <jansson.h>
#include <stdio.h>

static int
flow_place(const struct apw_stock *stock, const char *id, char *folder,
    size_t folder_size, char *name, size_t name_size)
{
	if (!apw_str_is_segment(apw_str_c(id)))
		return -1;
	snprintf(folder, folder_size, "flows/%s", id);
	snprintf(name, name_size, "apw-%s.json", stock->release);
	return 0;
}

void
apw_stock_release(struct apw_stock *stock, const char *app_version)
{
	struct apw_str	s = apw_str_c(app_version);

	APW_ASSERT(stock != NULL);
	if (s.n >= sizeof(stock->release) || !apw_str_is_segment(s))
		s = APW_STR("");
	memcpy(stock->release, s.p, s.n);
	stock->release[s.n] = '\0';
}

int
apw_stock_flow_get(struct apw_stock *stock, const char *id,
    struct apw_buf *out, struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES], name[128];

	if (flow_place(stock, id, folder, sizeof(folder), name,
	    sizeof(name)) == -1)
		return apw_err_set(err, 0, "bad flow version id");
	if (stock->release[0] == '\0')
		return 0;
	stock_flow_touch(stock, id);
	return stock_text_get(stock, folder, name, out, err);
}

void
stock_flow_touch(struct apw_stock *stock, const char *id)
{
	char	folder[STOCK_PATH_BYTES], name[128];
	char	rel[STOCK_PATH_BYTES + 132];

	if (id == NULL || stock->release[0] == '\0' || flow_place(stock, id,
	    folder, sizeof(folder), name, sizeof(name)) == -1)
		return;
	snprintf(rel, sizeof(rel), "%s/%s", folder, name);
	stock_use_touch(stock, rel);
}

/* Is it what its name will say? */
static bool
flow_may_stay(const char *id, struct apw_str json)
{
	json_t		*root = json_loadb(json.p, json.n,
	    JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
	const char	*state = json_string_value(json_object_get(root,
	    "state"));
	const char	*own = json_string_value(json_object_get(root, "id"));
	bool		 may = state != NULL && strcmp(state, "LOCKED") == 0 &&
	    own != NULL && strcmp(own, id) == 0;

	json_decref(root);
	return may;
}

int
apw_stock_flow_put(struct apw_stock *stock, const char *id,
    struct apw_str json, struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES], name[128];

	if (flow_place(stock, id, folder, sizeof(folder), name,
	    sizeof(name)) == -1)
		return apw_err_set(err, 0, "bad flow version id");
	if (stock->release[0] == '\0' || !flow_may_stay(id, json))
		return 0;
	return stock_text_put(stock, folder, name, json, err);
}
