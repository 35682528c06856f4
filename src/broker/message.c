/* Messages with descriptors; see message.h.  Room: broker. */
#include "broker/message.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_clock.h"

int
message_send(int sock, const void *data, size_t n, const int *fds, int nfds)
{
	union {
		struct cmsghdr	head;
		char		space[CMSG_SPACE(BROKER_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec	iov = { .iov_base = (void *)(uintptr_t)data,
			    .iov_len = n };
	struct msghdr	msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t		sent;

	if (nfds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds,
		    (size_t)nfds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	return sent == (ssize_t)n ? 0 : -1;
}

/* What the kernel has put into this message is ours, wanted or not. */
static bool
message_take(const struct cmsghdr *c, int *fds, int *nfds)
{
	const unsigned char	*p = CMSG_DATA(c);
	size_t			 n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool			 room = true;
	int			 fd;

	for (; n > 0; n--, p += sizeof(int)) {
		memcpy(&fd, p, sizeof(int));
		if (*nfds < BROKER_FDS_MAX)
			fds[(*nfds)++] = fd;
		else {
			close(fd);
			room = false;
		}
	}
	return room;
}

ssize_t
message_recv(int sock, void *data, size_t n, int *fds, int *nfds)
{
	pid_t	pid;

	return message_recv_from(sock, data, n, fds, nfds, &pid);
}

ssize_t
message_recv_from(int sock, void *data, size_t n, int *fds, int *nfds,
    pid_t *pid)
{
	union {
		struct cmsghdr	head;
		char		space[CMSG_SPACE(BROKER_FDS_MAX * sizeof(int)) +
				    CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct ucred	 who;
	bool		 whole;
	struct iovec	 iov = { .iov_base = data, .iov_len = n };
	struct msghdr	 msg = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = control.space,
			     .msg_controllen = sizeof(control.space) };
	struct cmsghdr	*c;
	ssize_t		 got;

	*nfds = 0;
	*pid = 0;
	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got == -1 && errno == EINTR);
	if (got <= 0)
		return got;
	whole = (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
	for (c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS)
			whole &= message_take(c, fds, nfds);
		else if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			*pid = who.pid;
		}
	}
	if (!whole) {
		while (*nfds > 0)
			close(fds[--*nfds]);
		errno = EMSGSIZE;
		return -1;
	}
	return got;
}

int
message_wait(int fd, int64_t ms)
{
	struct pollfd	p = { .fd = fd, .events = POLLIN };
	int64_t		end = apw_now_ms() + ms, left;
	int		n;

	for (;;) {
		left = end - apw_now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n != -1 || errno != EINTR)
			return n;
	}
}
