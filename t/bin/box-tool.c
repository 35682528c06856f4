/* box-tool: a box around any command, for the tests and benches of the room
 * that makes boxes.
 *
 *	box-tool [options] [--] COMMAND [ARGUMENT...]
 *
 * Runs the command in a box with our stdout and stderr, says on stderr how
 * it ended with -v, and ends as it did.  Commands on our stdin act on the
 * running box with -I; each is answered with one line on stdout:
 *
 *	flow ID | platform ID	admit	-> "admit 1" or "admit 0"
 *	link | proxy		accept a connection -> "accept"
 *	kill			-> "kill"
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "t/bin/box-tool.h"

_Noreturn static void
usage(void)
{
	fputs("usage: box-tool [-L] [-A PASTA] [-niHSvId] [-u UID] [-m MEMORY] [-p PIDS] [-t TMP] "
	    "[-T TMPFILES]\n"
	    "    [-F FILESIZE] [-o OPENFILES] [-q CPU%] [-s SLOT] "
	    "[-e NAME=VALUE]\n"
	    "    [-c COMMON] [-C CODES] [-P CUSTOM] [-f FLOW] [-x PLATFORM]\n"
	    "    [-N NODE] [-M NODE_MODULES] [-w CWD] [-k MS]\n"
	    "    [-b N] [-B N] [-a N] [-K] [-W] [-r N]\n"
	    "    COMMAND [ARGUMENT...]\n", stderr);
	exit(2);
}

static uint64_t
bytes(const char *s)
{
	char		*end;
	uint64_t	 n = strtoull(s, &end, 10);

	switch (*end) {
	case 'k':
		return n << 10;
	case 'm':
		return n << 20;
	case 'g':
		return n << 30;
	default:
		return n;
	}
}

static void
parse(struct tool *t, int argc, char **argv)
{
	struct apw_box_limits	*l = &t->conf.limits;
	int			 c;

	while ((c = getopt(argc, argv, "+LA:niHSu:vIdm:p:t:T:F:o:q:s:e:c:C:P:f:x:N:"
	    "M:w:k:b:B:a:KWr:")) != -1) {
		switch (c) {
		case 'n': t->order.flags |= APW_BOX_OWN_NET; break;
		case 'L': t->order.flags |= APW_BOX_OWN_NET |
			    APW_BOX_OUTSIDE; break;
		case 'A': t->conf.pasta = optarg; break;
		case 'i': t->order.flags |= APW_BOX_ISOLATES; break;
		case 'H': t->order.flags |= APW_BOX_HOST_FILES; break;
		case 'S': t->order.flags |= APW_BOX_HARDEN; break;
		case 'u':
			t->conf.host_uid = (uid_t)atoi(optarg);
			t->conf.host_gid = (gid_t)atoi(optarg);
			break;
		case 'v': t->verbose = true; break;
		case 'I': t->interactive = true; break;
		case 'd': t->describe = true; break;
		case 'm': t->order.memory_bytes = bytes(optarg); break;
		case 'p': l->pids = (unsigned)atoi(optarg); break;
		case 't': l->tmp_bytes = bytes(optarg); break;
		case 'T': l->tmp_files = (unsigned)atoi(optarg); break;
		case 'F': l->file_bytes = bytes(optarg); break;
		case 'o': l->open_files = (unsigned)atoi(optarg); break;
		case 'q': l->cpu_percent = (unsigned)atoi(optarg); break;
		case 's': t->conf.slot = (unsigned)atoi(optarg); break;
		case 'e':
			if (t->nenv < ENV_MAX)
				t->env[t->nenv++] = optarg;
			break;
		case 'c': t->conf.common = optarg; break;
		case 'C': t->conf.codes = optarg; break;
		case 'P': t->conf.custom_pieces = optarg; break;
		case 'f': t->flow = optarg; break;
		case 'x': t->platform = optarg; break;
		case 'N': t->conf.node = optarg; break;
		case 'M': t->conf.node_modules = optarg; break;
		case 'w': t->order.cwd = optarg; break;
		case 'k': t->kill_after_ms = (unsigned)atoi(optarg); break;
		case 'b': t->bench = (unsigned)atoi(optarg); break;
		case 'B':
			t->bench = (unsigned)atoi(optarg);
			t->bare = true;
			break;
		case 'a': t->admissions = (unsigned)atoi(optarg); break;
		case 'K': t->kill_bench = true; break;
		case 'r': t->repeat = (unsigned)atoi(optarg); break;
		case 'W': t->whole_filter = true; break;
		default: usage();
		}
	}
	if (t->describe)
		return;
	if (optind == argc || t->conf.common == NULL || t->conf.codes == NULL)
		usage();
	t->order.argv = (const char *const *)&argv[optind];
	t->order.envp = t->env;
}

_Noreturn void
tool_die(const struct apw_err *err)
{
	fprintf(stderr, "box-tool: %s\n", err->text);
	exit(125);
}

/* One command line of ours; false at the end of input. */
static bool
act(struct apw_broker *b, struct apw_box *box)
{
	struct apw_err	 err = APW_ERR_NONE;
	char		 line[512], *arg;
	size_t		 n = 0;
	int		 rc, fd;

	/* by bytes: what follows the line is for the next turn */
	while (n < sizeof(line) - 1 && read(0, line + n, 1) == 1 &&
	    line[n] != '\n')
		n++;
	if (n == 0)
		return false;
	line[n] = '\0';
	arg = strchr(line, ' ');
	if (arg != NULL)
		*arg++ = '\0';
	if (strcmp(line, "kill") == 0) {
		rc = apw_broker_kill(b, &err);
		printf("kill\n");
	} else if (strcmp(line, "link") == 0 || strcmp(line, "proxy") == 0) {
		struct pollfd p = { .fd = *line == 'l' ? box->link_fd :
		    box->proxy_fd, .events = POLLIN };
		poll(&p, 1, 10000);
		fd = accept(p.fd, NULL, NULL);
		rc = 0;
		printf("%s\n", fd == -1 ? strerror(errno) : "accept");
		if (fd != -1 && write(fd, "hello\n", 6) == 6)
			close(fd);
	} else {
		rc = apw_broker_admit(b, *line == 'f' ? APW_ADMIT_FLOW :
		    APW_ADMIT_PLATFORM, arg == NULL ? "" : arg, &err);
		if (rc >= 0)
			printf("admit %d\n", rc);
	}
	if (rc == -1)
		printf("%s\n", err.text);
	fflush(stdout);
	return true;
}

