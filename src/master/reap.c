/* Reaping: our own processes, and what others leave to us as PID 1 or as
 * subreaper.  Room: master.  What a slot leaves behind is killed; what was
 * there before us, or came from somewhere else, is only reaped. */
#include "master/master_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "master/folders.h"

#define REAP_BATCH	64
#define CHILDREN_MAX	4096
#define SWEEP_FOR_MS	1000	/* after the end of a slot */
#define SWEEP_EVERY_MS	20
#define SWEEP_STUCK_MS	1000	/* what does not end is looked at so often */
#define SWEEP_QUIET_MS	4000	/* after it: strangers are not a slot's */

/* "PID (NAME) STATE PPID ...": the name may hold anything. */
static pid_t
parent_of(const char *pid)
{
	char	path[64], text[512], *end;
	FILE	*f;
	size_t	n;
	int	ppid = -1;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	if ((f = fopen(path, "re")) == NULL)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	if ((end = strrchr(text, ')')) != NULL)
		sscanf(end + 1, " %*c %d", &ppid);
	return ppid;
}

/* Not every kernel lists children: then by asking each process. */
static int
children_by_parent(pid_t *v, size_t max, size_t *n)
{
	DIR		*d = opendir("/proc");
	struct dirent	*e;
	pid_t		 self = getpid();

	if (d == NULL)
		return -1;
	for (*n = 0; *n < max && (e = readdir(d)) != NULL;)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    parent_of(e->d_name) == self)
			v[(*n)++] = atoi(e->d_name);
	closedir(d);
	return 0;
}

/* The children we have now.  -1: there is no /proc. */
static int
children(pid_t *v, size_t max, size_t *n)
{
	char	path[64];
	FILE	*f;
	int	pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	if ((f = fopen(path, "re")) == NULL)
		return children_by_parent(v, max, n);
	for (*n = 0; *n < max && fscanf(f, "%d", &pid) == 1; (*n)++)
		v[*n] = pid;
	fclose(f);
	return 0;
}

static bool
is_innocent(const struct master *m, pid_t pid)
{
	size_t	i;

	for (i = 0; i < m->ninnocent; i++)
		if (m->innocent[i] == pid)
			return true;
	return false;
}

static void
forget_innocent(struct master *m, pid_t pid)
{
	size_t	i;

	for (i = 0; i < m->ninnocent; i++)
		if (m->innocent[i] == pid) {
			m->innocent[i] = m->innocent[--m->ninnocent];
			return;
		}
}

/* A slot is a subreaper itself: while all slots live, children that are not
 * ours come from elsewhere (a side process of the script that started us, an
 * orphan of somebody's shell in our container). */
void
master_note_innocents(struct master *m)
{
	static pid_t	v[CHILDREN_MAX];
	size_t		i, n;

	if (apw_now_ms() < m->sweep_until_ms + SWEEP_QUIET_MS &&
	    m->sweep_until_ms != 0)
		return;
	if (children(v, CHILDREN_MAX, &n) == -1) {
		if (m->tick_ms == 0)	/* said once, at the start */
			apw_warn("no /proc: what slots leave behind is "
			    "not found");
		return;
	}
	for (i = 0; i < n && m->ninnocent < MASTER_INNOCENTS; i++)
		if (master_proc_by_pid(m, v[i]) == NULL &&
		    !is_innocent(m, v[i]))
			m->innocent[m->ninnocent++] = v[i];
}

/* Kill every stranger; their own children come to us next. */
size_t
master_sweep(struct master *m)
{
	static pid_t	v[CHILDREN_MAX];
	size_t		i, n, left = 0;

	if (children(v, CHILDREN_MAX, &n) == -1)
		return 0;
	for (i = 0; i < n; i++) {
		if (master_proc_by_pid(m, v[i]) != NULL ||
		    is_innocent(m, v[i]))
			continue;
		kill(v[i], SIGKILL);
		left++;
	}
	return left;
}

static void
sweep_again(struct master *m)
{
	int			ms = apw_now_ms() < m->sweep_until_ms ?
				    SWEEP_EVERY_MS : SWEEP_STUCK_MS;
	const struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(m->sweeper, &tv);
}

void
master_on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (master_sweep(m) > 0 || apw_now_ms() < m->sweep_until_ms)
		sweep_again(m);
}

struct ended {
	pid_t	pid;
	int	status;
};

static size_t
reap(struct ended *v, size_t max)
{
	size_t	n = 0;
	pid_t	pid;

	while (n < max && ((pid = waitpid(-1, &v[n].status, WNOHANG)) > 0 ||
	    (pid == -1 && errno == EINTR)))
		if (pid > 0)
			v[n++].pid = pid;
	return n;
}

static void
ended_ours(struct mproc *p, int status)
{
	p->status = status;
	master_proc_feed(p, WIFEXITED(status) &&
	    WEXITSTATUS(status) == APW_EXIT_NOCONF ? MPROC_EV_NOCONF :
	    MPROC_EV_EXITED);
}

/* What a slot has left dies before its successor is born. */
static void
sweep_after(struct master *m, const struct ended *v, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++) {
		if (master_proc_by_pid(m, v[i].pid) != NULL) {
			m->sweep_until_ms = apw_now_ms() + SWEEP_FOR_MS;
			m->sweep_told = false;
		}
		forget_innocent(m, v[i].pid);
	}
	if (apw_now_ms() >= m->sweep_until_ms)
		return;
	if (master_sweep(m) > 0 && !m->sweep_told) {
		apw_notice("killing what a process left behind");
		m->sweep_told = true;
	}
	sweep_again(m);
}

void
master_on_child(evutil_socket_t fd, short what, void *arg)
{
	struct ended	 v[REAP_BATCH];
	struct master	*m;
	struct mproc	*p;
	size_t		 i, n;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	while ((n = reap(v, REAP_BATCH)) > 0) {
		sweep_after(m, v, n);
		for (i = 0; i < n; i++)
			if ((p = master_proc_by_pid(m, v[i].pid)) != NULL)
				ended_ours(p, v[i].status);
			else
				master_upgrade_ended(m, v[i].pid, v[i].status);
		master_folders_ended(m);
	}
}

/* All our own have gone: nothing of theirs may stay. */
void
master_last_sweep(struct master *m)
{
	int64_t		until = apw_now_ms() + SWEEP_FOR_MS;
	struct ended	v[REAP_BATCH];

	while (apw_now_ms() < until) {
		while (reap(v, REAP_BATCH) == REAP_BATCH)
			;
		if (master_sweep(m) == 0)
			return;
		poll(NULL, 0, 2);
	}
	apw_error("processes that a slot has left do not end");
}
