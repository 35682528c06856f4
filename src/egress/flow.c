/* One direction of bytes between two sockets; see flow.h.  Room: egress. */
#include "egress/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOW_ROUNDS	16		/* then the others have their turn */
#define FLOW_SPLICE	(1 << 20)	/* a pipe takes what it can of it */
#define FLOW_COPY	16384

static char	flow_scratch[FLOW_COPY];	/* of the step that runs */

/* --- pipes --- */

/* Large ones cost half the processor time, but all pipes of a user count
 * towards one limit of the kernel's (pipe-user-pages-soft, 64 MiB): a box
 * with hundreds of stuck connections must not use it up for the others. */
static int
pipes_size(const struct egress_pipes *p)
{
	return p->used < 2 ? FLOW_SPLICE : p->used < 8 ? 256 * 1024 :
	    p->used < 128 ? 65536 : 16384;
}

static int
pipes_take(struct egress_pipes *p, int fds[2])
{
	if (p->n > 0)
		memcpy(fds, p->fds[--p->n], sizeof(p->fds[0]));
	else if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	else
		(void)fcntl(fds[0], F_SETPIPE_SZ, pipes_size(p));
	p->used++;
	return 0;
}

static void
pipes_close(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
	fds[0] = fds[1] = -1;
}

/* There are bytes in it that nobody wants. */
static void
pipes_drop(struct egress_pipes *p, int fds[2])
{
	p->used--;
	pipes_close(fds);
}

static void
pipes_give(struct egress_pipes *p, int fds[2])
{
	if (p->n == EGRESS_PIPES_SPARE) {
		pipes_drop(p, fds);
		return;
	}
	p->used--;
	memcpy(p->fds[p->n++], fds, sizeof(p->fds[0]));
	fds[0] = fds[1] = -1;
}

void
egress_pipes_free(struct egress_pipes *p)
{
	while (p->n > 0)
		pipes_close(p->fds[--p->n]);
}

/* --- the flow --- */

void
egress_flow_init(struct egress_flow *f, int in_fd, int out_fd)
{
	memset(f, 0, sizeof(*f));
	f->in_fd = in_fd;
	f->out_fd = out_fd;
	f->pipe[0] = f->pipe[1] = -1;
	f->stash.max = 4 * FLOW_COPY;
}

void
egress_flow_free(struct egress_flow *f, struct egress_pipes *pipes)
{
	apw_buf_free(&f->stash);
	if (f->pipe[0] == -1)
		return;
	if (f->piped == 0)
		pipes_give(pipes, f->pipe);
	else
		pipes_drop(pipes, f->pipe);
}

ssize_t
egress_flow_early(struct egress_flow *f, const char *p, size_t n)
{
	ssize_t	took = apw_egress_frame_take(&f->frame, p, n);

	if (took == -1 || apw_buf_put(&f->stash, p, (size_t)took) == -1)
		return -1;
	f->bytes += (uint64_t)took;
	return took;
}

/* 1: all is out, 0: out is full, -1: out is broken */
static int
flush_stash(struct egress_flow *f)
{
	ssize_t	n;

	while (f->stash.len > 0) {
		n = send(f->out_fd, f->stash.data, f->stash.len,
		    MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -1;
		apw_buf_drain(&f->stash, (size_t)n);
	}
	if (f->stash.cap > 0)
		apw_buf_free(&f->stash);
	return 1;
}

static int
flush_pipe(struct egress_flow *f, struct egress_pipes *pipes)
{
	ssize_t	n;

	while (f->piped > 0) {
		n = splice(f->pipe[0], NULL, f->out_fd, NULL, f->piped,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == -1 && errno == EAGAIN ? 0 : -1;
		f->piped -= (size_t)n;
	}
	if (f->pipe[0] != -1)
		pipes_give(pipes, f->pipe);
	return 1;
}

/* 1: something came (or the end did), 0: nothing now, -1: broken */
static int
fill_copy(struct egress_flow *f)
{
	size_t	want = sizeof(flow_scratch);
	ssize_t	n, took, sent;

	if (f->frame.frame == APW_EGRESS_LENGTH && f->frame.left < want)
		want = (size_t)f->frame.left;
	n = recv(f->in_fd, flow_scratch, want, 0);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0) {
		f->in_end = true;
		return 1;
	}
	took = apw_egress_frame_take(&f->frame, flow_scratch, (size_t)n);
	if (took == -1)
		return -1;
	f->bytes += (uint64_t)took;
	/* what lies behind the end of the body belongs to nobody */
	sent = send(f->out_fd, flow_scratch, (size_t)took, MSG_NOSIGNAL);
	if (sent == -1) {
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		sent = 0;
	}
	return sent == took ? 1 : apw_buf_put(&f->stash,
	    flow_scratch + sent, (size_t)(took - sent)) == -1 ? -1 : 1;
}

static int
fill_splice(struct egress_flow *f, struct egress_pipes *pipes)
{
	size_t	want = FLOW_SPLICE;
	ssize_t	n;

	if (f->frame.frame == APW_EGRESS_LENGTH && f->frame.left < want)
		want = (size_t)f->frame.left;
	if (f->pipe[0] == -1 && pipes_take(pipes, f->pipe) == -1)
		return fill_copy(f);
	n = splice(f->in_fd, NULL, f->pipe[1], NULL, want,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		f->piped = (size_t)n;
		f->bytes += (uint64_t)n;
		(void)apw_egress_frame_take(&f->frame, NULL, (size_t)n);
		return 1;
	}
	pipes_give(pipes, f->pipe);
	if (n == 0) {
		f->in_end = true;
		return 1;
	}
	if (errno == EINVAL || errno == ENOSYS || errno == EPERM) {
		pipes->useless = true;
		return fill_copy(f);
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static enum egress_flow_wait
flow_end(struct egress_flow *f)
{
	/* a frame that is not complete will never be */
	if (!f->frame.done && f->frame.frame != APW_EGRESS_UNTIL_END)
		return EGRESS_FLOW_BROKEN;
	/* a length ends by itself, a stream by closing this half */
	if (!f->ended && f->frame.frame == APW_EGRESS_UNTIL_END)
		shutdown(f->out_fd, SHUT_WR);
	f->ended = true;
	return EGRESS_FLOW_END;
}

enum egress_flow_wait
egress_flow_flush(struct egress_flow *f, struct egress_pipes *pipes)
{
	int	rc = flush_stash(f);

	if (rc == 1)
		rc = flush_pipe(f, pipes);
	return rc == 1 ? EGRESS_FLOW_READ : rc == 0 ? EGRESS_FLOW_WRITE :
	    EGRESS_FLOW_BROKEN;
}

enum egress_flow_wait
egress_flow_step(struct egress_flow *f, struct egress_pipes *pipes)
{
	enum egress_flow_wait	wait;
	unsigned		i;
	int			rc;

	if (f->ended)
		return EGRESS_FLOW_END;
	for (i = 0; i < FLOW_ROUNDS; i++) {
		wait = egress_flow_flush(f, pipes);
		if (wait != EGRESS_FLOW_READ)
			return wait;
		if (f->frame.done || f->in_end)
			return flow_end(f);
		if (f->frame.frame == APW_EGRESS_CHUNKED || pipes->useless)
			rc = fill_copy(f);
		else
			rc = fill_splice(f, pipes);
		if (rc != 1)
			return rc == 0 ? EGRESS_FLOW_READ :
			    EGRESS_FLOW_BROKEN;
	}
	return f->stash.len > 0 || f->piped > 0 ? EGRESS_FLOW_WRITE :
	    EGRESS_FLOW_READ;
}
