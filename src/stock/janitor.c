/* The janitor: keeps the stock below `max_size`.  Room: stock, a keeper of its
 * own at low priority, started after something new came in.  The tools' caches
 * go first, then what was used longest ago; never what is in use, by whatever
 * daemon, nor the engine. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define JANITOR_ROUNDS	64
#define IOPRIO_IDLE	(3 << 13)
#define IOPRIO_PROCESS	1

static uint64_t
goal(const struct stock_keeper *k)
{
	/* some room, so that the next install does not bring us back */
	return k->stock->cycle->stock.max_bytes / 10 * 9;
}

/* Under the exclusive lock nobody is between his list and his look. */
static int
take_away(struct stock_keeper *k, struct stock_staging *st, const char *entry,
    const char *as)
{
	apw_autofd int	lock = -1;

	if (stock_use_lock(k, LOCK_EX, &lock) == -1 ||
	    stock_use_has(k->stock, entry))
		return -1;
	return renameat(k->stock->root_fd, entry, st->fd, as);
}

bool
stock_evict(struct stock_keeper *k, struct stock_staging *st,
    const char *entry)
{
	char		folder[STOCK_PATH_BYTES];
	apw_autofd int	lock = -1;

	/* somebody makes it right now: not the one to take */
	if (stock_lock(k, entry, 0, &lock, NULL) == -1 ||
	    take_away(k, st, entry, "entry") == -1)
		return false;
	stock_tree_remove(st->fd, "entry");
	/* its flow version's folder, when it was the last */
	snprintf(folder, sizeof(folder), "%s", entry);
	*strrchr(folder, '/') = '\0';
	if (strncmp(folder, "codes/", 6) == 0)
		unlinkat(k->stock->root_fd, folder, AT_REMOVEDIR);
	apw_debug("entry removed", APW_S("entry", entry));
	return true;
}

/* A tenth of what could go, the longest unused first. */
static unsigned
evict_some(struct stock_keeper *k, struct stock_staging *st)
{
	struct stock_entries	list;
	unsigned		gone = 0, want;
	size_t			i;

	stock_entries_find(k, &list);
	want = list.n / 10 + 1;
	for (i = 0; i < list.n && gone < want &&
	    stock_keeper_sleep(k, 0) == 0; i++)
		gone += stock_evict(k, st, list.v[i].path);
	stock_entries_free(&list);
	return gone;
}

static void
tidy(struct stock_keeper *k, struct stock_staging *st)
{
	uint64_t	before = stock_measure(k), now = before;
	unsigned	gone = 0, some, round;

	if (k->cancelled || before <= k->stock->cycle->stock.max_bytes)
		return;
	stock_caches_drop(k, st);
	now = stock_measure(k);
	for (round = 0; now > goal(k) && !k->cancelled &&
	    round < JANITOR_ROUNDS; round++) {
		some = evict_some(k, st);
		gone += some;
		stock_gc(k, st);
		now = stock_measure(k);
		if (some == 0)
			break;
	}
	if (k->cancelled)
		return;
	apw_info("stock tidied", APW_I("before_bytes", before),
	    APW_I("bytes", now), APW_I("entries", gone));
	if (now > k->stock->cycle->stock.max_bytes)
		apw_warn("the stock is larger than max_size, and all of it is "
		    "in use", APW_I("bytes", now));
}

enum apw_stock_fault
stock_janitor(struct stock_keeper *k, void *arg, struct apw_err *err)
{
	struct stock_staging	st;
	apw_autofd int		lock = -1;

	(void)arg;
	(void)!nice(10);
	syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
	/* one a host is enough */
	if (stock_lock(k, "janitor", 0, &lock, err) == -1 ||
	    stock_staging_begin(k, &st, err) == -1)
		return APW_STOCK_OURS;
	tidy(k, &st);
	stock_staging_end(&st);
	return APW_STOCK_OK;
}
