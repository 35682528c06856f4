/* Which entries are in use, by whom: one file a slot in .use/, locked by its
 * owner for its life, with the entries of the order in hand.  Room: stock.
 * The janitor of any daemon reads them all before it takes an entry away.
 *
 * A slot writes its list, then looks at the entries under a shared lock of
 * .use/lock; the janitor reads the lists and takes the entry away under an
 * exclusive one.  So either the slot sees the entry gone, or the janitor sees
 * it in the list. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"

#define USE_DIR		".use"
#define USE_LOCK	"lock"
#define USE_LIST_BYTES	((size_t)8 << 20)
#define USE_TOUCH_S	3600	/* how exact "last used" is */

/* Its owner died: he would hold its lock. */
static bool
remove_dead(int dir_fd, const char *name, int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return false;
	unlinkat(dir_fd, name, 0);
	return true;
}

void
stock_use_sweep_one(int dir_fd, const char *name)
{
	apw_autofd int	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_CLOEXEC);

	if (fd != -1 && strchr(name, '-') != NULL)
		remove_dead(dir_fd, name, fd);
}

/* Each start takes away what the dead have left: there are never more lists
 * than slots that live, and those that died since. */
static void
use_sweep(int dir_fd)
{
	DIR		*dir = apw_opendirat(dir_fd, ".");
	struct dirent	*e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			stock_use_sweep_one(dir_fd, e->d_name);
	if (dir != NULL)
		closedir(dir);
}

/* A list of our own, locked; -1 and errno.  Between its making and its lock
 * somebody may have taken it for a dead one's. */
static int
use_make(struct apw_stock *stock, int dir)
{
	struct stat	st;
	uint64_t	random = 0;
	int		tries;

	for (tries = 0; tries < 10; tries++) {
		apw_autofd int	fd = -1;

		(void)!getrandom(&random, sizeof(random), 0);
		snprintf(stock->use_name, sizeof(stock->use_name),
		    "%d-%016llx", (int)getpid(), (unsigned long long)random);
		fd = openat(dir, stock->use_name, O_RDWR | O_CREAT | O_EXCL |
		    O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd == -1)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
		    st.st_nlink != 0)
			return apw_take_fd(&fd);
		unlinkat(dir, stock->use_name, 0);
	}
	errno = EWOULDBLOCK;
	return -1;
}

