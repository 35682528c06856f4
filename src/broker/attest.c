/* What a box with a network of its own proves of it before anything else
 * runs in there.  Room: broker; attest_box() after clone.
 *
 * The box asks the kernel what it is in (rtnetlink), and tries its own
 * loopback: a canary that its broker keeps on the host's must not answer, its
 * two listeners must.  It never sends a packet to any other address. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#define ATTEST_BYTES	8192	/* of one answer of a dump */
#define ATTEST_SECONDS	1
#define ATTEST_WAIT_MS	4000	/* for a way out */
#define ATTEST_TURNS	64	/* answers: a real host has more than we want */

/* Called for each record of a dump; false: it must not be there. */
typedef bool attest_fn(const struct nlmsghdr *, const struct box_plan *);

/* A loopback, or something that lies about (kernels with tunnel modules give
 * each namespace some) and that nobody in the box may raise. */
static bool
attest_link(const struct nlmsghdr *h, const struct box_plan *plan)
{
	const struct ifinfomsg	*m = NLMSG_DATA(h);

	return h->nlmsg_type == RTM_NEWLINK &&
	    ((m->ifi_flags & IFF_LOOPBACK) != 0 ||
	    (m->ifi_flags & IFF_UP) == 0 ||
	    (plan->flags & APW_BOX_OUTSIDE) != 0);
}

/* Loopback's own, or a refusal: nothing that leads anywhere. */
static bool
attest_route(const struct nlmsghdr *h, const struct box_plan *plan)
{
	struct rtmsg		*m = NLMSG_DATA(h);
	struct rtattr		*a = RTM_RTA(m);
	int			 left = (int)RTM_PAYLOAD(h), oif = 0;

	if ((plan->flags & APW_BOX_OUTSIDE) != 0)
		return true;
	if (h->nlmsg_type != RTM_NEWROUTE)
		return false;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_GATEWAY || a->rta_type == RTA_VIA ||
		    a->rta_type == RTA_MULTIPATH)
			return false;
		if (a->rta_type == RTA_OIF)
			memcpy(&oif, RTA_DATA(a), sizeof(oif));
	}
	return oif == 1 || m->rtm_type == RTN_UNREACHABLE ||
	    m->rtm_type == RTN_PROHIBIT || m->rtm_type == RTN_BLACKHOLE;
}

/* 1: the dump has ended; 0: there is more; -1 with errno, EPERM for a record
 * that must not be there. */
static int
attest_answer(int fd, attest_fn *fn, const struct box_plan *plan)
{
	_Alignas(struct nlmsghdr) char	 buf[ATTEST_BYTES];
	struct nlmsghdr			*h = (void *)buf;
	ssize_t				 got = recv(fd, buf, sizeof(buf), 0);
	unsigned			 n;

	if (got == -1)
		return -1;
	for (n = (unsigned)got; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		errno = EPROTO;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -1;
		errno = EPERM;
		if (!fn(h, plan))
			return -1;
	}
	return 0;
}

static int
attest_dump(int type, attest_fn *fn, const struct box_plan *plan)
{
	struct {
		struct nlmsghdr	 h;
		struct rtgenmsg	 g;
	} ask = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
		    .nlmsg_type = (uint16_t)type,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.g = { .rtgen_family = AF_UNSPEC },
	};
	apw_autofd int	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			    NETLINK_ROUTE);
	int		turns, rc;

	if (fd == -1 || send(fd, &ask, ask.h.nlmsg_len, 0) == -1)
		return -1;
	for (turns = 0; turns < ATTEST_TURNS; turns++)
		if ((rc = attest_answer(fd, fn, plan)) != 0)
			return rc == 1 ? 0 : -1;
	errno = E2BIG;
	return -1;
}

static int
attest_connect(unsigned port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval	soon = { ATTEST_SECONDS, 0 };
	apw_autofd int		fd = socket(AF_INET, SOCK_STREAM |
				    SOCK_CLOEXEC, 0);

	/* over a loopback it is done, or refused, at once; in case it is
	 * neither it takes no longer than this */
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon,
	    sizeof(soon)) == -1 || connect(fd, (struct sockaddr *)&a,
	    sizeof(a)) == -1)
		return -1;
	return apw_take_fd(&fd);
}

/* Somebody who connects to the port is heard here. */
static int
attest_hears(int listen_fd, unsigned port)
{
	apw_autofd int	fd = attest_connect(port), other = -1;

	if (fd == -1)
		return -1;
	other = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	return other == -1 ? -1 : 0;
}

/* Found: a default route over something that is no loopback. */
static bool
attest_way(const struct nlmsghdr *h, const struct box_plan *plan)
{
	struct rtmsg	*m = NLMSG_DATA(h);
	struct rtattr	*a = RTM_RTA(m);
	int		 left = (int)RTM_PAYLOAD(h), oif = 1;

	(void)plan;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_OIF)
			memcpy(&oif, RTA_DATA(a), sizeof(oif));
	return m->rtm_dst_len != 0 || m->rtm_type != RTN_UNICAST || oif == 1;
}

int
attest_outside(int talk_fd)
{
	int	turns, rc;

	for (turns = 0; turns < ATTEST_WAIT_MS; turns++) {
		rc = attest_dump(RTM_GETROUTE, attest_way, NULL);
		if (rc == -1)
			return errno == EPERM ? 0 : -1;
		/* readable: the broker has given up */
		if (message_wait(talk_fd, 1) != 0)
			break;
	}
	errno = ETIMEDOUT;
	return -1;
}

/* Kept while the broker lives: nobody else can take it down. */
int
attest_canary(unsigned *port)
{
	struct sockaddr_in	a;
	socklen_t		len = sizeof(a);
	apw_autofd int		fd = net_listen(0);

	if (fd == -1 || getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		return -1;
	*port = ntohs(a.sin_port);
	return attest_hears(fd, *port) == -1 ? -1 : apw_take_fd(&fd);
}

/* The host's loopback: nobody may answer there, in whatever way. */
static int
attest_alone(unsigned port)
{
	apw_autofd int	fd = attest_connect(port);

	if (fd == -1 && errno == ECONNREFUSED)
		return 0;
	if (fd != -1)
		errno = EISCONN;
	return -1;
}

enum box_step
attest_box(const struct box_plan *plan, const int fds[2])
{
	if (attest_dump(RTM_GETLINK, attest_link, plan) == -1)
		return BOX_LINKS;
	if (attest_dump(RTM_GETROUTE, attest_route, plan) == -1)
		return BOX_ROUTES;
	if (attest_alone(plan->b->canary_port) == -1)
		return BOX_CANARY;
	if (attest_hears(fds[0], APW_BOX_LINK_PORT) == -1 ||
	    attest_hears(fds[1], APW_BOX_PROXY_PORT) == -1)
		return BOX_HEARD;
	return BOX_NSTEPS;
}
