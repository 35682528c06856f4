/* The slot's side of the wall: it asks, the broker does.  Room: slot (any
 * process that wants boxes).  Never mounts, never enters a namespace. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/broker_priv.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define ASK_STOP_MS	2500	/* its box has 2 s to end */
#define ASK_KILL_MS	500

struct apw_broker {
	pid_t	pid;
	int	sock;		/* owned */
};

struct apw_broker *
apw_broker_start(const struct apw_broker_conf *conf, struct apw_err *err)
{
	struct apw_broker	*b = calloc(1, sizeof(*b));
	pid_t			 parent = getpid();
	sigset_t		 all, before;
	int			 pair[2];

	if (b == NULL) {
		apw_err_set(err, ENOMEM, "cannot make a broker");
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1) {
		apw_err_set(err, errno, "no socket for a broker");
		free(b);
		return NULL;
	}
	/* no handler of ours may run in the child before it has its own */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	b->pid = fork();
	if (b->pid == 0)
		broker_main(conf, pair[1], parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	b->sock = pair[0];
	if (b->pid == -1) {
		apw_err_set(err, errno, "cannot fork a broker");
		close(b->sock);
		free(b);
		return NULL;
	}
	return b;
}

struct apw_broker *
apw_broker_open(const struct apw_broker *from, struct apw_err *err)
{
	struct broker_request	 rq = { .op = BROKER_OPEN };
	struct apw_broker	*b = calloc(1, sizeof(*b));
	int			 pair[2], rc;

	if (b == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair) == -1) {
		apw_err_set(err, errno, "no socket for a broker");
		free(b);
		return NULL;
	}
	rc = message_send(from->sock, &rq, sizeof(rq), &pair[1], 1);
	if (rc == -1)
		apw_err_set(err, errno, "the builders' broker does not hear");
	close(pair[1]);
	b->sock = pair[0];
	if (rc == 0)
		return b;
	apw_broker_stop(b);
	return NULL;
}

int
apw_broker_fd(const struct apw_broker *b)
{
	return b->sock;
}

pid_t
apw_broker_pid(const struct apw_broker *b)
{
	return b->pid;
}

void
apw_broker_hang_up(struct apw_broker *b)
{
	shutdown(b->sock, SHUT_RDWR);
}

/* One that the kernel holds (its disk does not answer) is not waited for: who
 * comes after us ends it. */
void
apw_broker_stop(struct apw_broker *b)
{
	int	pidfd;

	if (b == NULL)
		return;
	/* it ends its box, leaves its group, and ends */
	close(b->sock);
	if (b->pid == 0) {		/* another's child */
		free(b);
		return;
	}
	pidfd = (int)syscall(SYS_pidfd_open, b->pid, 0);
	if (pidfd == -1 || message_wait(pidfd, ASK_STOP_MS) != 1) {
		kill(b->pid, SIGKILL);
		if (pidfd != -1)
			message_wait(pidfd, ASK_KILL_MS);
	}
	if (pidfd != -1)
		close(pidfd);
	waitpid(b->pid, NULL, pidfd == -1 ? 0 : WNOHANG);
	free(b);
}

static void
ask_close(int *fds, int nfds)
{
	while (nfds-- > 0)
		close(fds[nfds]);
}

static int
ask_send(struct apw_broker *b, const struct broker_request *rq,
    const int *fds, int nfds, struct apw_err *err)
{
	if (message_send(b->sock, rq, sizeof(*rq), fds, nfds) == 0)
		return 0;
	apw_err_set(err, errno, "the broker does not hear");
	return apw_err_blame(err, APW_FAULT_OWN);
}

/* The answer to the eldest question; its fds become the caller's. */
static int
ask_hear(struct apw_broker *b, uint32_t op, struct broker_reply *reply,
    int *got, int *ngot, struct apw_err *err)
{
	ssize_t	n;

	if (message_wait(b->sock, APW_BROKER_WAIT_MS) != 1) {
		/* its answer would be taken for that to another question: it
		 * is to end, and its slot with it */
		apw_broker_hang_up(b);
		apw_err_set(err, 0, "the broker does not answer");
		return apw_err_blame(err, APW_FAULT_OWN);
	}
	n = message_recv(b->sock, reply, sizeof(*reply), got, ngot);
	if (n != sizeof(*reply) || reply->op != op) {
		ask_close(got, *ngot);
		apw_err_set(err, n == -1 ? errno : 0, "the broker has ended");
		return apw_err_blame(err, APW_FAULT_OWN);
	}
	if (reply->status == -1) {
		ask_close(got, *ngot);
		/* a box that failed on its way up is our child already; one
		 * that does not end is left to who reaps what nobody owns */
		if (reply->pid > 0)
			waitpid(reply->pid, NULL, WNOHANG);
		reply->text[sizeof(reply->text) - 1] = '\0';
		apw_err_set(err, 0, "%s", reply->text);
		if (err != NULL) {
			err->code = reply->code;
			err->fault = (enum apw_fault)reply->fault;
		}
		return -1;
	}
	return 0;
}

