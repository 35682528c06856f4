/* What one build has put on the disk, against `build_disk`.  Room: stock,
 * keeper, while a tool runs and once when it has ended well.  No quota: the
 * build's staging directory is walked, and what is new in its cache, seldom
 * enough to cost little. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <fcntl.h>

#include "core/apw_clock.h"
#include "core/apw_find.h"

#define DISK_FIRST_MS		1000	/* most builds have ended by then */
#define DISK_PART		20	/* of the time, one in so many walks */

struct walk {
	uint64_t	max, bytes;
};

static bool
walk_over(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	DIR		*dir = apw_opendirat(dir_fd, name);
	struct dirent	*e;
	struct stat	 st;
	uint64_t	 bytes;
	bool		 over = depth > STOCK_DISK_DEPTH;

	if (dir == NULL)
		return over;
	while (!over && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 || fstatat(dirfd(dir),
		    e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		bytes = (uint64_t)st.st_blocks * 512;
		w->bytes += bytes < STOCK_DISK_ENTRY ? STOCK_DISK_ENTRY :
		    bytes;
		over = w->bytes > w->max || (S_ISDIR(st.st_mode) &&
		    walk_over(w, dirfd(dir), e->d_name, depth + 1));
	}
	closedir(dir);
	return over;
}

void
stock_disk_begin(struct stock_disk *disk, const struct stock_cache *cache)
{
	disk->cache = cache;
	disk->next_ms = apw_now_ms() + DISK_FIRST_MS;
}

bool
stock_disk_over(const struct apw_stock *stock, const char *staging,
    struct stock_disk *disk, bool at_end)
{
	struct walk	w = { .max = stock->cycle->stock.build_disk };
	int64_t		from_ms = apw_now_ms(), took_ms;
	bool		over;

	if (w.max == 0 || (!at_end && from_ms < disk->next_ms))
		return false;
	over = walk_over(&w, AT_FDCWD, staging, 0) || (disk->cache != NULL &&
	    stock_cache_bytes(disk->cache, w.max - w.bytes) > w.max - w.bytes);
	took_ms = apw_now_ms() - from_ms;
	disk->next_ms = from_ms + (took_ms * DISK_PART < DISK_FIRST_MS ?
	    DISK_FIRST_MS : took_ms * DISK_PART);
	return over;
}
