/* Finding things on disk: programs on PATH, folders to be read. */
#ifndef APW_FIND_H
#define APW_FIND_H

#include <dirent.h>
#include <stdbool.h>

/* A regular file that may be executed? */
bool	apw_is_program(const char *path);

/* The program's absolute path by our PATH; relative entries are passed over,
 * they mean another file in each directory.  The caller frees it; NULL: not
 * there. */
char	*apw_find_program(const char *name);

/* A folder below dir_fd to be read, never through a link.  NULL and errno;
 * closed with closedir(). */
DIR	*apw_opendirat(int dir_fd, const char *name);

#endif
