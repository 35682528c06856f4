/* The log; see apw_log.h.  Room: any; each process writes its own lines, one
 * write(2) a line, so that lines of several processes never mix.  It never
 * waits for who reads them: what cannot be written is counted, and told when
 * it can. */
#include "core/apw_log_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_clock.h"

#define LOG_STDERR	"stderr"

static struct {
	struct log_out		 out;
	enum apw_log_level	 level;
	enum apw_log_format	 format;
	char			 path[1024];
	char			 room[32];
	char			 job[64];
	_Atomic uint64_t	*dropped;	/* borrowed; NULL */
	pid_t			 pid;		/* whose repeats are counted */
} log_state = { .out = { .fd = STDERR_FILENO }, .level = APW_LOG_NOTICE,
    .room = "apworkerd" };

static void
log_dropped(int error)
{
	struct log_out	*o = &log_state.out;

	if (o->dropped++ == 0) {
		o->since_ms = apw_now_ms();
		o->error = error;
	}
	if (log_state.dropped != NULL)
		atomic_fetch_add(log_state.dropped, 1);
}

/* Lines go again: how many did not. */
static int
log_tell_dropped(void)
{
	struct log_out	*o = &log_state.out;
	struct log_line	 line;
	const struct log_head h = { apw_wall_ms(), APW_LOG_WARN,
	    log_state.format, log_state.room, "" };
	const struct apw_field f[] = {
		APW_I("lines", o->dropped),
		APW_I("for_ms", apw_now_ms() - o->since_ms),
		APW_S("why", o->error == EAGAIN ? "nobody read them" :
		    strerror(o->error)), { .key = NULL }
	};

	log_line_compose(&line, &h, "log lines were dropped: they could not "
	    "be written", f);
	if (log_out_write(o, line.text, line.len) == -1)
		return -1;
	o->dropped = 0;
	return 0;
}

static void
log_say(enum apw_log_level level, const char *job, const char *text,
    const struct apw_field *fields)
{
	const struct log_head h = { apw_wall_ms(), level, log_state.format,
	    log_state.room, job };
	struct log_line	line;

	log_line_compose(&line, &h, text, fields);
	if ((log_state.out.dropped > 0 && log_tell_dropped() == -1) ||
	    log_out_write(&log_state.out, line.text, line.len) == -1)
		log_dropped(errno);
}

/* What a parent has counted is the parent's to tell. */
static void
log_whose(void)
{
	pid_t	pid = getpid();

	if (pid == log_state.pid)
		return;
	if (log_state.pid != 0)
		log_repeat_forget();
	log_state.pid = pid;
	log_state.out.dropped = 0;
}

void
apw_log_fields(enum apw_log_level level, unsigned burst, const char *text,
    const struct apw_field *fields)
{
	int	saved = errno;

	if (level > log_state.level)
		return;
	log_whose();
	if (burst == APW_LOG_EACH || log_repeat_pass(level, burst,
	    log_state.job, text, fields, apw_now_ms(), log_say))
		log_say(level, log_state.job, text, fields);
	errno = saved;
}

void
apw_log_tick(int64_t now_ms)
{
	int	saved = errno;

	log_whose();
	log_repeat_flush(now_ms, false, log_say);
	if (log_state.out.dropped > 0)
		(void)log_tell_dropped();
	errno = saved;
}

void
apw_log_finish(void)
{
	int	saved = errno;

	log_whose();
	log_repeat_flush(apw_now_ms(), true, log_say);
	if (log_state.out.dropped > 0)
		(void)log_tell_dropped();
	errno = saved;
}

void
apw_log_count_dropped(_Atomic uint64_t *counter)
{
	log_state.dropped = counter;
}

enum apw_log_level
apw_log_level(void)
{
	return log_state.level;
}

int
apw_log_std(const char *path)
{
	return strcmp(path, "stderr") == 0 ? STDERR_FILENO :
	    strcmp(path, "stdout") == 0 ? STDOUT_FILENO : -1;
}

int
apw_log_open(const char *path, enum apw_log_level level,
    enum apw_log_format format, struct apw_err *err)
{
	struct log_out	next, *o = &log_state.out;

	if (strlen(path) >= sizeof(log_state.path))
		return apw_err_set(err, ENAMETOOLONG, "log %s", path);
	if (apw_log_std(path) != -1)
		log_out_std(&next, apw_log_std(path));
	else if (log_out_open(&next, path, err) == -1)
		return -1;
	next.dropped = o->dropped;
	next.since_ms = o->since_ms;
	next.error = o->error;
	if (o->fd > STDERR_FILENO)
		close(o->fd);
	*o = next;
	log_state.level = level;
	log_state.format = format;
	snprintf(log_state.path, sizeof(log_state.path), "%s", path);
	return 0;
}

/* Standard error and output stay what they are: nobody can move them away. */
int
apw_log_reopen(struct apw_err *err)
{
	char	path[sizeof(log_state.path)];

	if (log_state.path[0] == '\0' ||
	    apw_log_std(log_state.path) != -1)
		return 0;
	memcpy(path, log_state.path, sizeof(path));
	return apw_log_open(path, log_state.level, log_state.format, err);
}

int
apw_log_fd(void)
{
	return log_state.out.fd;
}

bool
apw_log_is_stderr(void)
{
	return log_state.path[0] == '\0' ||
	    strcmp(log_state.path, LOG_STDERR) == 0;
}

void
apw_log_room(const char *room)
{
	snprintf(log_state.room, sizeof(log_state.room), "%s", room);
}

void
apw_log_job(const char *job_id)
{
	size_t	i;

	snprintf(log_state.job, sizeof(log_state.job), "%s",
	    job_id == NULL ? "" : job_id);
	for (i = 0; log_state.job[i] != '\0'; i++)
		if ((unsigned char)log_state.job[i] <= 0x20 ||
		    (unsigned char)log_state.job[i] >= 0x7f ||
		    strchr("\"\\=", log_state.job[i]) != NULL)
			log_state.job[i] = '_';
}

static ssize_t
stream_write(void *cookie, const char *p, size_t n)
{
	static struct log_out	out = { .fd = STDERR_FILENO };
	size_t			done, part;

	(void)cookie;
	for (done = 0; done < n; done += part) {
		part = n - done < LOG_LINE_BYTES ? n - done : LOG_LINE_BYTES;
		(void)log_out_write(&out, p + done, part);
	}
	return (ssize_t)n;
}

FILE *
apw_log_stream(void)
{
	static const cookie_io_functions_t io = { .write = stream_write };
	FILE	*f = fopencookie(NULL, "w", io);

	if (f != NULL)
		setvbuf(f, NULL, _IOLBF, LOG_LINE_BYTES);
	return f;
}

_Noreturn void
apw_assert_failed(const char *expr, const char *file, int line,
    const char *func)
{
	apw_alert("rule broken", APW_S("rule", expr), APW_S("file", file),
	    APW_I("line", line), APW_S("function", func));
	abort();
}
