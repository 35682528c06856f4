/* Whose a connection is; see apw_peer.h.  Room: core.
 *
 * Must never take a connection for the engine's own because a question could
 * not be asked: then nothing is known of it. */
#include "core/apw_peer.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define PEER_ANSWER_BYTES	4096
#define PEER_LIST_BYTES		4096	/* the children of one thread */
#define PEER_PROCESSES		64	/* looked at in one question */

/* --- the kernel's word: user and number of the other end's socket --- */

struct peer_question {
	struct nlmsghdr		h;
	struct inet_diag_req_v2	r;
};

/* Opened once a process: the answer is there when the question was sent. */
static int	peer_diag = -1;

static int
peer_address(const struct sockaddr_storage *ss, __be16 *port, __be32 *to)
{
	const struct sockaddr_in	*in = (const void *)ss;
	const struct sockaddr_in6	*in6 = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		*port = in->sin_port;
		memcpy(to, &in->sin_addr, sizeof(in->sin_addr));
		return 0;
	}
	if (ss->ss_family != AF_INET6)
		return -1;
	*port = in6->sin6_port;
	memcpy(to, &in6->sin6_addr, sizeof(in6->sin6_addr));
	return 0;
}

/* The other end's socket has our address as its peer's. */
static int
peer_question(int fd, struct peer_question *q)
{
	struct sockaddr_storage	ours = { 0 }, theirs = { 0 };
	socklen_t		n = sizeof(ours), m = sizeof(theirs);
	struct inet_diag_sockid	*id = &q->r.id;

	*q = (struct peer_question){
		.h = { .nlmsg_len = sizeof(*q), .nlmsg_flags = NLM_F_REQUEST,
		    .nlmsg_type = SOCK_DIAG_BY_FAMILY },
		.r = { .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U },
	};
	if (getsockname(fd, (struct sockaddr *)&ours, &n) == -1 ||
	    getpeername(fd, (struct sockaddr *)&theirs, &m) == -1 ||
	    peer_address(&theirs, &id->idiag_sport, id->idiag_src) == -1 ||
	    peer_address(&ours, &id->idiag_dport, id->idiag_dst) == -1)
		return -1;
	q->r.sdiag_family = (uint8_t)theirs.ss_family;
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return 0;
}

/* 1 and its message; 0: there is no such socket; -1: no answer. */
static int
peer_answer(const struct peer_question *q, struct inet_diag_msg *out)
{
	_Alignas(struct nlmsghdr) char	 buf[PEER_ANSWER_BYTES];
	struct nlmsghdr			*h = (void *)buf;
	struct nlmsgerr			*e = NLMSG_DATA(h);
	ssize_t				 n;

	if (peer_diag == -1)
		peer_diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (peer_diag == -1 || send(peer_diag, q, sizeof(*q), 0) == -1 ||
	    (n = recv(peer_diag, buf, sizeof(buf), 0)) == -1 ||
	    !NLMSG_OK(h, (size_t)n))
		return -1;
	if (h->nlmsg_type == NLMSG_ERROR)
		return e->error == -ENOENT ? 0 : -1;
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*out)))
		return -1;
	memcpy(out, NLMSG_DATA(h), sizeof(*out));
	return 1;
}

/* --- who holds which socket --- */

struct peer_search {
	uint32_t	 inodes[APW_PEER_BATCH];
	enum apw_peer	*verdicts[APW_PEER_BATCH];
	size_t		 n;		/* that were not found yet */
	bool		 partial;	/* not all could be looked at */
};

static void
search_found(struct peer_search *s, size_t i)
{
	*s->verdicts[i] = APW_PEER_OWN;
	s->n--;
	s->inodes[i] = s->inodes[s->n];
	s->verdicts[i] = s->verdicts[s->n];
}

/* false: it may not be looked at. */
static bool
search_fd(struct peer_search *s, int dir_fd, const char *name)
{
	char		 text[64];
	ssize_t		 n = readlinkat(dir_fd, name, text, sizeof(text) - 1);
	unsigned long	 inode;
	size_t		 i;

	if (n <= 0)
		return n == -1 && errno == ENOENT;
	text[n] = '\0';
	if (sscanf(text, "socket:[%lu]", &inode) != 1)
		return true;
	for (i = 0; i < s->n; i++) {
		if (s->inodes[i] == inode) {
			search_found(s, i);
			break;
		}
	}
	return true;
}

/* false: its descriptors are not ours to see. */
static bool
search_process(struct peer_search *s, pid_t pid)
{
	struct dirent	*entry;
	char		 path[64];
	bool		 seen = true;
	DIR		*dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return errno == ENOENT;
	while (seen && s->n > 0 && (entry = readdir(dir)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]))
			seen = search_fd(s, dirfd(dir), entry->d_name);
	closedir(dir);
	return seen;
}