static void
attend(const struct tool *t, struct apw_broker *b, struct apw_box *box)
{
	int64_t		end = apw_now_ms() + t->kill_after_ms;
	struct pollfd	p[2] = { { .fd = box->pidfd, .events = POLLIN },
			    { .fd = t->interactive ? 0 : -1,
			      .events = POLLIN } };
	int		ms;

	for (;;) {
		ms = t->kill_after_ms == 0 ? -1 : (int)(end - apw_now_ms());
		if (poll(p, 2, t->kill_after_ms != 0 && ms < 0 ? 0 : ms) == 0)
			apw_broker_kill(b, NULL);
		if (p[0].revents != 0)
			return;
		if (p[1].revents != 0 && !act(b, box))
			p[1].fd = -1;
	}
}

int
tool_run(const struct tool *t, struct apw_broker *b, struct apw_box_end *end)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_box	box;
	int		status;

	if ((t->flow != NULL && apw_broker_admit(b, APW_ADMIT_FLOW, t->flow,
	    &err) == -1) || (t->platform != NULL && apw_broker_admit(b,
	    APW_ADMIT_PLATFORM, t->platform, &err) == -1) ||
	    apw_broker_boot(b, &t->order, &box, &err) == -1)
		tool_die(&err);
	attend(t, b, &box);
	if (waitpid(box.pid, &status, 0) != box.pid) {
		fputs("box-tool: the box's init is not our child\n", stderr);
		exit(125);
	}
	if (apw_broker_end(b, &box, end, &err) == -1)
		tool_die(&err);
	if (end->told)
		return end->signal != 0 ? 128 + end->signal : end->code;
	end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

int
main(int argc, char **argv)
{
	struct tool		 t = { .order = { .out_fd = 1, .err_fd = 2,
				    .rules_fd = -1 }, .conf = {
				    .host_uid = geteuid(),
				    .host_gid = getegid() } };
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_box_end	 end;
	struct apw_broker	*b;
	char			 text[512];
	int			 rc;

	parse(&t, argc, argv);
	/* as in a slot of the process modes */
	t.conf.only_boxes = (t.order.flags & (APW_BOX_HOST_FILES |
	    APW_BOX_OUTSIDE)) == 0 && !t.whole_filter;
	if (t.bare) {
		bench(&t, NULL);
		return 0;
	}
	if ((b = apw_broker_start(&t.conf, &err)) == NULL)
		tool_die(&err);
	if (t.describe) {
		if (apw_broker_describe(b, text, sizeof(text), &err) == -1)
			tool_die(&err);
		puts(text);
		apw_broker_stop(b);
		return 0;
	}
	if (t.bench != 0) {
		bench(&t, b);
		return 0;
	}
	if (t.admissions != 0 || t.kill_bench) {
		if (t.kill_bench)
			bench_kill(&t, b);
		else
			bench_admit(&t, b);
		apw_broker_stop(b);
		return 0;
	}
	while (t.repeat > 1 && t.repeat-- > 0)
		tool_run(&t, b, &end);
	rc = tool_run(&t, b, &end);
	if (t.verbose)
		fprintf(stderr, "box: code=%d signal=%d told=%d oom_kills=%llu"
		    " pids_denied=%llu peak=%llu\n", end.code, end.signal,
		    end.told, (unsigned long long)end.oom_kills,
		    (unsigned long long)end.pids_denied,
		    (unsigned long long)end.memory_peak_bytes);
	apw_broker_stop(b);
	return rc;
}
