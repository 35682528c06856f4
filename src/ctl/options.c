/* Options of the commands.  Room: ctl. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_str.h"
#include "ctl/commands.h"

#define FLAGS_MAX	8
#define SECONDS_MAX	86400

int
ctl_fail(int status, const struct apw_err *err)
{
	fprintf(stderr, "apworkerctl: %s\n", err->text);
	return status;
}

static int
unknown(const char *command, const char *word, const struct ctl_flag *flags)
{
	const char	*words[FLAGS_MAX + 1], *near;
	size_t		 n;

	for (n = 0; n < FLAGS_MAX && flags[n].word != NULL; n++)
		words[n] = flags[n].word;
	words[n] = NULL;
	near = apw_str_nearest(word, words);
	if (near != NULL)
		fprintf(stderr, "apworkerctl: %s: unknown option \"%s\"; "
		    "did you mean \"%s\"?\n", command, word, near);
	else
		fprintf(stderr, "apworkerctl: %s: unexpected \"%s\"\n",
		    command, word);
	return CTL_EXIT_USAGE;
}

int
ctl_flags(int argc, char **argv, const struct ctl_flag *flags)
{
	const struct ctl_flag	*f;
	char			*end;
	long			 seconds;
	int			 i;

	for (i = 1; i < argc; i++) {
		for (f = flags; f->word != NULL; f++)
			if (strcmp(f->word, argv[i]) == 0)
				break;
		if (f->word == NULL)
			return unknown(argv[0], argv[i], flags);
		if (f->on != NULL) {
			*f->on = true;
			continue;
		}
		errno = 0;
		seconds = i + 1 < argc ? strtol(argv[i + 1], &end, 10) : 0;
		if (i + 1 == argc || *argv[i + 1] == '\0' || *end != '\0' ||
		    errno != 0 || seconds < 1 || seconds > SECONDS_MAX) {
			fprintf(stderr, "apworkerctl: %s: %s is \"%s\"; "
			    "expected 1 to %d seconds\n", argv[0], f->word,
			    i + 1 < argc ? argv[i + 1] : "", SECONDS_MAX);
			return CTL_EXIT_USAGE;
		}
		*f->seconds_ms = seconds * 1000;
		i++;
	}
	return 0;
}
