/* The daemon whose boxes are not what they must be: before a box looks at its
 * network, one of these is made true in there, as the file that
 * APW_TEST_LEAK names says (it may change while the daemon runs):
 *
 *	interface	a pair of interfaces, one end of them up
 *	route		a default route
 *	canary		somebody answers where the host's canary listens
 *	listener	the box's own listener does not answer
 *
 * Linked with --wrap=attest_box; nothing of this is in what is shipped. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_priv.h"

enum box_step	__real_attest_box(const struct box_plan *, const int fds[2]);
enum box_step	__wrap_attest_box(const struct box_plan *, const int fds[2]);

static const char	*leak;		/* 16 bytes of the file, shared */

/* The box has no files of the host: what it must know is mapped before. */
__attribute__((constructor)) static void
leak_map(void)
{
	const char	*path = getenv("APW_TEST_LEAK");
	int		 fd = path != NULL ? open(path, O_RDONLY) : -1;
	void		*p;

	if (fd == -1)
		return;
	p = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
	leak = p != MAP_FAILED ? p : NULL;
	close(fd);
}

static bool
leaks(const char *what)
{
	return leak != NULL && strncmp(leak, what, strlen(what)) == 0;
}

static int
must(int rc, const char *what)
{
	if (rc == -1) {
		perror(what);
		_exit(126);
	}
	return rc;
}

static void
attr(struct nlmsghdr *h, unsigned short type, const void *p, size_t n)
{
	struct rtattr	*a = (struct rtattr *)((char *)h +
			    NLMSG_ALIGN(h->nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	if (n > 0)
		memcpy(RTA_DATA(a), p, n);
	h->nlmsg_len = (uint32_t)(NLMSG_ALIGN(h->nlmsg_len) +
	    RTA_ALIGN(a->rta_len));
}

static void
leak_interface(void)
{
	struct {
		struct nlmsghdr	 h;
		struct ifinfomsg m;
		char		 attrs[256];
	} ask = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		    .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST |
		    NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK },
	};
	struct {
		struct rtattr	kind;
		char		text[8];
	} info = {
		.kind = { .rta_len = RTA_LENGTH(5), .rta_type =
		    IFLA_INFO_KIND },
		.text = "veth",
	};
	struct ifreq	up = { .ifr_name = "leak0" };
	char		answer[1024];
	int		fd = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
			    "netlink");

	attr(&ask.h, IFLA_IFNAME, "leak0", 6);
	attr(&ask.h, IFLA_LINKINFO, &info.kind, sizeof(info.kind) + 8);
	must((int)send(fd, &ask, ask.h.nlmsg_len, 0), "interface");
	must((int)recv(fd, answer, sizeof(answer), 0), "interface");
	close(fd);
	fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	up.ifr_flags = IFF_UP;
	must(ioctl(fd, SIOCSIFFLAGS, &up), "interface up");
	close(fd);
}

static void
leak_route(void)
{
	struct rtentry		 rt = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct sockaddr_in	*to = (struct sockaddr_in *)&rt.rt_dst;
	struct sockaddr_in	*by = (struct sockaddr_in *)&rt.rt_gateway;
	struct sockaddr_in	*mask = (struct sockaddr_in *)&rt.rt_genmask;
	int			 fd = must(socket(AF_INET, SOCK_DGRAM, 0),
				    "socket");

	to->sin_family = by->sin_family = mask->sin_family = AF_INET;
	by->sin_addr.s_addr = htonl(0x7f000002);
	must(ioctl(fd, SIOCADDRT, &rt), "route");
	close(fd);
}

enum box_step
__wrap_attest_box(const struct box_plan *plan, const int fds[2])
{
	int	other[2] = { fds[0], fds[1] };

	if (leaks("interface"))
		leak_interface();
	else if (leaks("route"))
		leak_route();
	else if (leaks("canary"))	/* stays open until the box is gone */
		must(net_listen(plan->b->canary_port), "canary");
	else if (leaks("listener"))
		other[0] = fds[1];
	return __real_attest_box(plan, other);
}
