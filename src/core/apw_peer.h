/* Whose a connection is that somebody on this host has made to us over
 * loopback: asked of the kernel, not of who connects.  Room: core.
 *
 * The kernel tells a connection's user and the number of its socket
 * (sock_diag(7), of our own network namespace), and /proc which processes
 * hold a socket of that number. */
#ifndef APW_PEER_H
#define APW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Connections of one question. */
#define APW_PEER_BATCH	32

enum apw_peer {
	APW_PEER_UNKNOWN,	/* the kernel does not say */
	APW_PEER_OWN,		/* of the process that is meant, or below it */
	APW_PEER_STRANGER,	/* of another, or of nobody any more */
};

struct apw_peer_who {
	bool	known;		/* false: no answer but UNKNOWN or STRANGER */
	uid_t	uid;
	pid_t	pid;		/* the process that is meant */
	pid_t	top;		/* it, and all below it, count as well */
};

/* Whose connections are to be told: those of a process that runs now, and of
 * what is below top; read from /proc. */
void	apw_peer_who(struct apw_peer_who *, pid_t pid, pid_t top);

/* Whose the connections are that were accepted as these descriptors; n is
 * APW_PEER_BATCH at most.  Does not wait. */
void	apw_peer_ask(const struct apw_peer_who *, const int *fds,
	    enum apw_peer *, size_t n);

/* End a connection that nobody wants, without a trace of it staying here. */
void	apw_peer_turn_away(int fd);

#endif
