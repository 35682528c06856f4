/* System calls of a box's first process, and of the one that becomes its
 * engine, until this executes its command.
 *
 * All are made by the C library's syscall(): of each other page of the library
 * that a new process runs it costs a page fault, which most of these calls
 * themselves do not.  Arguments that the kernel takes as long must be long. */
#ifndef APW_BROKER_CALLS_H
#define APW_BROKER_CALLS_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name, ...)	syscall(SYS_##name, __VA_ARGS__)

static inline int
call_prctl(int what, unsigned long value)
{
	return (int)CALL(prctl, what, value, 0UL, 0UL, 0UL);
}

static inline int
call_dup(int fd, int to)
{
	return (int)CALL(dup3, fd, to, 0);
}

/* SIG_DFL is a structure of zeros, wherever the kernel runs. */
static inline int
call_signal_default(int sig)
{
	static const uint64_t	zero[16];

	return (int)CALL(rt_sigaction, sig, zero, NULL, (size_t)(_NSIG / 8));
}

static inline int
call_signals_unblock(void)
{
	static const uint64_t	none[2];

	return (int)CALL(rt_sigprocmask, SIG_SETMASK, none, NULL,
	    (size_t)(_NSIG / 8));
}

_Noreturn static inline void
call_exit(int code)
{
	for (;;)
		syscall(SYS_exit_group, code);
}

#endif
