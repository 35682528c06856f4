/* apw_conf_tool: the configuration reader alone, for building the manual
 * page and apworker.conf.full, and for the tests.  Not installed.
 *
 *	-t	read and check, say so			-T	and print it
 *	-r FILE	what a reload of FILE could not change
 *	-M	the directives in mdoc			-F	apworker.conf.full
 *	-c FILE -p PREFIX -g DIRECTIVES -n CYCLE	as apworkerd */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_conf.h"
#include "core/apw_exit.h"

static int
tool_reload(struct apw_conf_options *o, const struct apw_cycle *now,
    const char *file)
{
	struct apw_cycle	*next;

	o->file = file;
	o->cycle++;
	next = apw_conf_read(o, stderr);
	if (next == NULL)
		return APW_EXIT_CONF;
	apw_conf_restart_only(now, next, stdout);
	apw_cycle_free(next);
	return APW_EXIT_OK;
}

int
main(int argc, char **argv)
{
	struct apw_conf_options	 o = { .cycle = 1 };
	struct apw_cycle	*cycle;
	const char		*again = NULL;
	int			 c, what = 't', rc = APW_EXIT_OK;

	while ((c = getopt(argc, argv, "FMTtc:g:n:p:r:")) != -1) {
		switch (c) {
		case 'F':
		case 'M':
		case 'T':
		case 't':
			what = c;
			break;
		case 'c':
			o.file = optarg;
			break;
		case 'g':
			o.globals = optarg;
			break;
		case 'n':
			o.cycle = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			o.prefix = optarg;
			break;
		case 'r':
			again = optarg;
			break;
		default:
			return APW_EXIT_CONF;
		}
	}
	if (what == 'M')
		apw_conf_manual(stdout);
	if (what == 'F')
		apw_conf_full(stdout);
	if (what == 'M' || what == 'F')
		return fflush(stdout) == 0 ? APW_EXIT_OK : APW_EXIT_OS;
	cycle = apw_conf_read(&o, stderr);
	if (cycle == NULL)
		return APW_EXIT_CONF;
	if (what == 'T')
		apw_conf_dump(cycle, stdout);
	else
		fprintf(stderr, "apworkerd: %s: the configuration is good\n",
		    o.file != NULL ? o.file : "configuration");
	if (again != NULL)
		rc = tool_reload(&o, cycle, again);
	apw_cycle_free(cycle);
	return rc;
}
