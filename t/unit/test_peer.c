/* Whose a connection over loopback is: ours, a child's, a stranger's of the
 * same user and of another, and one that has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_peer.h"

static struct sockaddr_in	at;
static int			listener;

static int
setup(void **state)
{
	socklen_t	n = sizeof(at);

	(void)state;
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return listener == -1 || bind(listener, (struct sockaddr *)&at,
	    sizeof(at)) == -1 || listen(listener, 64) == -1 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) == -1 ? -1 : 0;
}

static int
come(void)
{
	int	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == -1)
		_exit(1);
	return fd;
}

static int
hear(void)
{
	int	fd = accept(listener, NULL, NULL);

	assert_int_not_equal(fd, -1);
	return fd;
}

/* A process with one connection; it lives until it is killed.  deep: the
 * connection is its child's. */
static pid_t
other(uid_t uid, bool deep)
{
	pid_t	pid = fork();

	if (pid != 0)
		return pid;
	close(listener);
	if (uid != 0 && setuid(uid) == -1)
		_exit(1);
	if (deep && fork() != 0)
		for (;;)
			pause();
	/* with the parent, or soon after */
	if (deep)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	come();
	for (;;)
		pause();
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static enum apw_peer
ask(const struct apw_peer_who *who, int fd)
{
	enum apw_peer	whose;

	apw_peer_ask(who, &fd, &whose, 1);
	return whose;
}

static void
test_ours(void **state)
{
	apw_autofd int		theirs = come(), ours = hear();
	struct apw_peer_who	who;

	(void)state;
	apw_peer_who(&who, getpid(), getpid());
	assert_true(who.known);
	assert_int_equal(who.uid, geteuid());
	assert_int_equal(ask(&who, ours), APW_PEER_OWN);
	/* nobody is meant: nothing is known */
	who.known = false;
	assert_int_equal(ask(&who, ours), APW_PEER_UNKNOWN);
	/* closed by who made it */
	who.known = true;
	close(apw_take_fd(&theirs));
	assert_int_equal(ask(&who, ours), APW_PEER_STRANGER);
}

static void
test_others(void **state)
{
	pid_t			meant = other(0, false), deep, beside;
	apw_autofd int		one = hear(), two = -1, three = -1;
	struct apw_peer_who	who;
	enum apw_peer		whose[3];

	(void)state;
	beside = other(0, false);
	two = hear();
	deep = other(0, true);
	three = hear();
	const int		fds[] = { one, two, three };

	apw_peer_who(&who, meant, meant);
	apw_peer_ask(&who, fds, whose, 3);
	assert_int_equal(whose[0], APW_PEER_OWN);
	assert_int_equal(whose[1], APW_PEER_STRANGER);
	assert_int_equal(whose[2], APW_PEER_STRANGER);

	/* below the one that is meant */
	apw_peer_who(&who, deep, deep);
	apw_peer_ask(&who, fds, whose, 3);
	assert_int_equal(whose[0], APW_PEER_STRANGER);
	assert_int_equal(whose[2], APW_PEER_OWN);

	/* below the top */
	apw_peer_who(&who, meant, getpid());
	apw_peer_ask(&who, fds, whose, 3);
	assert_int_equal(whose[1], APW_PEER_OWN);
	end(meant);
	end(beside);
	end(deep);
}

static void
test_users(void **state)
{
	struct apw_peer_who	who;
	pid_t			pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = other(65533, false);
	apw_autofd int		one = hear();

	apw_peer_who(&who, getpid(), getpid());
	assert_int_equal(ask(&who, one), APW_PEER_STRANGER);
	/* of a user that is not ours its name is enough */
	apw_peer_who(&who, pid, pid);
	assert_int_equal(who.uid, 65533);
	assert_int_equal(ask(&who, one), APW_PEER_OWN);
	end(pid);
}

/* Turned away: it learns at once, and no trace of it stays here. */
static void
test_away(void **state)
{
	apw_autofd int	theirs = come();
	char		c;

	(void)state;
	apw_peer_turn_away(hear());
	assert_int_not_equal(read(theirs, &c, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_away),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
