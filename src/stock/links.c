/* Links between the packages of a store, as names: who leads to whom.  Room:
 * stock, keeper.  Shared by the merge of new packages and the removal of
 * those that no piece leads to. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static void *
grow(void *v, size_t n, size_t *cap, size_t size)
{
	size_t	 more = *cap == 0 ? 64 : *cap * 2;
	void	*p;

	if (n < *cap)
		return v;
	p = reallocarray(v, more, size);
	if (p != NULL)
		*cap = more;
	return p;
}

int
stock_names_add(struct stock_names *names, const char *name)
{
	char	**v = grow(names->v, names->n, &names->cap, sizeof(*v));

	if (v == NULL)
		return -1;
	names->v = v;
	if ((v[names->n] = strdup(name)) == NULL)
		return -1;
	names->n++;
	return 0;
}

void
stock_names_free(struct stock_names *names)
{
	while (names->n > 0)
		free(names->v[--names->n]);
	free(names->v);
	*names = (struct stock_names){ .n = 0 };
}

/* "../../PACKAGE@1.2.3/node_modules/PACKAGE" gives the second part; what comes
 * from a piece's folder has the way to the store in front. */
static int
link_add(struct stock_names *names, int dir_fd, const char *name)
{
	static const char	store[] = "node_modules/.bun/";
	char			target[PATH_MAX], *p = target;
	struct stat		st;
	ssize_t			n = readlinkat(dir_fd, name, target,
	    sizeof(target) - 1);

	if (n <= 0)
		return 0;	/* the package itself is a folder */
	target[n] = '\0';
	while (strncmp(p, "../", 3) == 0)
		p += 3;
	if (strncmp(p, store, sizeof(store) - 1) == 0)
		p += sizeof(store) - 1;
	*strchrnul(p, '/') = '\0';
	if (fstatat(dir_fd, name, &st, 0) == -1 ||
	    !apw_str_is_segment(apw_str_c(p)))
		return -1;
	return stock_names_add(names, p);
}

static int
links_read(struct stock_names *names, int dir_fd, const char *name,
    bool scope_too)
{
	int		 fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;
	int		 rc = 0;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')	/* itself, .bin */
			continue;
		if (e->d_name[0] == '@' && scope_too)
			rc |= links_read(names, dirfd(dir), e->d_name, false);
		else
			rc |= link_add(names, dirfd(dir), e->d_name);
	}
	closedir(dir);
	return rc;
}

int
stock_links_read(struct stock_names *names, int dir_fd, const char *folder)
{
	return links_read(names, dir_fd, folder, true);
}
