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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define ENV_MAX	64

struct tool {
	struct apw_broker_conf	 conf;
	struct apw_box_order	 order;
	const char		*env[ENV_MAX + 1];
	size_t			 nenv;
	const char		*flow, *platform;
	bool			 verbose, interactive, describe;
	unsigned		 bench, kill_after_ms;
	bool			 bare;		/* bench: fork and exec only */
	unsigned		 admissions;	/* bench: into one running box */
	bool			 kill_bench;	/* from the command's word to reaped */
};

_Noreturn static void
usage(void)
{
	fputs("usage: box-tool [-L] [-A PASTA] [-niHSvId] [-u UID] [-m MEMORY] [-p PIDS] [-t TMP] "
	    "[-T TMPFILES]\n"
	    "    [-F FILESIZE] [-o OPENFILES] [-q CPU%] [-s SLOT] "
	    "[-e NAME=VALUE]\n"
	    "    [-c COMMON] [-C CODES] [-P CUSTOM] [-f FLOW] [-x PLATFORM]\n"
	    "    [-N NODE] [-M NODE_MODULES] [-w CWD] [-k MS]\n"
	    "    [-b N] [-B N] [-a N] [-K]\n"
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
	    "M:w:k:b:B:a:K")) != -1) {
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

_Noreturn static void
die(const struct apw_err *err)
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

static int
run(const struct tool *t, struct apw_broker *b, struct apw_box_end *end)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_box	box;
	int		status;

	if ((t->flow != NULL && apw_broker_admit(b, APW_ADMIT_FLOW, t->flow,
	    &err) == -1) || (t->platform != NULL && apw_broker_admit(b,
	    APW_ADMIT_PLATFORM, t->platform, &err) == -1) ||
	    apw_broker_boot(b, &t->order, &box, &err) == -1)
		die(&err);
	attend(t, b, &box);
	if (waitpid(box.pid, &status, 0) != box.pid) {
		fputs("box-tool: the box's init is not our child\n", stderr);
		exit(125);
	}
	if (apw_broker_end(b, &box, end, &err) == -1)
		die(&err);
	if (end->told)
		return end->signal != 0 ? 128 + end->signal : end->code;
	end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

static void
run_one(char **argv, const char *const *envp, bool quiet)
{
	pid_t	pid = fork();
	int	status = 0, null;

	if (pid == 0) {
		if (quiet && (null = open("/dev/null", O_WRONLY)) != -1) {
			dup2(null, 1);
			dup2(null, 2);
		}
		execve(argv[0], argv, (char *const *)(uintptr_t)envp);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) == -1 || status != 0) {
		fprintf(stderr, "box-tool: %s: status %d\n", argv[0], status);
		exit(125);
	}
}

/* "A x ; B y": one after the other, without their words */
static void
run_bare(const struct tool *t)
{
	const char *const *from = t->order.argv;
	char		  *argv[128];
	size_t		   n = 0;
	bool		   quiet = false;

	for (;; from++) {
		if (*from != NULL && strcmp(*from, ";") != 0) {
			if (n < APW_COUNT(argv) - 1)
				argv[n++] = (char *)(uintptr_t)*from;
			continue;
		}
		argv[n] = NULL;
		quiet = quiet || *from != NULL;
		if (n > 0)
			run_one(argv, t->order.envp, quiet);
		n = 0;
		if (*from == NULL)
			return;
	}
}

static double
cpu_ms(void)
{
	struct rusage	r[2];

	getrusage(RUSAGE_SELF, &r[0]);
	getrusage(RUSAGE_CHILDREN, &r[1]);
	return (double)(r[0].ru_utime.tv_sec + r[0].ru_stime.tv_sec +
	    r[1].ru_utime.tv_sec + r[1].ru_stime.tv_sec) * 1e3 +
	    (double)(r[0].ru_utime.tv_usec + r[0].ru_stime.tv_usec +
	    r[1].ru_utime.tv_usec + r[1].ru_stime.tv_usec) / 1e3;
}

static int
compare(const void *a, const void *b)
{
	int64_t	x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* "wall_us MEDIAN cpu_us MEAN": the CPU is that of everybody involved. */
static void
bench(const struct tool *t, struct apw_broker *b)
{
	struct apw_box_end	end;
	int64_t			*took = calloc(t->bench, sizeof(*took)), start;
	unsigned		 i;
	double			 cpu;

	if (took == NULL)
		exit(125);
	if (!t->bare)
		run(t, b, &end);	/* the template is not the box's */
	cpu = cpu_ms();
	for (i = 0; i < t->bench; i++) {
		start = apw_now_us();
		if (t->bare)
			run_bare(t);
		else
			run(t, b, &end);
		took[i] = apw_now_us() - start;
	}
	apw_broker_stop(b);
	cpu = cpu_ms() - cpu;
	qsort(took, t->bench, sizeof(*took), compare);
	printf("wall_us %lld cpu_us %.0f\n", (long long)took[t->bench / 2],
	    cpu * 1e3 / t->bench);
	free(took);
}

/* "admission_us MEDIAN" of -f into a running box, and out again. */
static void
bench_admit(const struct tool *t, struct apw_broker *b)
{
	int64_t		*took = calloc(t->admissions, sizeof(*took)), start;
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_box	 box;
	unsigned	 i;

	if (took == NULL || apw_broker_boot(b, &t->order, &box, &err) == -1)
		die(&err);
	for (i = 0; i < t->admissions; i++) {
		start = apw_now_us();
		if (apw_broker_admit(b, APW_ADMIT_FLOW, t->flow, &err) != 1)
			die(&err);
		took[i] = apw_now_us() - start;
		apw_broker_admit(b, APW_ADMIT_FLOW, "none", &err);
	}
	qsort(took, t->admissions, sizeof(*took), compare);
	printf("admission_us %lld\n", (long long)took[t->admissions / 2]);
	apw_broker_kill(b, NULL);
	waitpid(box.pid, NULL, 0);
	free(took);
}

/* "kill_us N": the command writes a line when all its processes are there. */
static void
bench_kill(struct tool *t, struct apw_broker *b)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_box	box;
	int64_t		start;
	char		c;
	int		out[2];

	if (pipe(out) == -1)
		exit(125);
	t->order.out_fd = out[1];
	if (apw_broker_boot(b, &t->order, &box, &err) == -1)
		die(&err);
	if (read(out[0], &c, 1) != 1)
		exit(125);
	start = apw_now_us();
	apw_broker_kill(b, NULL);
	waitpid(box.pid, NULL, 0);
	printf("kill_us %lld\n", (long long)(apw_now_us() - start));
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
	if (t.bare) {
		bench(&t, NULL);
		return 0;
	}
	if ((b = apw_broker_start(&t.conf, &err)) == NULL)
		die(&err);
	if (t.describe) {
		if (apw_broker_describe(b, text, sizeof(text), &err) == -1)
			die(&err);
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
	rc = run(&t, b, &end);
	if (t.verbose)
		fprintf(stderr, "box: code=%d signal=%d told=%d oom_kills=%llu"
		    " pids_denied=%llu peak=%llu\n", end.code, end.signal,
		    end.told, (unsigned long long)end.oom_kills,
		    (unsigned long long)end.pids_denied,
		    (unsigned long long)end.memory_peak_bytes);
	apw_broker_stop(b);
	return rc;
}