/* One question, one answer. */
static int
ask(struct apw_broker *b, const struct broker_request *rq, const int *fds,
    int nfds, struct broker_reply *reply, int *got, int *ngot,
    struct apw_err *err)
{
	return ask_send(b, rq, fds, nfds, err) == -1 ? -1 :
	    ask_hear(b, rq->op, reply, got, ngot, err);
}

static int
ask_plain(struct apw_broker *b, const struct broker_request *rq,
    struct broker_reply *reply, struct apw_err *err)
{
	int	fds[BROKER_FDS_MAX], nfds = 0;

	if (ask(b, rq, NULL, 0, reply, fds, &nfds, err) == -1)
		return -1;
	ask_close(fds, nfds);
	return 0;
}

static int
command_words(const char *const *words, uint32_t *count, size_t *bytes)
{
	for (*count = 0; words[*count] != NULL; ++*count) {
		if (*count == COMMAND_WORDS)
			return -1;
		*bytes += strlen(words[*count]) + 1;
	}
	return 0;
}

static char *
command_put(char *p, const char *const *words)
{
	for (; *words != NULL; words++)
		p = stpcpy(p, *words) + 1;
	return p;
}

static int
command_memory(const void *p, size_t n)
{
	apw_autofd int	fd = memfd_create("command",
			    MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* who gets it reads it from its start */
	if (fd == -1 || pwrite(fd, p, n, 0) != (ssize_t)n ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW |
	    F_SEAL_SHRINK | F_SEAL_SEAL) == -1)
		return -1;
	return apw_take_fd(&fd);
}

/* So much every pipe takes at once; its other end is closed then.  It is less
 * work for the kernel than a file. */
static int
command_pipe(const void *p, size_t n)
{
	int	end[2], rc;

	if (pipe2(end, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	rc = write(end[1], p, n) == (ssize_t)n ? 0 : -1;
	close(end[1]);
	if (rc == 0)
		return end[0];
	close(end[0]);
	return -1;
}

/* The command, sealed: it holds the link's token, so it is never an argument
 * and never a file with a name. */
static int
command_file(const struct apw_box_order *o, struct apw_err *err)
{
	struct command_head	 head = { .magic = COMMAND_MAGIC };
	const char		*cwd = o->cwd != NULL ? o->cwd : "/root";
	size_t			 bytes = strlen(cwd) + 1, total;
	char			*p, *at;

	if (command_words(o->argv, &head.argc, &bytes) == -1 ||
	    command_words(o->envp, &head.envc, &bytes) == -1 ||
	    head.argc == 0 || bytes > COMMAND_BYTES - sizeof(head))
		return apw_err_set(err, E2BIG, "the command of a box");
	head.text_bytes = (uint32_t)bytes;
	total = sizeof(head) + bytes;
	if ((p = malloc(total)) == NULL)
		return apw_err_set(err, ENOMEM, "the command of a box");
	memcpy(p, &head, sizeof(head));
	at = command_put(p + sizeof(head), o->argv);
	at = command_put(at, o->envp);
	strcpy(at, cwd);
	apw_autofd int fd = total <= PIPE_BUF ? command_pipe(p, total) :
	    command_memory(p, total);
	if (fd == -1)
		apw_err_set(err, errno, "cannot write the command of a box");
	explicit_bzero(p, total);
	free(p);
	return apw_take_fd(&fd);
}

int
apw_broker_boot(struct apw_broker *b, const struct apw_box_order *o,
    struct apw_box *box, struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_BOOT, .flags = o->flags,
				    .memory_bytes = o->memory_bytes };
	struct broker_reply	reply;
	int			fds[BROKER_FDS_MAX], nfds = 0, status[2];
	int			want = (o->flags & APW_BOX_OWN_NET) != 0 ? 3 : 1;

	*box = (struct apw_box){ .pidfd = -1, .status_fd = -1,
	    .link_fd = -1, .proxy_fd = -1 };
	apw_autofd int command_fd = command_file(o, err);
	if (command_fd == -1)
		return -1;
	if (pipe2(status, O_CLOEXEC | O_NONBLOCK) == -1)
		return apw_err_set(err, errno, "no pipe for a box");
	apw_autofd int status_r = status[0];
	apw_autofd int status_w = status[1];
	if (o->staging != NULL && strlen(o->staging) >= sizeof(rq.id))
		return apw_err_set(err, ENAMETOOLONG, "the folder of a box");
	if (o->staging != NULL)
		strcpy(rq.id, o->staging);
	const int give[] = { command_fd, o->out_fd, o->err_fd, status_w,
	    o->rules_fd };
	if (ask(b, &rq, give, (o->flags & APW_BOX_HARDEN) != 0 &&
	    o->rules_fd != -1 ? 5 : 4, &reply, fds, &nfds, err) == -1)
		return -1;
	if (nfds != want) {
		ask_close(fds, nfds);
		return apw_err_set(err, 0, "the broker's answer is wrong");
	}
	box->pid = reply.pid;
	box->engine_pid = reply.engine_pid;
	box->pidfd = fds[0];
	box->status_fd = apw_take_fd(&status_r);
	if (want == 3) {
		box->link_fd = fds[1];
		box->proxy_fd = fds[2];
	}
	return 0;
}

int
apw_broker_try(struct apw_broker *b, unsigned flags, struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_TRY, .flags = flags };
	struct broker_reply	reply;

	return ask_plain(b, &rq, &reply, err);
}

