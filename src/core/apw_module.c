/* Looking up the modules that configure collected.  Room: any. */
#include "core/apw_module.h"

#include <string.h>

void
apw_modules_init(void)
{
	size_t	i;

	for (i = 0; apw_modules[i] != NULL; i++)
		apw_modules[i]->index = i;
}

size_t
apw_modules_count(void)
{
	size_t	n = 0;

	while (apw_modules[n] != NULL)
		n++;
	return n;
}

const struct apw_module *
apw_module_find(enum apw_module_kind kind, const char *block)
{
	size_t	i;

	for (i = 0; apw_modules[i] != NULL; i++)
		if (apw_modules[i]->kind == kind &&
		    apw_modules[i]->block != NULL &&
		    strcmp(apw_modules[i]->block, block) == 0)
			return apw_modules[i];
	return NULL;
}
