/* Code of steps that are run for themselves (EXECUTE_ACTION):
 * codes/action-runs/PLATFORM_HASH/STEP/index.js.  Room: stock; used by the slot,
 * swept by a keeper.
 *
 * Whoever tries something out leaves a folder for each version of his code, and
 * comes back to few of them.  So the folder's time is the time of its last use,
 * and what is old goes, whatever the size of the stock. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_clock.h"
#include "core/apw_find.h"

#define ACTIONS_DIR		"codes/" STOCK_ACTIONS
#define ACTIONS_FIRST_S		60		/* after a start */
#define ACTIONS_EACH_S		1800
#define ACTIONS_OLD_S		7200
#define ACTIONS_ACTIVE_S	900		/* never taken as too many */
#define ACTIONS_MAX		200

struct action {
	char	*name;		/* owned */
	int64_t	 used;		/* seconds */
};

struct actions {
	struct action	*v;	/* owned */
	size_t		 n, cap;
};

int
apw_stock_action_folder(const char *platform_id, struct apw_str source,
    char out[APW_STOCK_FOLDER])
{
	unsigned char	digest[EVP_MAX_MD_SIZE];
	unsigned	size = 0, i;
	size_t		n;

	if (platform_id == NULL ||
	    !apw_str_is_segment(apw_str_c(platform_id)) ||
	    strlen(platform_id) > 128 || EVP_Digest(source.p, source.n, digest,
	    &size, EVP_sha256(), NULL) != 1)
		return -1;
	snprintf(out, APW_STOCK_FOLDER, STOCK_ACTIONS "/%s_", platform_id);
	n = strlen(out);
	for (i = 0; i < size; i++)
		snprintf(out + n + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

bool
stock_is_code_folder(const char *folder)
{
	const size_t	n = sizeof(STOCK_ACTIONS "/") - 1;

	if (folder == NULL)
		return false;
	if (strncmp(folder, STOCK_ACTIONS "/", n) == 0)
		return apw_str_is_segment(apw_str_c(folder + n));
	return strcmp(folder, STOCK_ACTIONS) != 0 &&
	    apw_str_is_segment(apw_str_c(folder));
}

const char *
stock_order_codes(const struct apw_stock_order *o)
{
	return o->code_folder != NULL ? o->code_folder : o->flow_version_id;
}

/* --- in the slot --- */

static void
actions_on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval	soon = { ACTIONS_FIRST_S, 0 };
	static const struct timeval	later = { ACTIONS_EACH_S, 0 };
	struct apw_stock		*stock = arg;

	(void)fd;
	(void)what;
	event_add(stock->sweep, !stock_exists(stock->root_fd, ACTIONS_DIR) ||
	    stock_chore(stock, stock_actions_sweep) ? &later : &soon);
}

static void
actions_arm(struct apw_stock *stock)
{
	static const struct timeval	first = { ACTIONS_FIRST_S, 0 };

	if (stock->sweep == NULL && (stock->sweep = evtimer_new(stock->base,
	    actions_on_timer, stock)) != NULL)
		event_add(stock->sweep, &first);
}

void
stock_actions_open(struct apw_stock *stock)
{
	if (stock_exists(stock->root_fd, ACTIONS_DIR))
		actions_arm(stock);
}

void
stock_actions_close(struct apw_stock *stock)
{
	if (stock->sweep != NULL)
		event_free(stock->sweep);
	stock->sweep = NULL;
}

void
stock_actions_use(struct apw_stock *stock, const struct apw_stock_order *o)
{
	char	rel[STOCK_PATH_BYTES];

	if (o->code_folder == NULL)
		return;
	snprintf(rel, sizeof(rel), "codes/%s", o->code_folder);
	utimensat(stock->root_fd, rel, NULL, AT_SYMLINK_NOFOLLOW);
	actions_arm(stock);
}

/* --- in a keeper --- */

static int
actions_used(const struct stock_keeper *k, const char *name, int64_t *used)
{
	char		rel[STOCK_PATH_BYTES];
	struct stat	st;

	if (snprintf(rel, sizeof(rel), ACTIONS_DIR "/%s", name) >=
	    (int)sizeof(rel) || fstatat(k->stock->root_fd, rel, &st,
	    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISDIR(st.st_mode))
		return -1;
	*used = st.st_mtim.tv_sec;
	return 0;
}

static void
actions_add(struct actions *list, const char *name, int64_t used)
{
	size_t		 cap = list->cap == 0 ? 64 : 2 * list->cap;
	struct action	*v = list->v;

	if (list->n == list->cap) {
		if ((v = reallocarray(v, cap, sizeof(*v))) == NULL)
			return;
		list->v = v;
		list->cap = cap;
	}
	v[list->n] = (struct action){ strdup(name), used };
	list->n += v[list->n].name != NULL;
}

static int
by_use(const void *a, const void *b)
{
	const struct action	*x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}

/* The longest unused first. */
static void
actions_find(const struct stock_keeper *k, struct actions *list)
{
	DIR		*dir = apw_opendirat(k->stock->root_fd, ACTIONS_DIR);
	struct dirent	*e;
	int64_t		 used;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' &&
		    actions_used(k, e->d_name, &used) == 0)
			actions_add(list, e->d_name, used);
	closedir(dir);
	if (list->n > 0)
		qsort(list->v, list->n, sizeof(*list->v), by_use);
}

/* Step by step, as nobody holds what is between them; a step that somebody
 * uses or makes right now stays, and with it the folder. */
static bool
actions_remove(struct stock_keeper *k, struct stock_staging *st,
    const struct action *a)
{
	char		 folder[STOCK_PATH_BYTES], entry[2 * STOCK_PATH_BYTES];
	DIR		*dir;
	struct dirent	*e;
	int64_t		 used;

	if (actions_used(k, a->name, &used) == -1 || used != a->used)
		return false;		/* used meanwhile */
	snprintf(folder, sizeof(folder), ACTIONS_DIR "/%.255s", a->name);
	if ((dir = apw_opendirat(k->stock->root_fd, folder)) == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(entry, sizeof(entry), "%s/%s", folder, e->d_name);
		stock_evict(k, st, entry);
	}
	closedir(dir);
	unlinkat(k->stock->root_fd, folder, AT_REMOVEDIR);
	return actions_used(k, a->name, &used) == -1;
}

static void
actions_tidy(struct stock_keeper *k, struct stock_staging *st)
{
	struct actions	list = { .n = 0 };
	int64_t		now = apw_wall_ms() / 1000;
	size_t		i, gone = 0;

	actions_find(k, &list);
	for (i = 0; i < list.n && stock_keeper_sleep(k, 0) == 0; i++)
		if (list.v[i].used < now - ACTIONS_OLD_S ||
		    (list.n - gone > ACTIONS_MAX &&
		    list.v[i].used < now - ACTIONS_ACTIVE_S))
			gone += actions_remove(k, st, &list.v[i]);
	if (gone > 0)
		apw_info("code of actions removed", APW_I("gone", gone),
		    APW_I("left", list.n - gone));
	while (list.n > 0)
		free(list.v[--list.n].name);
	free(list.v);
}

enum apw_stock_fault
stock_actions_sweep(struct stock_keeper *k, void *arg, struct apw_err *err)
{
	struct stock_staging	st;

	(void)arg;
	(void)!nice(10);
	/* two at the same time are no harm */
	if (stock_staging_begin(k, &st, err) == -1)
		return APW_STOCK_OURS;
	actions_tidy(k, &st);
	stock_staging_end(&st);
	return APW_STOCK_OK;
}
