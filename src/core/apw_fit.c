/* Looking at files and folders before they are needed; see apw_fit.h.  Room:
 * core, in a process of its own or in the master's.  Nothing here waits: a
 * FIFO is not opened for long, and nothing is written. */
#include "core/apw_fit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"

static void __attribute__((format(printf, 4, 0)))
fit_say(struct apw_fit *f, const char *directive, const char *level,
    const char *fmt, va_list ap)
{
	char	where[512];

	apw_conf_where(f->cycle, f->block, directive, where, sizeof(where));
	fprintf(f->out, "%s: %s: ", where, level);
	vfprintf(f->out, fmt, ap);
	putc('\n', f->out);
}

void
apw_fit_error(struct apw_fit *f, const char *directive, const char *fmt, ...)
{
	va_list	ap;

	if (f->noting)
		return;
	f->errors++;
	va_start(ap, fmt);
	fit_say(f, directive, "error", fmt, ap);
	va_end(ap);
}

void
apw_fit_warn(struct apw_fit *f, const char *directive, const char *fmt, ...)
{
	va_list	ap;

	if (f->noting)
		return;
	f->warnings++;
	va_start(ap, fmt);
	fit_say(f, directive, "warning", fmt, ap);
	va_end(ap);
}

/* "Permission denied for nobody": root could. */
static const char *
fit_why(int code, char *buf, size_t size)
{
	struct passwd	*pw = code == EACCES ? getpwuid(geteuid()) : NULL;

	snprintf(buf, size, "%s%s%s", strerror(code), pw == NULL ? "" :
	    " for ", pw == NULL ? "" : pw->pw_name);
	return buf;
}

static const char *
fit_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "a directory";
	case S_IFIFO: return "a FIFO";
	case S_IFSOCK: return "a socket";
	case S_IFREG: return "a file";
	default: return "a device";
	}
}

bool
apw_fit_file(struct apw_fit *f, const char *directive, const char *path,
    const char *expected)
{
	apw_autofd int	fd = -1;
	struct stat	st;
	char		why[160];
	const char	*text = NULL;

	if (stat(path, &st) == -1)
		text = fit_why(errno, why, sizeof(why));
	else if (!S_ISREG(st.st_mode)) {
		snprintf(why, sizeof(why), "it is %s", fit_kind(st.st_mode));
		text = why;
	} else if (st.st_size == 0)
		text = "it is empty";
	else if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC)) == -1)
		text = fit_why(errno, why, sizeof(why));
	if (text != NULL)
		apw_fit_error(f, directive, "\"%s\" is \"%s\": %s; expected %s",
		    directive, path, text, expected);
	return text == NULL;
}

