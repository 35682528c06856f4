/* apworkerd: options, then the master.  Room: master. */
#include <stdio.h>

#include "config.h"

int
main(void)
{
	printf("%s\n", PACKAGE_STRING);
	return 0;
}
