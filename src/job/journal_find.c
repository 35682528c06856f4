/* Journal files: having one of one's own, and finding those that nobody holds
 * any more.  Room: job, in a slot.
 *
 * leases/N.K is the Kth file of slot N: during a reload the old slot N and
 * the new one have one each.  What lies there is looked at closely before
 * anything of it is believed; what is not ours is left alone. */
#include "job/journal_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_find.h"
#include "core/apw_log.h"

#define JOURNAL_NUMBERS		16	/* files a slot number may have */
#define JOURNAL_LOOK_MS		3000	/* who died is back by then, and first */
#define JOURNAL_RETRY_MS	30000	/* to have a file */

static bool
journal_still_at(struct apw_journals *js, const char *name, int fd)
{
	struct stat	there, held;

	return fstat(fd, &held) == 0 && fstatat(js->dir_fd, name, &there,
	    AT_SYMLINK_NOFOLLOW) == 0 && held.st_ino == there.st_ino &&
	    held.st_dev == there.st_dev;
}

/* Not the file's fault, and not for ever. */
static bool
journal_passes(int error)
{
	return error == ENOSPC || error == EROFS || error == EDQUOT ||
	    error == EMFILE || error == ENFILE;
}

static void
journal_refuse(const struct apw_journals *js, const char *name,
    const char *why)
{
	apw_warn("a file among the leases is left alone",
	    APW_S("directory", js->path), APW_S("file", name),
	    APW_S("why", why));
}