int
stock_use_open(struct apw_stock *stock, struct apw_err *err)
{
	struct apw_err	why = APW_ERR_NONE;
	apw_autofd int	dir = stock_mkdirs(stock->root_fd, USE_DIR, &why);

	stock->use_list = (struct apw_buf)APW_BUF_INIT(USE_LIST_BYTES);
	stock->use_fd = stock->use_lock_fd = -1;
	/* a read-only stock: nobody takes anything away there */
	if (dir == -1)
		return why.code == EROFS ? 0 : apw_err_set(err, 0, "%s",
		    why.text);
	stock->use_lock_fd = openat(dir, USE_LOCK, O_RDWR | O_CREAT |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	use_sweep(dir);
	stock->use_fd = use_make(stock, dir);
	if (stock->use_fd == -1 && errno == EROFS)
		return 0;
	if (stock->use_lock_fd == -1 || stock->use_fd == -1)
		return apw_err_set(err, errno, "cannot open %s", USE_DIR);
	return 0;
}

void
stock_use_close(struct apw_stock *stock)
{
	apw_autofd int	dir = stock->use_fd == -1 ? -1 :
	    stock_open(stock->root_fd, USE_DIR, O_RDONLY | O_DIRECTORY);

	if (dir != -1)
		unlinkat(dir, stock->use_name, 0);
	if (stock->use_fd != -1)
		close(stock->use_fd);
	if (stock->use_lock_fd != -1)
		close(stock->use_lock_fd);
	apw_buf_free(&stock->use_list);
}

static void
list_order(const struct apw_stock_order *o, struct apw_buf *list)
{
	char	folder[STOCK_PATH_BYTES];
	size_t	i;

	if (o->flow_version_id != NULL)
		apw_buf_printf(list, "flows/%s\n", o->flow_version_id);
	for (i = 0; i < o->ncodes; i++)
		apw_buf_printf(list, "codes/%s/%s\n", stock_order_codes(o),
		    o->codes[i].step);
	for (i = 0; i < o->npieces; i++) {
		if (stock_piece_folder(&o->pieces[i], o->per_platform, folder,
		    sizeof(folder)) == 0)
			apw_buf_printf(list, "%s\n", folder);
		if (stock_meta_folder(o->pieces[i].name, o->pieces[i].version,
		    o->platform_id, folder, sizeof(folder), NULL) == 1)
			apw_buf_printf(list, "%s\n", folder);
	}
}

int
stock_use_begin(struct apw_stock *stock, const struct apw_stock_order *o)
{
	struct apw_buf	list = APW_BUF_INIT(USE_LIST_BYTES);

	if (stock->use_fd == -1)
		return 0;
	list_order(o, &list);
	if (list.failed) {
		apw_buf_free(&list);
		return -1;
	}
	/* the same flow again: what is written stands */
	if (apw_str_eq(apw_buf_view(&list), apw_buf_view(&stock->use_list)))
		apw_buf_free(&list);
	else {
		apw_buf_free(&stock->use_list);
		stock->use_list = list;
		if (ftruncate(stock->use_fd, 0) == -1 ||
		    pwrite(stock->use_fd, list.data == NULL ? "" : list.data,
		    list.len, 0) != (ssize_t)list.len) {
			apw_buf_reset(&stock->use_list);
			return -1;
		}
	}
	return flock(stock->use_lock_fd, LOCK_SH | LOCK_NB);
}

void
stock_use_end(struct apw_stock *stock)
{
	if (stock->use_lock_fd != -1)
		flock(stock->use_lock_fd, LOCK_UN);
}

/* The slot's descriptor would be the slot's lock: a keeper opens its own. */
int
stock_use_lock(struct stock_keeper *k, int how, int *fd)
{
	*fd = stock_open(k->stock->root_fd, USE_DIR "/" USE_LOCK, O_RDONLY);
	if (*fd == -1)
		return -1;
	while (flock(*fd, how | LOCK_NB) == -1)
		if (errno != EWOULDBLOCK || stock_keeper_sleep(k, 2) == -1) {
			close(apw_take_fd(fd));
			return -1;
		}
	return 0;
}

/* A keeper's own look begins when no janitor is between reading and taking. */
void
stock_use_wait(struct stock_keeper *k)
{
	int	fd;

	if (stock_use_lock(k, LOCK_SH, &fd) == 0)
		close(fd);
}

void
stock_use_touch(const struct apw_stock *stock, const char *mark)
{
	struct stat	st;

	if (fstatat(stock->root_fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < time(NULL) - USE_TOUCH_S)
		utimensat(stock->root_fd, mark, NULL, AT_SYMLINK_NOFOLLOW);
}

static bool
lists(int fd, const char *entry)
{
	struct apw_buf	text = APW_BUF_INIT(USE_LIST_BYTES);
	size_t		n = strlen(entry);
	const char	*p;
	struct stat	st;
	bool		found = true;	/* what cannot be read is in use */

	if (fstat(fd, &st) == 0 && apw_buf_reserve(&text, st.st_size) == 0 &&
	    (st.st_size == 0 || pread(fd, text.data, st.st_size, 0) ==
	    st.st_size)) {
		text.len = st.st_size;
		found = false;
		for (p = text.data; text.len > 0 && p != NULL &&
		    p < text.data + text.len;) {
			if ((size_t)(text.data + text.len - p) > n &&
			    memcmp(p, entry, n) == 0 && p[n] == '\n') {
				found = true;
				break;
			}
			p = memchr(p, '\n', text.data + text.len - p);
			if (p != NULL)
				p++;
		}
	}
	apw_buf_free(&text);
	return found;
}

/* The janitor holds the exclusive lock. */
bool
stock_use_has(struct apw_stock *stock, const char *entry)
{
	int		 dir_fd = stock_open(stock->root_fd, USE_DIR,
	    O_RDONLY | O_DIRECTORY);
	DIR		*dir = dir_fd == -1 ? NULL : fdopendir(dir_fd);
	struct dirent	*e;
	bool		 found = false;

	if (dir == NULL) {
		if (dir_fd != -1)
			close(dir_fd);
		return true;
	}
	while (!found && (e = readdir(dir)) != NULL) {
		apw_autofd int	fd = -1;

		if (e->d_name[0] == '.' || strchr(e->d_name, '-') == NULL)
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_NOFOLLOW |
		    O_CLOEXEC);
		if (fd == -1)
			continue;
		if (!remove_dead(dirfd(dir), e->d_name, fd))
			found = lists(fd, entry);
	}
	closedir(dir);
	return found;
}
