/* The command line; see options.h.  Room: master. */
#include "config.h"

#include "master/options.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_str.h"

#define DEFAULT_FILE	APW_SYSCONFDIR "/apworker.conf"

static const struct option_row {
	char		 letter;
	const char	*word;		/* for "did you mean", and taken too */
	const char	*arg;		/* NULL: none */
	const char	*help;
} rows[] = {
	{ 'c', "config",    "FILE",   "configuration file (" DEFAULT_FILE ")" },
	{ 'p', "prefix",    "DIR",    "where relative paths start" },
	{ 'g', "global",    "TEXT",   "directives that win over the file's" },
	{ 't', "test",      NULL,     "check the configuration and this host" },
	{ 'T', "dump",      NULL,     "check, then print what is in effect" },
	{ 's', "signal",    "SIGNAL", "stop, quit, reload, reopen or upgrade" },
	{ 'v', "version",   NULL,     "print the version" },
	{ 'V', "build",     NULL,     "print version, modules and libraries" },
	{ 'h', "help",      NULL,     "print this" },
};

static const struct { const char *name; int signo; } signals[] = {
	{ "stop", SIGTERM }, { "quit", SIGQUIT }, { "reload", SIGHUP },
	{ "reopen", SIGUSR1 }, { "upgrade", SIGUSR2 },
};

const char *
apw_options_default_file(void)
{
	return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

void
apw_options_help(void)
{
	size_t	i;

	printf("usage: apworkerd [-tTvVh] [-c FILE] [-p DIR] [-g TEXT] "
	    "[-s SIGNAL]\n"
	    "       apworkerd doctor [-c FILE] [-p DIR] [-g TEXT]\n\n");
	for (i = 0; i < APW_COUNT(rows); i++)
		printf("  -%c, --%-8s %-7s %s\n", rows[i].letter, rows[i].word,
		    rows[i].arg == NULL ? "" : rows[i].arg, rows[i].help);
}

static const struct option_row *
row_by_letter(char letter)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(rows); i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

static const struct option_row *
row_by_word(const char *word, size_t n)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(rows); i++)
		if (strlen(rows[i].word) == n &&
		    strncmp(rows[i].word, word, n) == 0)
			return &rows[i];
	return NULL;
}

static int
unknown_word(const char *word, struct apw_err *err)
{
	const char	*words[APW_COUNT(rows) + 1], *near;
	size_t		 i;

	for (i = 0; i < APW_COUNT(rows); i++)
		words[i] = rows[i].word;
	words[i] = NULL;
	if ((near = apw_str_nearest(word, words)) != NULL)
		return apw_err_set(err, 0, "unknown option \"--%s\"; "
		    "did you mean \"--%s\"?", word, near);
	return apw_err_set(err, 0, "unknown option \"--%s\"; "
	    "-h lists them", word);
}

static int
set_signal(struct apw_options *o, const char *name, struct apw_err *err)
{
	const char	*names[APW_COUNT(signals) + 1], *near;
	size_t		 i;

	for (i = 0; i < APW_COUNT(signals); i++) {
		names[i] = signals[i].name;
		if (strcmp(name, names[i]) == 0) {
			o->signal_name = names[i];
			o->signal = signals[i].signo;
			return 0;
		}
	}
	names[i] = NULL;
	if ((near = apw_str_nearest(name, names)) != NULL)
		return apw_err_set(err, 0, "unknown signal \"%s\"; "
		    "did you mean \"%s\"?", name, near);
	return apw_err_set(err, 0, "unknown signal \"%s\"; expected stop, "
	    "quit, reload, reopen or upgrade", name);
}

static int
set_option(struct apw_options *o, char letter, const char *arg,
    struct apw_err *err)
{
	switch (letter) {
	case 'c': o->conf.file = arg; break;
	case 'p': o->conf.prefix = arg; break;
	case 'g': o->conf.globals = arg; break;
	case 't': o->test = true; break;
	case 'T': o->test = o->dump = true; break;
	case 'v': o->version = true; break;
	case 'V': o->build = true; break;
	case 'h': o->help = true; break;
	case 's': return set_signal(o, arg, err);
	}
	return 0;
}

/* One word that starts with "--"; *i is moved over its argument. */
static int
parse_word(struct apw_options *o, char **argv, int *i, struct apw_err *err)
{
	const char	*word = argv[*i] + 2, *eq = strchr(word, '=');
	size_t		 n = eq == NULL ? strlen(word) : (size_t)(eq - word);
	const struct option_row *row = row_by_word(word, n);
	const char	*arg = eq == NULL ? NULL : eq + 1;

	if (row == NULL)
		return unknown_word(word, err);
	if (row->arg == NULL && arg != NULL)
		return apw_err_set(err, 0, "option \"--%s\" takes nothing",
		    row->word);
	if (row->arg != NULL && arg == NULL && (arg = argv[++*i]) == NULL)
		return apw_err_set(err, 0, "option \"--%s\" needs %s",
		    row->word, row->arg);
	return set_option(o, row->letter, arg, err);
}

/* One word of letters; an argument is the rest of the word, or the next. */
static int
parse_letters(struct apw_options *o, char **argv, int *i, struct apw_err *err)
{
	const char	*p, *arg;
	const struct option_row *row;

	for (p = argv[*i] + 1; *p != '\0'; p++) {
		if ((row = row_by_letter(*p)) == NULL)
			return apw_err_set(err, 0, "unknown option \"-%c\" in "
			    "\"%s\"; -h lists them", *p, argv[*i]);
		if (row->arg == NULL) {
			if (set_option(o, *p, NULL, err) == -1)
				return -1;
			continue;
		}
		arg = p[1] != '\0' ? p + 1 : argv[++*i];
		if (arg == NULL)
			return apw_err_set(err, 0, "option \"-%c\" needs %s",
			    *p, row->arg);
		return set_option(o, *p, arg, err);
	}
	return 0;
}

int
apw_options_parse(struct apw_options *o, int argc, char **argv,
    struct apw_err *err)
{
	int	i, rc;

	*o = (struct apw_options){ 0 };
	o->conf.cycle = 1;
	for (i = 1; i < argc; i++) {
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			return apw_err_set(err, 0, "unexpected \"%s\"; a "
			    "configuration file is given with -c", argv[i]);
		rc = argv[i][1] == '-' ? parse_word(o, argv, &i, err) :
		    parse_letters(o, argv, &i, err);
		if (rc == -1)
			return -1;
	}
	if (o->conf.file == NULL)
		o->conf.file = apw_options_default_file();
	return 0;
}
