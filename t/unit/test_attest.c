/* What a box proves of its network: found true in an empty namespace, found
 * false in each that is not.  Every case is a child in namespaces of its
 * own; no packet leaves a loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"

/* A default route, as if somebody led out of here. */
static int
case_route(void)
{
	struct rtentry		 rt = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct sockaddr_in	*to = (struct sockaddr_in *)&rt.rt_dst;
	struct sockaddr_in	*by = (struct sockaddr_in *)&rt.rt_gateway;
	struct sockaddr_in	*mask = (struct sockaddr_in *)&rt.rt_genmask;
	int			 fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	to->sin_family = by->sin_family = mask->sin_family = AF_INET;
	by->sin_addr.s_addr = htonl(0x7f000002);
	rc = ioctl(fd, SIOCADDRT, &rt);
	close(fd);
	return rc;
}

enum what { EMPTY, SAME_NETWORK, ROUTE, NO_LISTENER };

/* In the child: 100 + step, or 99 when the case could not be made. */
static int
attest_in(enum what what, unsigned canary)
{
	struct broker	b = { .canary_port = canary };
	struct box_plan	plan = { .b = &b, .flags = APW_BOX_OWN_NET };
	int		fds[2];

	if (what != SAME_NETWORK && (unshare(CLONE_NEWNET) == -1 ||
	    net_loopback() == -1))
		return 99;
	if (what == ROUTE && case_route() == -1)
		return 98;
	fds[0] = net_listen(what == NO_LISTENER ? 0 : APW_BOX_LINK_PORT);
	fds[1] = net_listen(APW_BOX_PROXY_PORT);
	return 100 + (int)attest_box(&plan, fds);
}

static int
attest(enum what what)
{
	unsigned	port;
	int		canary, status;
	pid_t		pid;

	pid = fork();
	if (pid == 0) {
		/* one more, so that the outer network is ours, too */
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1 ||
		    net_loopback() == -1 || (canary = attest_canary(&port)) ==
		    -1)
			_exit(97);
		_exit(attest_in(what, port));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_empty(void **state)
{
	(void)state;
	assert_int_equal(attest(EMPTY), 100 + BOX_NSTEPS);
}

static void
test_canary(void **state)
{
	(void)state;
	assert_int_equal(attest(SAME_NETWORK), 100 + BOX_CANARY);
}

static void
test_route(void **state)
{
	(void)state;
	assert_int_equal(attest(ROUTE), 100 + BOX_ROUTES);
}

static void
test_listener(void **state)
{
	(void)state;
	assert_int_equal(attest(NO_LISTENER), 100 + BOX_HEARD);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
