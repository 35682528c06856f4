/* apworkerctl: talks to a running daemon.  Room: ctl.  The configuration
 * tells where it is: its pidfile, its monitor, its spool. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_conf.h"
#include "core/apw_exit.h"
#include "core/apw_module.h"
#include "core/apw_start.h"
#include "ctl/commands.h"
#include "ctl/run.h"
#include "master/options.h"

static const struct {
	const char	*name;
	int		(*fn)(int argc, char **argv, const struct apw_cycle *);
	const char	*usage;
	const char	*help;
} commands[] = {
	{ "status", apw_ctl_status, "[--json]",
	    "show slots and jobs; 0: ready, 1: not ready" },
	{ "reload", apw_ctl_reload, "[--wait | --no-wait] [--timeout SECONDS]",
	    "read the configuration again, say what came of it" },
	{ "stop", apw_ctl_stop, "[--drain | --now] [--timeout SECONDS]",
	    "end the daemon and wait for it" },
	{ "run", apw_ctl_run, "[--payload FILE|JSON] FLOW.json",
	    "run a flow through the spool" },
};

static int
usage(FILE *out)
{
	size_t	i;

	fprintf(out, "usage: apworkerctl [-vh] [-c FILE] [-p DIR] [-g TEXT] "
	    "COMMAND ...\n\n");
	for (i = 0; i < APW_COUNT(commands); i++)
		fprintf(out, "  %-6s %s\n         %s\n", commands[i].name,
		    commands[i].usage, commands[i].help);
	return out == stdout ? APW_EXIT_OK : CTL_EXIT_USAGE;
}

static int
unknown_command(const char *name)
{
	const char	*names[APW_COUNT(commands) + 1], *near;
	size_t		 i;

	for (i = 0; i < APW_COUNT(commands); i++)
		names[i] = commands[i].name;
	names[i] = NULL;
	if ((near = apw_str_nearest(name, names)) != NULL)
		fprintf(stderr, "apworkerctl: unknown command \"%s\"; did you "
		    "mean \"%s\"?\n", name, near);
	else
		fprintf(stderr, "apworkerctl: unknown command \"%s\"; -h lists "
		    "them\n", name);
	return CTL_EXIT_USAGE;
}

/* Options ahead of the command; the index of the command, or -1. */
static int
options(int argc, char **argv, struct apw_conf_options *o)
{
	const char	**to;
	int		  i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		switch (argv[i][1]) {
		case 'c': to = &o->file; break;
		case 'p': to = &o->prefix; break;
		case 'g': to = &o->globals; break;
		default:
			fprintf(stderr, "apworkerctl: unknown option \"%s\"; "
			    "-h lists them\n", argv[i]);
			return -1;
		}
		*to = argv[i][2] != '\0' ? argv[i] + 2 : argv[++i];
		if (*to == NULL) {
			fprintf(stderr, "apworkerctl: option \"%s\" needs a "
			    "word\n", argv[i - 1]);
			return -1;
		}
	}
	return i;
}

int
main(int argc, char **argv)
{
	struct apw_conf_options	 o = { .cycle = 1 };
	struct apw_cycle	*cycle;
	size_t			 i;
	int			 at, rc;

	apw_start();
	if (argc > 1 && (strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "--help") == 0))
		return usage(stdout);
	if (argc > 1 && (strcmp(argv[1], "-v") == 0 ||
	    strcmp(argv[1], "--version") == 0)) {
		printf("apworkerctl %s\n", PACKAGE_VERSION);
		return APW_EXIT_OK;
	}
	if ((at = options(argc, argv, &o)) == -1)
		return CTL_EXIT_USAGE;
	if (at >= argc)
		return usage(stderr);
	for (i = 0; i < APW_COUNT(commands); i++)
		if (strcmp(commands[i].name, argv[at]) == 0)
			break;
	if (i == APW_COUNT(commands))
		return unknown_command(argv[at]);
	if (o.file == NULL)
		o.file = apw_options_default_file();
	apw_modules_init();
	if ((cycle = apw_conf_read_again(&o)) == NULL)
		return APW_EXIT_CONF;
	rc = commands[i].fn(argc - at, argv + at, cycle);
	apw_cycle_free(cycle);
	return rc;
}
