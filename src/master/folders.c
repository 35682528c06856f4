/* One watch for all slots; see folders.h.  Room: master.  Of the folders the
 * master knows no more than their names and inodes: what lies in them is not
 * its matter. */
#include "master/folders.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_clock.h"
#include "core/apw_module.h"
#include "core/apw_watch.h"
#include "master/dirs.h"
#include "master/master_priv.h"

#define FOLDERS_TELL	SIGURG		/* nobody dies of it */
#define FOLDERS_LOOK_MS	1000
#define FOLDERS_RETRY_MS 30000		/* to watch what could not be watched */
#define FOLDERS_MASK	(IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |	\
			    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define FOLDERS_GONE	(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT |	\
			    IN_IGNORED)

/* A slot that has a job looks again when it is through with it. */
static void
folders_tell(struct master *m)
{
	struct mproc	*p;

	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->pid != 0 && p->score != NULL &&
		    atomic_load(&p->score->state) != APW_SLOT_BUSY)
			master_proc_signal(p, FOLDERS_TELL);
}

static void
folders_say_watched(struct master *m)
{
	struct mproc	*p;

	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->score != NULL)
			atomic_store(&p->score->watched, m->folders.watched);
}

static void
folders_close(struct mfolders *f)
{
	size_t	i;

	if (f->event != NULL)
		event_free(f->event);
	if (f->fd > 0)
		close(f->fd);
	f->event = NULL;
	f->fd = 0;
	for (i = 0; i < f->n; i++)
		f->v[i].wd = -1;
}

/* It cannot be done: slots look each second, and that is said once. */
static void
folders_fail(struct master *m, const struct apw_err *err)
{
	struct mfolders	*f = &m->folders;

	folders_close(f);
	f->retry_ms = apw_now_ms() + FOLDERS_RETRY_MS;
	if (f->watched || !f->said)
		apw_warn("folders cannot be watched: slots look into them each "
		    "second", APW_E(err));
	f->said = true;
	f->watched = false;
}

