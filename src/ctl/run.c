/* `apworkerctl run`: put a flow into the spool, follow it, show what came of
 * it.  Room: ctl. */
#include "ctl/run.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_module.h"
#include "core/apw_watch.h"
#include "ctl/flow_file.h"
#include "ctl/run_show.h"
#include "master/pidfile.h"
#include "modules/source/spool.h"
#include "proto/apw_raw.h"

#define RUN_FILE_MAX	((size_t)64 << 20)
#define RUN_WAIT_MS	(15 * 60 * 1000)
#define RUN_LOOK_MS	1000

struct run_options {
	const char	*flow;
	const char	*payload;	/* file or JSON text, or NULL */
	int64_t		 timeout_ms;
	bool		 json;
	bool		 wait;
};

static int
run_usage(FILE *out)
{
	fprintf(out, "usage: apworkerctl run [--payload FILE|JSON] "
	    "[--timeout SECONDS] [--json] [--no-wait] FLOW.json\n");
	return 2;
}

static int
run_options(int argc, char **argv, struct run_options *o)
{
	static const struct option longs[] = {
		{ "payload", required_argument, NULL, 'p' },
		{ "timeout", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-wait", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	char	*end;
	int	 c;

	*o = (struct run_options){ .timeout_ms = RUN_WAIT_MS, .wait = true };
	optind = 0;
	while ((c = getopt_long(argc, argv, "p:t:jnh", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			o->payload = optarg;
			break;
		case 't':
			o->timeout_ms = strtol(optarg, &end, 10) * 1000;
			if (*end != '\0' || o->timeout_ms <= 0 ||
			    o->timeout_ms > 86400000) {
				fprintf(stderr, "apworkerctl: --timeout is "
				    "%s; expected 1 to 86400 seconds\n",
				    optarg);
				return -1;
			}
			break;
		case 'j':
			o->json = true;
			break;
		case 'n':
			o->wait = false;
			break;
		default:
			return -1;
		}
	}
	if (optind != argc - 1)
		return -1;
	o->flow = argv[optind];
	return 0;
}

/* What --payload names: JSON itself, or a file of it. */
static int
run_payload(const char *arg, struct apw_buf *out, struct apw_err *err)
{
	if (arg == NULL)
		return 0;
	if (strchr("{[\"", arg[0]) != NULL ||
	    apw_raw_check(apw_str_c(arg), APW_RAW_UTF8) == 0)
		apw_buf_puts(out, arg);
	else if (ctl_read_file(arg, RUN_FILE_MAX, out, err) == -1)
		return -1;
	if (apw_raw_check(apw_buf_view(out), APW_RAW_UTF8) == -1)
		return apw_err_set(err, 0, "payload: found text that is "
		    "neither JSON nor the name of a file with JSON");
	return 0;
}

/* Sorts by time, is the run's id, and is nobody else's. */
static int
run_name(char id[SPOOL_ID_MAX], struct apw_err *err)
{
	time_t		now = time(NULL);
	struct tm	tm;
	uint32_t	dice;
	char		when[20];

	if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		return apw_err_set(err, errno, "no random bytes");
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	snprintf(id, SPOOL_ID_MAX, "%s-%08x", when, dice);
	return 0;
}

/* Write to tmp/, then appear in new/ by rename, owned by who reads it. */
static int
run_submit(int spool_fd, const char *id, const struct apw_buf *job,
    struct apw_err *err)
{
	apw_autofd int	fd = -1;
	char		tmp[PATH_MAX], to[PATH_MAX];
	struct stat	st;
	size_t		done = 0;
	ssize_t		n;

	snprintf(tmp, sizeof(tmp), "tmp/%s.json", id);
	snprintf(to, sizeof(to), "new/%s.json", id);
	fd = openat(spool_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot write into the spool");
	if (geteuid() == 0 && fstatat(spool_fd, "new", &st, 0) == 0 &&
	    fchown(fd, st.st_uid, st.st_gid) == -1)
		return apw_err_set(err, errno, "cannot give the job away");
	while (done < job->len) {
		n = write(fd, job->data + done, job->len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			apw_err_set(err, errno, "cannot write the job");
			unlinkat(spool_fd, tmp, 0);
			return -1;
		}
		done += n;
	}
	if (fsync(fd) == -1 || renameat(spool_fd, tmp, spool_fd, to) == -1) {
		apw_err_set(err, errno, "cannot submit the job");
		unlinkat(spool_fd, tmp, 0);
		return -1;
	}
	return 0;
}

/* By their names each time: the spool may be another one by now.  at: where
 * the result lies. */
static int
run_result_fd(const char *spool, const char *id, char at[PATH_MAX])
{
	static const char *const folders[] = { "done", "failed" };
	size_t	i;
	int	fd;

	for (i = 0; i < APW_COUNT(folders); i++) {
		snprintf(at, PATH_MAX, "%s/%s/%s", spool, folders[i], id);
		fd = open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
		if (fd != -1)
			return fd;
	}
	return -1;
}

/* Until the result's folder appears; its descriptor, or -1.  A watch says so
 * at once; a look each second, which is all there is without one, also when
 * the folder is another one by then. */
static int
run_follow(const char *spool, int watch_fd, const char *id,
    int64_t timeout_ms, char at[PATH_MAX], struct apw_err *err)
{
	int64_t		deadline_ms = apw_now_ms() + timeout_ms, left_ms;
	struct pollfd	p = { .fd = watch_fd, .events = POLLIN };
	char		events[4096];
	int		fd;

	while ((fd = run_result_fd(spool, id, at)) == -1) {
		left_ms = deadline_ms - apw_now_ms();
		if (left_ms <= 0)
			return apw_err_set(err, 0, "no result after %lld s; "
			    "the job stays in the spool",
			    (long long)timeout_ms / 1000);
		if (poll(&p, 1, left_ms > RUN_LOOK_MS ? RUN_LOOK_MS :
		    (int)left_ms) == 1)
			while (read(watch_fd, events, sizeof(events)) > 0)
				;
	}
	return fd;
}

/* -1: none can be had, and err says why. */
static int
run_watch(const char *path, struct apw_err *err)
{
	static const char *const folders[] = { "done", "failed" };
	apw_autofd int	fd = apw_watch_open(err);
	char		folder[PATH_MAX];
	size_t		i;

	for (i = 0; fd != -1 && i < APW_COUNT(folders); i++) {
		snprintf(folder, sizeof(folder), "%s/%s", path, folders[i]);
		if (apw_watch_add(fd, folder, IN_MOVED_TO | IN_CREATE |
		    IN_ONLYDIR, err) == -1)
			close(apw_take_fd(&fd));
	}
	return apw_take_fd(&fd);
}

/* The watch comes first, so that no result is missed; NULL: not wanted. */
static int
run_submit_watched(const char *path, int spool_fd, int *watch_fd,
    const char *id, const struct apw_buf *job, struct apw_err *err)
{
	struct apw_err	why = APW_ERR_NONE;

	if (watch_fd != NULL && (*watch_fd = run_watch(path, &why)) == -1)
		fprintf(stderr, "apworkerctl: looking for the result each "
		    "second: %s\n", why.text);
	return run_submit(spool_fd, id, job, err);
}

static int
run_fail(int status, const struct apw_err *err)
{
	fprintf(stderr, "apworkerctl: %s\n", err->text);
	return status;
}

int
apw_ctl_run(int argc, char **argv, const struct apw_cycle *cycle)
{
	struct run_options	o;
	struct apw_err		err = APW_ERR_NONE;
	struct apw_buf		text = APW_BUF_INIT(0), payload =
				    APW_BUF_INIT(RUN_FILE_MAX);
	struct apw_buf		job = APW_BUF_INIT(0), name = APW_BUF_INIT(0);
	char			id[SPOOL_ID_MAX], at[PATH_MAX];
	const char		*path;
	apw_autofd int		spool_fd = -1, watch_fd = -1, result_fd = -1;
	pid_t			pid;
	int			status = APW_EXIT_OS;

	if (run_options(argc, argv, &o) == -1)
		return run_usage(stderr);
	if (strcmp(cycle->source->name, "source_spool") != 0) {
		apw_err_set(&err, 0, "this configuration has \"source %s\"; "
		    "run needs \"source spool\"", cycle->source->block);
		return run_fail(APW_EXIT_CONF, &err);
	}
	if (o.wait && apw_pidfile_owner(cycle->main.pid_path, &pid,
	    &err) == -1) {
		apw_err_wrap(&err, "no apworkerd is running with this "
		    "configuration; start it first");
		return run_fail(APW_EXIT_TEMP, &err);
	}
	path = spool_conf_path(APW_MODULE_CONF(cycle, cycle->source));
	spool_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool_fd == -1)
		apw_err_set(&err, errno, "cannot open the spool %s", path);
	else if (ctl_read_file(o.flow, RUN_FILE_MAX, &text, &err) == 0 &&
	    run_payload(o.payload, &payload, &err) == 0 &&
	    run_name(id, &err) == 0) {
		if (ctl_flow_job(apw_buf_view(&text), apw_buf_view(&payload),
		    id, &job, &name, &err) == -1)
			apw_err_wrap(&err, "%s", o.flow);
		else if (run_submit_watched(path, spool_fd, o.wait ?
		    &watch_fd : NULL, id, &job, &err) == 0) {
			if (!o.wait) {
				printf("%s\n", id);
				status = APW_EXIT_OK;
			} else if ((result_fd = run_follow(path, watch_fd,
			    id, o.timeout_ms, at, &err)) != -1)
				status = o.json ?
				    ctl_show_json(result_fd, at, id) :
				    ctl_show_text(result_fd, at, id,
				    name.data);
			else
				status = APW_EXIT_TEMP;
		}
	}
	if (err.text[0] != '\0')
		run_fail(status, &err);
	apw_buf_free(&text);
	apw_buf_free(&payload);
	apw_buf_free(&job);
	apw_buf_free(&name);
	return status;
}
