/* Keeps processes from ending: traces them, and does not look when they have
 * died.  Their bodies stay, and with them whoever has to wait for them (the
 * first process of their pid namespace), as behind a disk that does not
 * answer.
 *
 *	hold PID...		says "held", until its stdin closes
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	char	c;
	int	i;

	for (i = 1; i < argc; i++)
		if (ptrace(PTRACE_SEIZE, atoi(argv[i]), NULL, NULL) == -1) {
			perror(argv[i]);
			return 1;
		}
	puts("held");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
