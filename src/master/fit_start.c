/* What the start would refuse, without starting: folders that cannot be made,
 * pidfile, log, addresses; see fit.h.  Room: master, for -t.  What the daemon
 * of this configuration has already (its pidfile's lock names it) is its own;
 * what somebody else has is told with his name, as far as it can be seen. */
#include "master/fit.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_fit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "core/apw_unix.h"
#include "master/dirs.h"
#include "master/listen.h"
#include "master/pidfile.h"

struct start {
	struct apw_fit	f;
	pid_t		running;	/* the daemon of this pidfile; 0: none */
};

/* ---- who holds what ---- */

static void
holder_name(pid_t pid, char *buf, size_t size)
{
	char		path[64], comm[32] = "";
	apw_autofd int	fd = -1;
	ssize_t		n;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? 0 : read(fd, comm, sizeof(comm) - 1);
	comm[n > 0 ? n : 0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(buf, size, "pid %d%s%s%s", (int)pid, comm[0] == '\0' ? "" :
	    " (", comm, comm[0] == '\0' ? "" : ")");
}

/* Does this process have that socket open? */
static bool
holds_socket(const char *pid, unsigned long inode)
{
	char		 path[64], want[64], target[64];
	DIR		*dir;
	struct dirent	*e;
	ssize_t		 n;
	bool		 found = false;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	if ((dir = opendir(path)) == NULL)
		return false;
	while (!found && (e = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target));
		found = n == (ssize_t)strlen(want) &&
		    memcmp(target, want, (size_t)n) == 0;
	}
	closedir(dir);
	return found;
}

/* The process that listens by this socket, the given one first; 0: it cannot
 * be seen. */
static pid_t
socket_holder(unsigned long inode, pid_t first)
{
	char		 text[16];
	DIR		*dir;
	struct dirent	*e;
	pid_t		 found = 0;

	snprintf(text, sizeof(text), "%d", (int)first);
	if (first > 0 && holds_socket(text, inode))
		return first;
	if ((dir = opendir("/proc")) == NULL)
		return 0;
	while (found == 0 && (e = readdir(dir)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    holds_socket(e->d_name, inode))
			found = atoi(e->d_name);
	closedir(dir);
	return found;
}

/* Who listens on this TCP port, whatever the address; 0: not to be seen. */
static pid_t
port_holder(unsigned port, pid_t first)
{
	static const char *const tables[] = { "/proc/net/tcp",
	    "/proc/net/tcp6" };
	char		line[512];
	unsigned	local, state;
	unsigned long	inode;
	pid_t		found = 0, pid;
	size_t		i;
	FILE		*file;

	for (i = 0; i < APW_COUNT(tables); i++) {
		if ((file = fopen(tables[i], "re")) == NULL)
			continue;
		while (fgets(line, sizeof(line), file) != NULL)
			if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x %*s "
			    "%*s %*s %*u %*u %lu", &local, &state, &inode) == 3 &&
			    local == port && state == 0x0a &&
			    (pid = socket_holder(inode, first)) != 0)
				found = pid == first || found == 0 ? pid :
				    found;
		fclose(file);
	}
	return found;
}

/* Who has the flock of that inode, as the kernel tells; 0: not to be seen. */
static pid_t
lock_holder(ino_t ino)
{
	FILE		*file = fopen("/proc/locks", "re");
	char		 line[256];
	unsigned long	 inode;
	int		 pid, found = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%*u: FLOCK %*s WRITE %d %*x:%*x:%lu", &pid,
		    &inode) == 2 && inode == ino && pid > 0)
			found = pid;
	if (file != NULL)
		fclose(file);
	return found;
}

/* ---- addresses ---- */

static void
start_taken(struct start *s, const char *name, pid_t holder)
{
	char	who[64];

	if (s->running != 0 && holder == s->running)
		return;
	if (holder != 0) {
		holder_name(holder, who, sizeof(who));
		apw_fit_error(&s->f, "listen", "\"listen\" is \"%s\", which %s "
		    "has; expected a free address", name, who);
	} else if (s->running != 0)
		apw_fit_warn(&s->f, "listen", "\"listen\" is \"%s\", which is "
		    "in use, by whom cannot be seen: by the daemon that runs "
		    "(pid %d)?", name, (int)s->running);
	else
		apw_fit_error(&s->f, "listen", "\"listen\" is \"%s\", which is "
		    "in use, by whom cannot be seen; expected a free address",
		    name);
}

static void
start_unix(struct start *s, const char *name, const char *path)
{
	apw_autofd int		fd = -1, dir_fd = -1;
	struct sockaddr_un	sun;
	struct apw_err		err = APW_ERR_NONE;
	struct ucred		who;
	socklen_t		len = sizeof(who);
	struct stat		st;

	if (!apw_fit_parent(&s->f, "listen", path) || lstat(path, &st) == -1)
		return;
	if (!S_ISSOCK(st.st_mode)) {
		apw_fit_error(&s->f, "listen", "\"listen\" is \"%s\": what is "
		    "there is not a socket; remove it, or name another place",
		    name);
		return;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || apw_unix_address(path, &sun, &dir_fd, &err) == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return;
	start_taken(s, name, getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who,
	    &len) == -1 ? 0 : who.pid);
}