static int
journal_open_file(struct apw_journals *js, const char *name, bool make)
{
	apw_autofd int	fd = openat(js->dir_fd, name, O_RDWR | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
	struct stat	st;

	if (fd == -1) {
		if (errno != ENOENT && !journal_passes(errno))
			journal_refuse(js, name, errno == ELOOP ?
			    "it is a symbolic link" : strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink > 1)
		journal_refuse(js, name, "it is not a file, or has two names");
	else if (st.st_uid != geteuid())
		journal_refuse(js, name, "it is another user's");
	else if ((st.st_mode & 077) != 0)
		journal_refuse(js, name, "others may read or write it");
	else
		return apw_take_fd(&fd);
	errno = EPERM;
	return -1;
}

void
journal_free(struct apw_journal *j)
{
	if (j == NULL)
		return;
	close(j->fd);
	free(j);
}

void
journal_unlink(struct apw_journal *j)
{
	if (journal_still_at(j->of, j->name, j->fd))
		unlinkat(j->of->dir_fd, j->name, 0);
}

/* What is in it: 1 ours to use (a record or nothing), 0 leave it alone. */
static int
journal_judge(struct apw_journal *j)
{
	static const char *const	texts[] = {
		[APW_JOURNAL_FOREIGN] = "it is no lease journal",
		[APW_JOURNAL_VERSION] = "another version of this program "
		    "wrote it",
	};
	uint8_t				blocks[2 * APW_JOURNAL_BLOCK] = { 0 };
	enum apw_journal_found		found;
	struct stat			st;

	if (fstat(j->fd, &st) == -1 ||
	    pread(j->fd, blocks, sizeof(blocks), 0) == -1)
		return 0;
	found = apw_journal_choose(blocks, &j->rec);
	if (found == APW_JOURNAL_FOREIGN || found == APW_JOURNAL_VERSION) {
		journal_refuse(j->of, j->name, texts[found]);
		return 0;
	}
	j->used = j->rec.request_n + j->rec.report_n + j->rec.complete_n;
	if (found == APW_JOURNAL_GOOD && j->rec.state != APW_JOURNAL_EMPTY)
		return 1;
	if (found == APW_JOURNAL_TORN)
		apw_warn("a lease was not written whole: the app gives its "
		    "job out again when its lock has run out",
		    APW_S("file", j->name));
	/* leftovers of somebody who died while he wrote or overwrote */
	return journal_blank(j, st.st_size > JOURNAL_FILE ?
	    (uint64_t)st.st_size : JOURNAL_FILE) == -1 ? -1 : 1;
}

/* Asked with a descriptor that is not for writing: closing it wakes nobody. */
static bool
journal_is_held(struct apw_journals *js, const char *name)
{
	apw_autofd int	fd = openat(js->dir_fd, name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1;
}

int
journal_lock(struct apw_journals *js, const char *name, bool make,
    struct apw_journal **out)
{
	apw_autofd int		fd = -1;
	struct apw_journal	*j;
	int			 rc;

	if (journal_is_held(js, name))
		return 0;
	fd = journal_open_file(js, name, make);
	if (fd == -1)
		return journal_passes(errno) ? -1 : 0;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 ||
	    !journal_still_at(js, name, fd))
		return 0;
	if ((j = calloc(1, sizeof(*j))) == NULL)
		return -1;
	j->of = js;
	snprintf(j->name, sizeof(j->name), "%s", name);
	j->fd = apw_take_fd(&fd);
	if ((rc = journal_judge(j)) == 1) {
		*out = j;
		return 1;
	}
	if (rc == -1) {
		rc = errno;
		journal_unlink(j);	/* full disk: half a file helps nobody */
		errno = rc;
		rc = -1;
	}
	journal_free(j);
	return rc;
}

/* The first of our number that is free. */
static int
journals_have_own(struct apw_journals *js, struct apw_err *err)
{
	char		name[32];
	unsigned	k;
	int		rc = 0;

	js->tried_ms = apw_now_ms();
	for (k = 0; k < JOURNAL_NUMBERS && rc == 0; k++) {
		snprintf(name, sizeof(name), "%u.%u", js->slot, k);
		rc = journal_lock(js, name, true, &js->own);
	}
	if (rc == 1)
		return 0;
	return apw_err_set(err, rc == -1 ? errno : 0, "no lease journal can "
	    "be had in %s", js->path);
}

static int
journals_open_dir(struct apw_journals *js, struct apw_err *err)
{
	struct stat	st;

	js->dir_fd = open(js->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (js->dir_fd == -1 || fstat(js->dir_fd, &st) == -1)
		return apw_err_set(err, errno, "cannot open %s", js->path);
	if ((st.st_uid != geteuid() && st.st_uid != 0) ||
	    (st.st_mode & 022) != 0) {
		close(apw_take_fd(&js->dir_fd));
		return apw_err_set(err, 0, "others may write in %s: it must "
		    "be of our user and mode 0700", js->path);
	}
	return 0;
}

/* The folder, or our file in it, was removed or replaced: what we hold there
 * nobody would find. */
static bool
journals_moved(struct apw_journals *js)
{
	struct stat	there, held;

	return fstat(js->dir_fd, &held) == -1 ||
	    stat(js->path, &there) == -1 || there.st_ino != held.st_ino ||
	    there.st_dev != held.st_dev || (js->own != NULL &&
	    !journal_still_at(js, js->own->name, js->own->fd));
}

/* Between two jobs: go on in the folder that is there now. */
static void
journals_follow(struct apw_journals *js)
{
	struct apw_err	err = APW_ERR_NONE;

	if (js->taken != NULL || !journals_moved(js))
		return;
	journal_free(js->own);
	js->own = NULL;
	if (js->dir_fd != -1)
		close(apw_take_fd(&js->dir_fd));
	/* the master makes it where we may not */
	(void)mkdir(js->path, 0700);
	if (journals_open_dir(js, &err) == 0 &&
	    journals_have_own(js, &err) == 0) {
		if (js->said)
			apw_notice("jobs are journalled again");
		js->said = false;
		js->look = true;
		return;
	}
	if (!js->said)
		apw_error("jobs are not journalled", APW_E(&err));
	js->said = true;
}

struct apw_journal *
apw_journals_own(struct apw_journals *js)
{
	struct apw_err	err = APW_ERR_NONE;
	bool		due;

	if (js == NULL)
		return NULL;
	journals_follow(js);
	due = apw_now_ms() - js->tried_ms >= JOURNAL_RETRY_MS;
	if (js->own == NULL && (js->parted || due)) {
		if (journals_have_own(js, &err) == -1) {
			if (due)
				apw_error("jobs are not journalled",
				    APW_E(&err));
		} else {
			if (!js->parted)
				apw_notice("jobs are journalled again");
			js->parted = false;
		}
	}
	/* one that was had late may hold a record of a former life */
	return js->own == NULL || js->own->rec.state == APW_JOURNAL_EMPTY ?
	    js->own : NULL;
}

/* Others' files, and our own of a former life. */

static bool
journal_name(const char *name)
{
	size_t	n = strspn(name, "0123456789"), k;

	if (n == 0 || n > 8 || name[n] != '.')
		return false;
	k = strspn(name + n + 1, "0123456789");
	return k != 0 && k <= 8 && name[n + 1 + k] == '\0';
}

static struct apw_journal *
journals_scan(struct apw_journals *js)
{
	DIR			*dir = apw_opendirat(js->dir_fd, ".");
	struct dirent		*e;
	struct apw_journal	*j = NULL;

	if (dir == NULL)
		return NULL;
	while ((e = readdir(dir)) != NULL) {
		if (!journal_name(e->d_name) || (js->own != NULL &&
		    strcmp(js->own->name, e->d_name) == 0))
			continue;
		if (journal_lock(js, e->d_name, false, &j) != 1)
			continue;
		if (j->rec.state != APW_JOURNAL_EMPTY)
			break;
		journal_unlink(j);	/* of a slot that is no more */
		journal_free(j);
		j = NULL;
	}
	closedir(dir);
	return j;
}

struct apw_journal *
apw_journals_take(struct apw_journals *js)
{
	if (js == NULL || js->taken != NULL)
		return js == NULL ? NULL : js->taken;
	journals_follow(js);
	if (js->own != NULL && js->own->rec.state != APW_JOURNAL_EMPTY)
		js->taken = js->own;
	else if (js->look) {
		js->taken = journals_scan(js);
		js->look = js->taken != NULL;	/* there may be more */
	}
	return js->taken;
}

void
apw_journal_done(struct apw_journals *js, struct apw_journal *j)
{
	if (j == NULL)
		return;
	if (j == js->taken)
		js->taken = NULL;
	if (j == js->own)
		return;
	journal_sync(j);
	if (j->rec.state == APW_JOURNAL_EMPTY)
		journal_unlink(j);
	journal_free(j);
}

void
apw_journal_part(struct apw_journals *js, struct apw_journal *j)
{
	if (j == NULL)
		return;
	apw_journal_leave(j);
	if (j == js->taken)
		js->taken = NULL;
	journal_sync(j);
	if (j == js->own) {
		js->own = NULL;
		js->parted = true;
	}
	js->look = true;
	journal_free(j);
}

void
apw_journals_look(struct apw_journals *js)
{
	const struct timeval	tv = { JOURNAL_LOOK_MS / 1000, 0 };

	if (js != NULL && !event_pending(js->later, EV_TIMEOUT, NULL))
		event_add(js->later, &tv);
}

static void
journals_on_later(evutil_socket_t fd, short what, void *arg)
{
	struct apw_journals	*js;

	(void)fd;
	(void)what;
	APW_CAST(js, arg, JOURNALS_MAGIC);
	js->look = true;
	js->orphan(js->arg);
}

static void
journals_on_sync(evutil_socket_t fd, short what, void *arg)
{
	struct apw_journals	*js;

	(void)fd;
	(void)what;
	APW_CAST(js, arg, JOURNALS_MAGIC);
	journal_sync(js->own);
	if (js->taken != js->own)
		journal_sync(js->taken);
}

static void
journals_on_phase(evutil_socket_t fd, short what, void *arg)
{
	struct apw_journals	*js;

	(void)fd;
	(void)what;
	APW_CAST(js, arg, JOURNALS_MAGIC);
	journal_phase_put(js->own);
	if (js->taken != js->own)
		journal_phase_put(js->taken);
}

static int
journals_timers(struct apw_journals *js, struct apw_err *err)
{
	js->sync = evtimer_new(js->base, journals_on_sync, js);
	js->later = evtimer_new(js->base, journals_on_later, js);
	js->phase = evtimer_new(js->base, journals_on_phase, js);
	if (js->sync == NULL || js->later == NULL || js->phase == NULL)
		return apw_err_set(err, ENOMEM, "leases");
	return 0;
}

int
apw_journals_open(struct apw_journals **jp, struct event_base *base,
    const struct apw_cycle *cycle, unsigned slot, void (*orphan)(void *),
    void *arg, struct apw_err *err)
{
	struct apw_journals	*js = calloc(1, sizeof(*js));
	struct apw_journal_clock now;

	apw_journal_now(&now);	/* what it remembers is read while it can be */
	*jp = NULL;
	if (js == NULL)
		return apw_err_set(err, ENOMEM, "leases");
	js->magic = JOURNALS_MAGIC;
	js->slot = slot;
	js->base = base;
	js->durable = cycle->main.journal == APW_JOURNAL_SYNC;
	js->dir_fd = -1;
	js->orphan = orphan;
	js->arg = arg;
	js->look = true;
	if (snprintf(js->path, sizeof(js->path), "%s/leases",
	    cycle->main.state_path) >= (int)sizeof(js->path)) {
		free(js);
		return apw_err_set(err, ENAMETOOLONG, "leases");
	}
	if (journals_open_dir(js, err) == -1 ||
	    journals_timers(js, err) == -1) {
		apw_journals_close(js);
		return -1;
	}
	*jp = js;
	return journals_have_own(js, err);
}

void
apw_journals_close(struct apw_journals *js)
{
	if (js == NULL)
		return;
	if (js->taken != js->own)
		apw_journal_done(js, js->taken);
	if (js->own != NULL) {
		journal_sync(js->own);
		if (js->own->rec.state == APW_JOURNAL_EMPTY)
			journal_unlink(js->own);
	}
	journal_free(js->own);
	if (js->later != NULL)
		event_free(js->later);
	if (js->sync != NULL)
		event_free(js->sync);
	if (js->phase != NULL)
		event_free(js->phase);
	if (js->dir_fd != -1)
		close(js->dir_fd);
	js->magic = 0;
	free(js);
}
