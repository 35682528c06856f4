/* The command line of apworkerd; nginx's letters and meanings. */
#ifndef APW_OPTIONS_H
#define APW_OPTIONS_H

#include <stdbool.h>

#include "core/apw_conf.h"
#include "core/apw_err.h"

struct apw_options {
	struct apw_conf_options	 conf;		/* borrowed from argv */
	bool			 test, dump, version, build, help;
	const char		*signal_name;	/* NULL: start */
	int			 signal;
};

int	apw_options_parse(struct apw_options *, int argc, char **argv,
	    struct apw_err *);
void	apw_options_help(void);
/* The file when no -c is given: the default one when it is there, else NULL
 * (the environment alone). */
const char *apw_options_default_file(void);
/* version.c */
void	apw_version_print(void);
void	apw_version_build(void);

#endif