static int
ask_too_long(struct apw_err *err)
{
	apw_err_set(err, ENAMETOOLONG, "what a box needs");
	return apw_err_blame(err, APW_FAULT_APP);
}

int
apw_broker_admit(struct apw_broker *b, enum apw_admit what, const char *id,
    struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_ADMIT, .what = what };
	struct broker_reply	reply;

	if (strlen(id) >= sizeof(rq.id))
		return ask_too_long(err);
	strcpy(rq.id, id);
	return ask_plain(b, &rq, &reply, err) == -1 ? -1 : reply.status;
}

int
apw_broker_admit_both(struct apw_broker *b, const char *flow_version_id,
    const char *platform_id, struct apw_err *err)
{
	const char		*ids[] = { flow_version_id, platform_id };
	struct broker_request	 rq = { .op = BROKER_ADMIT };
	struct broker_reply	 reply;
	int			 fds[BROKER_FDS_MAX], nfds, rc = 0;
	size_t			 i;

	for (i = 0; i < APW_COUNT(ids); i++)
		if (ids[i] != NULL && strlen(ids[i]) >= sizeof(rq.id))
			return ask_too_long(err);
	for (i = 0; i < APW_COUNT(ids); i++) {
		if (ids[i] == NULL)
			continue;
		rq.what = i == 0 ? APW_ADMIT_FLOW : APW_ADMIT_PLATFORM;
		strcpy(rq.id, ids[i]);
		if (ask_send(b, &rq, NULL, 0, err) == -1)
			return -1;
	}
	for (i = 0; i < APW_COUNT(ids); i++) {
		nfds = 0;
		if (ids[i] == NULL)
			continue;
		if (ask_hear(b, BROKER_ADMIT, &reply, fds, &nfds,
		    rc == 0 ? err : NULL) == -1)
			rc = -1;
		else
			ask_close(fds, nfds);
	}
	return rc;
}

/* Not waited for: until it has heard this the broker yields, too. */
void
apw_broker_hurry(struct apw_broker *b)
{
	struct broker_request	rq = { .op = BROKER_HURRY };

	message_send(b->sock, &rq, sizeof(rq), NULL, 0);
}

void
apw_broker_mark(struct apw_broker *b)
{
	struct broker_request	rq = { .op = BROKER_MARK };

	message_send(b->sock, &rq, sizeof(rq), NULL, 0);
}

int
apw_broker_kill(struct apw_broker *b, struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_KILL };
	struct broker_reply	reply;

	return ask_plain(b, &rq, &reply, err);
}

/* What init wrote before it ended; nothing when it was killed. */
static void
ask_status(int status_fd, struct apw_box_end *end)
{
	int	status;

	if (read(status_fd, &status, sizeof(status)) != sizeof(status))
		return;
	end->told = true;
	if (WIFEXITED(status))
		end->code = WEXITSTATUS(status);
	else
		end->signal = WTERMSIG(status);
}

int
apw_broker_end(struct apw_broker *b, struct apw_box *box,
    struct apw_box_end *end, struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_END };
	struct broker_reply	reply;
	int			rc = ask_plain(b, &rq, &reply, err);
	int			*fds[] = { &box->pidfd, &box->status_fd,
				    &box->link_fd, &box->proxy_fd };
	size_t			i;

	*end = (struct apw_box_end){ .code = -1 };
	if (rc == 0) {
		*end = reply.end;
		end->code = -1;
	}
	if (box->status_fd != -1)
		ask_status(box->status_fd, end);
	for (i = 0; i < APW_COUNT(fds); i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
	return rc;
}

int
apw_broker_describe(struct apw_broker *b, char *text, size_t size,
    struct apw_err *err)
{
	struct broker_request	rq = { .op = BROKER_DESCRIBE };
	struct broker_reply	reply;

	if (ask_plain(b, &rq, &reply, err) == -1)
		return -1;
	reply.text[sizeof(reply.text) - 1] = '\0';
	snprintf(text, size, "%s", reply.text);
	return 0;
}