static bool
folder_same(const struct mfolder *d)
{
	struct stat	st;

	return stat(d->path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_dev == d->dev && st.st_ino == d->ino;
}

/* Its inode's number may be another folder's by now. */
static void
folders_ignored(struct mfolders *f, int wd)
{
	size_t	i;

	for (i = 0; i < f->n; i++)
		if (f->v[i].wd == wd) {
			f->v[i].wd = -1;
			f->v[i].ino = 0;
		}
}

static void folders_check(struct master *);

static void
folders_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;
	char		 events[4096] __attribute__((aligned(8)));
	struct inotify_event *e;
	ssize_t		 n, at;
	bool		 gone = false;

	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	while ((n = read(fd, events, sizeof(events))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (struct inotify_event *)(void *)(events + at);
			gone |= (e->mask & FOLDERS_GONE) != 0;
			if ((e->mask & IN_IGNORED) != 0)
				folders_ignored(&m->folders, e->wd);
		}
	if (gone)
		folders_check(m);
	folders_tell(m);
}

/* Those that have no watch yet get one. */
static void
folders_watch(struct master *m)
{
	struct mfolders	*f = &m->folders;
	struct apw_err	 err = APW_ERR_NONE;
	size_t		 i;

	if (f->fd == 0) {
		if ((f->fd = apw_watch_open(&err)) == -1) {
			f->fd = 0;
			folders_fail(m, &err);
			return;
		}
		f->event = event_new(m->base, f->fd, EV_READ | EV_PERSIST,
		    folders_on_event, m);
		if (f->event == NULL || event_add(f->event, NULL) == -1) {
			apw_err_set(&err, ENOMEM, "watch");
			folders_fail(m, &err);
			return;
		}
	}
	for (i = 0; i < f->n; i++)
		if (f->v[i].wd == -1 && f->v[i].ino != 0 &&
		    (f->v[i].wd = apw_watch_add(f->fd, f->v[i].path,
		    FOLDERS_MASK, &err)) == -1) {
			folders_fail(m, &err);
			return;
		}
	if (!f->watched && f->said)
		apw_notice("folders are watched again");
	f->said = false;
	f->watched = true;
}

/* Where this folder is now; false: nowhere. */
static bool
folder_find(struct mfolder *d)
{
	struct stat	st;

	d->ino = 0;
	if (stat(d->path, &st) == -1 || !S_ISDIR(st.st_mode))
		return false;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	return true;
}

/* What was removed is made again, for those who may not. */
static void
folder_make(struct master *m, struct mfolder *d)
{
	struct apw_err	err = APW_ERR_NONE;

	if (apw_dirs_mend(m->cycle->conf, &err) == 0 && folder_find(d)) {
		apw_warn("a folder was removed: made anew",
		    APW_S("folder", d->path));
		d->said = false;
		return;
	}
	if (!d->said)
		apw_error("a folder was removed and cannot be made anew: no "
		    "job is taken from it until it is there",
		    APW_S("folder", d->path), APW_E(&err));
	d->said = true;
}

static void
folders_check(struct master *m)
{
	struct mfolders	*f = &m->folders;
	struct mfolder	*d;
	size_t		 i;
	bool		 changed = false;

	for (i = 0; i < f->n; i++) {
		d = &f->v[i];
		if (folder_same(d))
			continue;
		if (d->wd != -1)
			inotify_rm_watch(f->fd, d->wd);
		d->wd = -1;
		changed = true;
		if (!folder_find(d))
			folder_make(m, d);
		else {
			apw_warn("a folder was replaced: the one that is there "
			    "now is used", APW_S("folder", d->path));
			d->said = false;
		}
	}
	if (!changed)
		return;
	folders_watch(m);
	folders_say_watched(m);
	folders_tell(m);
}

static void
folders_add(struct mfolders *f, const char *path)
{
	struct mfolder	*d = &f->v[f->n];

	if (f->n == MASTER_FOLDERS || (d->path = strdup(path)) == NULL)
		return;
	d->wd = -1;
	folder_find(d);
	f->n++;
}

static void
folders_drop(struct mfolders *f)
{
	folders_close(f);
	while (f->n > 0) {
		f->n--;
		free(f->v[f->n].path);
		f->v[f->n] = (struct mfolder){ .wd = -1 };
	}
}

void
master_folders_follow(struct master *m)
{
	struct mfolders		*f = &m->folders;
	struct apw_cycle	*conf = m->cycle->conf;
	const struct apw_module	*source = conf->source;
	char			 path[PATH_MAX];
	unsigned		 i;

	folders_drop(f);
	if (source != NULL && source->folder != NULL)
		for (i = 0; source->folder(APW_MODULE_CONF(conf, source), i,
		    path, sizeof(path)); i++)
			folders_add(f, path);
	else if (conf->main.journal != APW_JOURNAL_OFF &&
	    apw_dir_leases(&conf->main, path, sizeof(path)) == 0)
		folders_add(f, path);
	if (f->n > 0)
		folders_watch(m);
	folders_say_watched(m);
}

void
master_folders_tick(struct master *m, int64_t now_ms)
{
	struct mfolders	*f = &m->folders;

	if (f->n == 0 || m->cycle == NULL || now_ms < f->look_ms)
		return;
	f->look_ms = now_ms + FOLDERS_LOOK_MS;
	folders_check(m);
	if (!f->watched && now_ms >= f->retry_ms)
		folders_watch(m);
	folders_say_watched(m);
}

void
master_folders_ended(struct master *m)
{
	if (m->folders.n > 0 && !m->folders.watched)
		folders_tell(m);
}

void
master_folders_forget(struct master *m)
{
	if (m->folders.event != NULL)
		event_free(m->folders.event);
	m->folders.event = NULL;
}

void
master_folders_free(struct master *m)
{
	folders_drop(&m->folders);
}
