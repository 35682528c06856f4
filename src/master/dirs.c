/* Directories; see dirs.h.  Room: master, while it still may. */
#include "master/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "core/apw_module.h"

static bool
give_away(const struct apw_main_conf *main)
{
	return getuid() == 0 && main->user != NULL;
}

static int
make_parents(char *path, struct apw_err *err)
{
	char	*p;

	for (p = path + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(path, 0755) == -1 && errno != EEXIST)
			return apw_err_set(err, errno,
			    "cannot make directory %s", path);
	}
	return 0;
}

/* Made for us by a service manager or a package, as root's: while it is empty
 * it is as good as made by us. */
static int
give_empty(const char *path, const struct stat *st,
    const struct apw_main_conf *main, struct apw_err *err)
{
	apw_autofd int	 fd = -1;
	struct dirent	*e;
	DIR		*dir;
	int		 n = 0;

	if (!give_away(main) || st->st_uid != 0 || main->uid == 0)
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || (dir = fdopendir(dup(fd))) == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	if (n == 0 && fchown(fd, main->uid, main->gid) == -1)
		return apw_err_set(err, errno, "cannot give %s to %s", path,
		    main->user);
	return 0;
}

int
apw_dir_make(const char *path, const struct apw_main_conf *main,
    struct apw_err *err)
{
	apw_autofree char *copy = NULL;
	struct stat	   st;
	size_t		   n = strlen(path);

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? give_empty(path, &st, main, err) :
		    apw_err_set(err, ENOTDIR, "%s", path);
	if ((copy = strdup(path)) == NULL)
		return apw_err_set(err, ENOMEM, "%s", path);
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	if (make_parents(copy, err) == -1)
		return -1;
	if (mkdir(copy, 0750) == -1)
		return errno == EEXIST ? 0 : apw_err_set(err, errno,
		    "cannot make directory %s", copy);
	/* who it is given to may have put something else there already: what
	 * is given is an empty directory of ours, by its descriptor */
	return lstat(copy, &st) == -1 ? apw_err_set(err, errno, "%s", copy) :
	    give_empty(copy, &st, main, err);
}

int
apw_dir_parent(const char *file, struct apw_err *err)
{
	apw_autofree char *copy = strdup(file);

	if (copy == NULL)
		return apw_err_set(err, ENOMEM, "%s", file);
	return make_parents(copy, err);
}

void
apw_dir_give(int fd, const struct apw_main_conf *main)
{
	struct stat	st;

	if (!give_away(main) || fd <= STDERR_FILENO ||
	    fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid == main->uid)
		return;
	if (fchown(fd, main->uid, (gid_t)-1) == -1)
		apw_warn("cannot give the log to its user; "
		    "slots will not reopen it", APW_S("user", main->user));
}

int
apw_dir_leases(const struct apw_main_conf *main, char *path, size_t size)
{
	return snprintf(path, size, "%s/leases", main->state_path) <
	    (int)size ? 0 : -1;
}

/* The slots' journals hold tokens: nobody else looks in. */
static int
make_leases(const struct apw_main_conf *main, struct apw_err *err)
{
	char		path[PATH_MAX];
	struct stat	st;

	if (apw_dir_leases(main, path, sizeof(path)) == -1)
		return apw_err_set(err, ENAMETOOLONG, "leases");
	if (lstat(path, &st) == 0)
		return 0;	/* the slots say what is wrong with it */
	if (apw_dir_make(path, main, err) == -1) {
		apw_error("jobs cannot be journalled", APW_E(err));
		*err = (struct apw_err)APW_ERR_NONE;
	} else if (chmod(path, 0700) == -1)
		return apw_err_set(err, errno, "cannot close %s", path);
	return 0;
}

static int
make_source(struct apw_cycle *cycle, struct apw_err *err)
{
	const struct apw_module	*source = cycle->source;

	return source == NULL || source->prepare == NULL ? 0 :
	    source->prepare(cycle, APW_MODULE_CONF(cycle, source), err);
}

int
apw_dirs_make(struct apw_cycle *cycle, struct apw_err *err)
{
	const struct apw_main_conf	*main = &cycle->main;

	if (apw_dir_make(main->state_path, main, err) == -1 ||
	    (main->journal != APW_JOURNAL_OFF &&
	    make_leases(main, err) == -1) ||
	    apw_dir_make(cycle->stock.path, main, err) == -1 ||
	    apw_dir_parent(main->pid_path, err) == -1)
		return -1;
	if (apw_log_std(main->log_path) == -1 &&
	    apw_dir_parent(main->log_path, err) == -1)
		return -1;
	return make_source(cycle, err);
}

int
apw_dirs_mend(struct apw_cycle *cycle, struct apw_err *err)
{
	const struct apw_main_conf	*main = &cycle->main;

	if (main->journal != APW_JOURNAL_OFF &&
	    (apw_dir_make(main->state_path, main, err) == -1 ||
	    make_leases(main, err) == -1))
		return -1;
	return make_source(cycle, err);
}
