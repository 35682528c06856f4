/* Process titles.  Room: master and its children.  The kernel shows the
 * memory where argv and the environment were at the start: the title goes
 * there, and the environment moves to where nobody else looks. */
#include "master/child.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static struct {
	char	*start;		/* argv[0]'s memory */
	size_t	 size;
	char	**env;		/* our copy */
} title;

/* argv and envp strings lie one behind the other. */
static char *
end_of(char **v, char *end)
{
	for (; *v != NULL; v++)
		if (end == NULL || *v == end)
			end = *v + strlen(*v) + 1;
	return end;
}

void
apw_title_init(int argc, char **argv)
{
	size_t	 i, n = 0;
	char	*end, **env, **args;

	if (argc < 1)
		return;
	end = end_of(environ, end_of(argv, NULL));
	while (environ[n] != NULL)
		n++;
	env = calloc(n + 1, sizeof(*env));
	args = calloc(argc, sizeof(*args));
	if (env == NULL || args == NULL)
		abort();
	for (i = 0; i < n; i++)
		if ((env[i] = strdup(environ[i])) == NULL)
			abort();
	/* callers go on using the words of the command line */
	for (i = 0; i < (size_t)argc; i++)
		if ((args[i] = strdup(argv[i])) == NULL)
			abort();
	title.start = argv[0];
	title.size = end - argv[0];
	title.env = env;
	for (i = 0; i < (size_t)argc; i++)
		argv[i] = args[i];
	free(args);
	/* wiped when the first title is set */
	environ = env;
}

char *
apw_title_place(size_t *bytes)
{
	*bytes = title.size;
	return title.start;
}

void
apw_title_set(const char *fmt, ...)
{
	va_list	ap;

	if (title.size < 2)
		return;
	memset(title.start, 0, title.size);
	va_start(ap, fmt);
	vsnprintf(title.start, title.size, fmt, ap);
	va_end(ap);
}

void
apw_title_wipe_environment(void)
{
	size_t	i;

	for (i = 0; title.env != NULL && title.env[i] != NULL; i++)
		explicit_bzero(title.env[i], strlen(title.env[i]));
	clearenv();
}