/* The children of one thread, on top of the stack of pids. */
static void
search_children(struct peer_search *s, int task_fd, const char *tid,
    pid_t *stack, size_t *n)
{
	char		 path[300], list[PEER_LIST_BYTES], *p, *end;
	size_t		 len = 0;
	ssize_t		 got;
	long		 pid;

	snprintf(path, sizeof(path), "%s/children", tid);
	apw_autofd int fd = openat(task_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		s->partial = true;
		return;
	}
	while (len < sizeof(list) - 1 &&
	    (got = read(fd, list + len, sizeof(list) - 1 - len)) > 0)
		len += (size_t)got;
	list[len] = '\0';
	if (len == sizeof(list) - 1)
		s->partial = true;
	for (p = list; (pid = strtol(p, &end, 10)) > 0; p = end) {
		if (*n == PEER_PROCESSES) {
			s->partial = true;
			return;
		}
		stack[(*n)++] = (pid_t)pid;
	}
}

static void
search_threads(struct peer_search *s, pid_t pid, pid_t *stack, size_t *n)
{
	struct dirent	*entry;
	char		 path[64];
	DIR		*dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return;			/* it has ended */
	while ((entry = readdir(dir)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]))
			search_children(s, dirfd(dir), entry->d_name, stack,
			    n);
	closedir(dir);
}

/* Mostly it is the process that was expected; else all below the top, as far
 * as they can be counted. */
static void
search_run(struct peer_search *s, const struct apw_peer_who *who)
{
	pid_t	stack[PEER_PROCESSES] = { who->top };
	pid_t	pid;
	size_t	n = 1, looked = 0, i;

	s->partial = !search_process(s, who->pid);
	while (s->n > 0 && n > 0 && looked++ < PEER_PROCESSES) {
		pid = stack[--n];
		/* a box's first process cannot be seen, and has no sockets */
		if (pid != who->pid && !search_process(s, pid) &&
		    pid != who->top)
			s->partial = true;
		search_threads(s, pid, stack, &n);
	}
	if (n > 0)
		s->partial = true;
	for (i = 0; i < s->n; i++)
		*s->verdicts[i] = s->partial ? APW_PEER_UNKNOWN :
		    APW_PEER_STRANGER;
}

/* --- the question --- */

/* What the user alone tells; the rest is for the search. */
static void
peer_ask_user(const struct apw_peer_who *who, int fd,
    enum apw_peer *verdict, struct peer_search *s)
{
	struct inet_diag_msg	m;
	struct peer_question	q;
	int			rc;

	*verdict = APW_PEER_STRANGER;		/* it has gone already */
	if (peer_question(fd, &q) == -1)
		return;
	rc = peer_answer(&q, &m);
	if (rc == -1 || (rc == 1 && !who->known))
		*verdict = APW_PEER_UNKNOWN;
	/* no number: no process holds it any more */
	if (rc != 1 || !who->known || m.idiag_state == TCP_LISTEN ||
	    m.idiag_inode == 0 || m.idiag_uid != who->uid)
		return;
	*verdict = APW_PEER_UNKNOWN;
	s->inodes[s->n] = m.idiag_inode;
	s->verdicts[s->n++] = verdict;
}

void
apw_peer_ask(const struct apw_peer_who *who, const int *fds,
    enum apw_peer *verdicts, size_t n)
{
	struct peer_search	s = { .n = 0 };
	size_t			i;

	for (i = 0; i < n; i++)
		peer_ask_user(who, fds[i], &verdicts[i], &s);
	if (s.n == 0)
		return;
	/* a user that is not ours is a box's, and nobody else's: we may not
	 * look, and need not */
	if (who->uid != geteuid()) {
		while (s.n > 0)
			search_found(&s, s.n - 1);
		return;
	}
	search_run(&s, who);
}

void
apw_peer_who(struct apw_peer_who *who, pid_t pid, pid_t top)
{
	char		 path[64], text[2048], *p;
	unsigned	 real, effective;
	ssize_t		 n;

	*who = (struct apw_peer_who){ .pid = pid, .top = top };
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	apw_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || (n = read(fd, text, sizeof(text) - 1)) <= 0)
		return;
	text[n] = '\0';
	p = strstr(text, "\nUid:");
	if (p == NULL || sscanf(p, "\nUid: %u %u", &real, &effective) != 2)
		return;
	who->uid = effective;
	who->known = true;
}

void
apw_peer_turn_away(int fd)
{
	const struct linger	now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
