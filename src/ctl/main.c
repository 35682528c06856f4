/* apworkerctl: talks to a running daemon.  Room: ctl. */
#include <stdio.h>

#include "config.h"

int
main(void)
{
	printf("%s\n", PACKAGE_STRING);
	return 0;
}