static void
start_listen(struct start *s)
{
	const struct apw_strlist	*names = &s->f.cycle->monitor.listen;
	struct apw_err			 err = APW_ERR_NONE;
	const char			*path;
	size_t				 i;

	s->f.block = "monitor";
	for (i = 0; i < names->n; i++) {
		if ((path = apw_unix_path(names->v[i])) != NULL)
			start_unix(s, names->v[i], path);
		else if (apw_listen_try(names->v[i], &err) == 0)
			continue;
		else if (err.code == EADDRINUSE)
			start_taken(s, names->v[i], port_holder((unsigned)
			    atoi(strrchr(names->v[i], ':') + 1), s->running));
		else
			apw_fit_error(&s->f, "listen", "cannot listen on %s",
			    err.text);
	}
}

/* ---- files and folders ---- */

/* A file that the master opens for writing, and makes where it is not. */
static void
start_file(struct start *s, const char *directive, const char *path,
    bool regular)
{
	struct stat	st;

	if (stat(path, &st) == -1 && errno == ENOENT &&
	    lstat(path, &st) == -1) {
		apw_fit_parent(&s->f, directive, path);
		return;
	}
	if (stat(path, &st) == -1)
		apw_fit_error(&s->f, directive, "\"%s\" is \"%s\": %s",
		    directive, path, strerror(errno));
	else if (S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode) ||
	    (regular && !S_ISREG(st.st_mode)))
		apw_fit_error(&s->f, directive, "\"%s\" is \"%s\", which is "
		    "there and is %s; expected a file", directive, path,
		    S_ISDIR(st.st_mode) ? "a directory" : "no file");
	else if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == -1)
		apw_fit_error(&s->f, directive, "\"%s\" is \"%s\", which "
		    "cannot be written: %s", directive, path, strerror(errno));
}

static void
start_pidfile(struct start *s)
{
	const char	*path = s->f.cycle->main.pid_path;
	struct apw_err	 err = APW_ERR_NONE;
	struct stat	 st;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
		apw_fit_error(&s->f, "pid", "\"pid\" is \"%s\", which is a "
		    "symbolic link; expected a file", path);
		return;
	}
	/* only what is a file can be held; a FIFO would be waited for */
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    apw_pidfile_owner(path, &s->running, &err) == -1)
		s->running = 0;
	if (s->running == 0)
		start_file(s, "pid", path, true);
}

static void
start_state(struct start *s)
{
	const struct apw_main_conf	*m = &s->f.cycle->main;
	apw_autofd int			 fd = -1;
	struct stat			 st;
	char				 leases[PATH_MAX], who[64];
	pid_t				 holder;

	if (!apw_fit_makable(&s->f, "state", m->state_path))
		return;
	apw_fit_room(&s->f, "state", m->state_path, false);
	fd = open(m->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return;
	if (fd == -1) {
		apw_fit_folder(&s->f, "state", m->state_path, R_OK | X_OK);
		return;
	}
	/* shared: who starts right now is not in our way for longer than this */
	if (s->running == 0 && fstat(fd, &st) == 0 &&
	    flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		if ((holder = lock_holder(st.st_ino)) != 0)
			holder_name(holder, who, sizeof(who));
		apw_fit_error(&s->f, "state", "\"state\" is \"%s\", which "
		    "another apworkerd has%s%s; expected a directory of its "
		    "own for each", m->state_path, holder != 0 ? ": " : "",
		    holder != 0 ? who : "");
	}
	if (m->journal != APW_JOURNAL_OFF && apw_dir_leases(m, leases,
	    sizeof(leases)) == 0 && lstat(leases, &st) == -1)
		apw_fit_makable(&s->f, "state", leases);
}

static void
start_source(struct start *s)
{
	const struct apw_module	*source = s->f.cycle->source;
	char			 path[PATH_MAX];
	unsigned		 i;

	s->f.block = "source";
	if (source != NULL && source->folder != NULL)
		for (i = 0; source->folder(APW_MODULE_CONF(s->f.cycle,
		    source), i, path, sizeof(path)) &&
		    apw_fit_makable(&s->f, "path", path); i++)
			;
}

int
master_fit_start(const struct apw_cycle *c, FILE *out)
{
	struct start	s = { .f = { .cycle = c, .out = out } };

	start_pidfile(&s);
	start_state(&s);
	if (apw_log_std(c->main.log_path) == -1) {
		start_file(&s, "log", c->main.log_path, false);
		apw_fit_room(&s.f, "log", c->main.log_path, false);
	}
	s.f.block = "stock";
	apw_fit_makable(&s.f, "path", c->stock.path);
	start_source(&s);
	start_listen(&s);
	return s.f.errors == 0 ? 0 : -1;
}