static bool
fit_is_empty(const char *path)
{
	DIR		*dir = apw_opendirat(AT_FDCWD, path);
	struct dirent	*e;
	bool		 empty = dir != NULL;

	while (empty && (e = readdir(dir)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0;
	if (dir != NULL)
		closedir(dir);
	return empty;
}

static bool
fit_is_given(struct apw_fit *f, const char *path, const struct stat *st)
{
	size_t	i;

	for (i = 0; i < f->ngiven; i++)
		if (f->given[i].dev == st->st_dev &&
		    f->given[i].ino == st->st_ino)
			return true;
	if (f->noting && f->ngiven < APW_FIT_GIVEN && S_ISDIR(st->st_mode) &&
	    st->st_uid == 0 && fit_is_empty(path)) {
		f->given[f->ngiven].dev = st->st_dev;
		f->given[f->ngiven++].ino = st->st_ino;
	}
	return f->noting;
}

bool
apw_fit_folder(struct apw_fit *f, const char *directive, const char *path,
    int mode)
{
	struct stat	st;
	char		why[160];

	if (stat(path, &st) == -1)
		apw_fit_error(f, directive, "\"%s\": \"%s\": %s; expected a "
		    "directory", directive, path, fit_why(errno, why,
		    sizeof(why)));
	else if (!S_ISDIR(st.st_mode))
		apw_fit_error(f, directive, "\"%s\": \"%s\" is %s; expected a "
		    "directory", directive, path, fit_kind(st.st_mode));
	else if (!fit_is_given(f, path, &st) &&
	    faccessat(AT_FDCWD, path, mode, AT_EACCESS) == -1)
		apw_fit_error(f, directive, "\"%s\": \"%s\": %s; expected a "
		    "directory that can be %s", directive, path,
		    fit_why(errno, why, sizeof(why)), (mode & W_OK) != 0 ?
		    "written" : "read");
	else
		return true;
	return false;
}

/* The nearest folder above that is there. */
static void
fit_above(char *path)
{
	struct stat	st;
	char		*slash;

	while (lstat(path, &st) == -1 && (slash = strrchr(path, '/')) != NULL) {
		if (slash == path) {
			path[1] = '\0';
			return;
		}
		*slash = '\0';
	}
}

bool
apw_fit_makable(struct apw_fit *f, const char *directive, const char *path)
{
	struct stat	st;
	char		above[PATH_MAX], why[160];

	if (strlen(path) >= sizeof(above)) {
		apw_fit_error(f, directive, "\"%s\": the path is too long",
		    directive);
		return false;
	}
	strcpy(above, path);
	fit_above(above);
	if (stat(above, &st) == -1)
		apw_fit_error(f, directive, "\"%s\": \"%s\" leads to nothing; "
		    "expected a directory", directive, above);
	else if (!S_ISDIR(st.st_mode))
		apw_fit_error(f, directive, "\"%s\": \"%s\" is %s; expected a "
		    "directory", directive, above, fit_kind(st.st_mode));
	else if (strcmp(above, path) != 0 && faccessat(AT_FDCWD, above,
	    W_OK | X_OK, AT_EACCESS) == -1)
		apw_fit_error(f, directive, "\"%s\": \"%s\" cannot be made in "
		    "\"%s\": %s; make it, or name another place", directive,
		    path, above, fit_why(errno, why, sizeof(why)));
	else
		return true;
	return false;
}

bool
apw_fit_parent(struct apw_fit *f, const char *directive, const char *path)
{
	char	above[PATH_MAX], *slash;

	snprintf(above, sizeof(above), "%s", path);
	if ((slash = strrchr(above, '/')) == NULL)
		return true;
	slash[slash == above] = '\0';
	return apw_fit_makable(f, directive, above);
}

static _Noreturn void
fit_exec(const char *path, int out)
{
	static char	version[] = "--version";
	char		*argv[] = { (char *)(uintptr_t)path, version, NULL };
	char		*envp[] = { NULL };
	int		 null = open("/dev/null", O_RDWR | O_CLOEXEC), code;

	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execve(path, argv, envp);
	code = errno;
	(void)!write(out, &code, sizeof(code));
	_exit(127);
}

/* What exec says; it is not waited for what the program does. */
static int
fit_exec_errno(const char *path)
{
	int	fds[2], code = 0;
	pid_t	pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return 0;
	fflush(NULL);
	if ((pid = fork()) == 0)
		fit_exec(path, fds[1]);
	close(fds[1]);
	if (read(fds[0], &code, sizeof(code)) != sizeof(code))
		code = 0;
	close(fds[0]);
	if (pid > 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
	}
	return code;
}

bool
apw_fit_program(struct apw_fit *f, const char *directive, const char *path,
    const char *expected)
{
	struct stat	st;
	char		why[160];
	int		code;

	if (stat(path, &st) == -1)
		code = errno;
	else if (!S_ISREG(st.st_mode)) {
		apw_fit_error(f, directive, "\"%s\" is \"%s\": it is %s; "
		    "expected %s", directive, path, fit_kind(st.st_mode),
		    expected);
		return false;
	} else if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == -1)
		code = errno;
	else
		code = fit_exec_errno(path);
	if (code == 0)
		return true;
	apw_fit_error(f, directive, "\"%s\" is \"%s\", which cannot be "
	    "started: %s%s; expected %s", directive, path, fit_why(code, why,
	    sizeof(why)), code == ENOENT && access(path, F_OK) == 0 ?
	    " (its interpreter)" : "", expected);
	return false;
}

void
apw_fit_room(struct apw_fit *f, const char *directive, const char *path,
    bool exec)
{
	struct statvfs	fs;
	char		above[PATH_MAX];

	snprintf(above, sizeof(above), "%s", path);
	fit_above(above);
	if (statvfs(above, &fs) == -1)
		return;
	if ((fs.f_flag & ST_RDONLY) != 0)
		apw_fit_warn(f, directive, "\"%s\": the file system of \"%s\" "
		    "is read-only", directive, path);
	else if (fs.f_blocks != 0 && fs.f_bavail == 0)
		apw_fit_warn(f, directive, "\"%s\": no space is left on the "
		    "file system of \"%s\"", directive, path);
	else if (fs.f_files != 0 && fs.f_favail == 0)
		apw_fit_warn(f, directive, "\"%s\": no inode is left on the "
		    "file system of \"%s\"", directive, path);
	if (exec && (fs.f_flag & ST_NOEXEC) != 0)
		apw_fit_warn(f, directive, "\"%s\": \"%s\" is mounted noexec: "
		    "packages with native add-ons will not load", directive,
		    path);
}
