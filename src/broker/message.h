/* What a slot and its broker say to each other: fixed-size messages over a
 * socket that keeps boundaries.  Variable text (the command of a box) goes
 * past the broker: it is passed on unread, as a pipe that has no other end any
 * more, or as a sealed file where it is long. */
#ifndef APW_BROKER_MESSAGE_H
#define APW_BROKER_MESSAGE_H

#include <stdint.h>

#include "broker/broker.h"

/* name, descriptors that come with it, what it asks */
#define BROKER_REQUESTS(X)						\
	X(BOOT,		4, "start a box: command, stdout, stderr, status") \
	X(TRY,		0, "can boxes of these flags be made here?")	\
	X(ADMIT,	0, "bind one folder of the stock into the box")	\
	X(KILL,		0, "end the box")				\
	X(END,		0, "the box has ended: clean up, tell the evidence") \
	X(DESCRIBE,	0, "make the template; say which limits hold here") \
	X(HURRY,	0, "the box yields to nobody any more; not answered") \
	X(MARK,		0, "a job begins in the box; not answered")	\
	X(OPEN,		1, "builders: another broker, on this socket")
#define BROKER_REQUEST_ENUM(name, fds, text)	BROKER_##name,
#define BROKER_REQUEST_FDS(name, fds, text)	fds,

enum broker_op { BROKER_REQUESTS(BROKER_REQUEST_ENUM) BROKER_NOPS };

#define BROKER_FDS_MAX	5		/* BOOT: and Landlock rules */
#define BROKER_ID_BYTES	256

struct broker_request {
	uint32_t	op;
	uint32_t	flags;			/* BOOT, TRY: enum apw_box_flag */
	uint64_t	memory_bytes;		/* BOOT */
	uint32_t	what;			/* ADMIT: enum apw_admit */
	char		id[BROKER_ID_BYTES];	/* ADMIT; BOOT of builders */
};

struct broker_reply {
	uint32_t	op;			/* of the request */
	int32_t		status;			/* 0 or 1; -1: text says why */
	int32_t		code;			/* of the error */
	int32_t		fault;			/* enum apw_fault */
	int32_t		pid;			/* BOOT; with pidfd, listeners */
	int32_t		engine_pid;		/* BOOT; 0: not known */
	struct apw_box_end end;			/* END */
	char		text[768];
};

/* The command: this head, then argc + envc + 1 strings, each with its
 * NUL: arguments, environment, working directory. */
#define COMMAND_MAGIC	0x61707763
#define COMMAND_BYTES	(1024 * 1024)
#define COMMAND_WORDS	512

struct command_head {
	uint32_t	magic;
	uint32_t	argc, envc;
	uint32_t	text_bytes;
};

/* Send or receive one message with its descriptors; -1 with errno.  A
 * receiver gets descriptors with close-on-exec; *nfds is how many came.
 * Returns the bytes of the message, 0 at the end. */
int	message_send(int sock, const void *, size_t, const int *fds, int nfds);
ssize_t	message_recv(int sock, void *, size_t, int *fds, int *nfds);
/* The same, and who sent it (0: not told), of a socket that asks for it. */
ssize_t	message_recv_from(int sock, void *, size_t, int *fds, int *nfds,
	    pid_t *pid);
/* Readable within ms?  1 yes, 0 no, -1 error. */
int	message_wait(int fd, int64_t ms);

#endif
