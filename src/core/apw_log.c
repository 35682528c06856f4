/* The log.  Room: any; each process writes its own lines, one write(2) a
 * line, so that lines of several processes never mix.  Must never block the
 * caller on anything but that write. */
#include "core/apw_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_clock.h"

#define LOG_LINE_BYTES	4096
#define LOG_VALUE_BYTES	1500	/* a longer value is cut, and says so */

static struct {
	int			 fd;
	enum apw_log_level	 level;
	enum apw_log_format	 format;
	char			 path[1024];
	char			 room[32];
	char			 job[64];
} log_state = { .fd = STDERR_FILENO, .level = APW_LOG_NOTICE,
    .room = "apworkerd" };

static const char *const log_names[] = {
	"alert", "error", "warn", "notice", "info", "debug",
};

struct log_line {
	char	 text[LOG_LINE_BYTES];
	size_t	 len;
};

static void
line_put(struct log_line *l, const char *p, size_t n)
{
	size_t	room = sizeof(l->text) - 1 - l->len;

	if (n > room)
		n = room;
	memcpy(l->text + l->len, p, n);
	l->len += n;
}

static void
line_puts(struct log_line *l, const char *s)
{
	line_put(l, s, strlen(s));
}

static void __attribute__((format(printf, 2, 3)))
line_printf(struct log_line *l, const char *fmt, ...)
{
	char	 part[128];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	line_puts(l, part);
}

/* Quoted and escaped; never a raw newline or control byte in the log. */
static void
line_quoted(struct log_line *l, const char *p, size_t n)
{
	size_t	i, shown = n < LOG_VALUE_BYTES ? n : LOG_VALUE_BYTES;

	line_puts(l, "\"");
	for (i = 0; i < shown; i++) {
		unsigned char c = p[i];

		if (c == '"' || c == '\\')
			line_printf(l, "\\%c", c);
		else if (c == '\n')
			line_puts(l, "\\n");
		else if (c < 0x20 || c == 0x7f)
			line_printf(l, "\\u%04x", c);
		else
			line_put(l, p + i, 1);
	}
	if (shown < n)
		line_printf(l, "[%zu more]", n - shown);
	line_puts(l, "\"");
}

static bool
value_is_plain(const char *p, size_t n)
{
	size_t	i;

	if (n == 0 || n > 200)
		return false;
	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] <= 0x20 || p[i] == '"' ||
		    p[i] == '\\' || p[i] == '=' || p[i] == 0x7f)
			return false;
	return true;
}

static size_t
field_len(const struct apw_field *f)
{
	return f->n == SIZE_MAX ? strlen(f->s) : f->n;
}

static void
line_text(struct log_line *l, const char *time, enum apw_log_level level,
    const char *text, const struct apw_field *f)
{
	line_printf(l, "%s %s %s ", time, log_names[level], log_state.room);
	if (log_state.job[0] != '\0')
		line_printf(l, "job=%s ", log_state.job);
	line_puts(l, text);
	for (; f->key != NULL; f++) {
		line_printf(l, " %s=", f->key);
		if (f->s == NULL)
			line_printf(l, "%" PRId64, f->i);
		else if (value_is_plain(f->s, field_len(f)))
			line_put(l, f->s, field_len(f));
		else
			line_quoted(l, f->s, field_len(f));
	}
}

static void
line_json(struct log_line *l, const char *time, enum apw_log_level level,
    const char *text, const struct apw_field *f)
{
	line_printf(l, "{\"time\":\"%s\",\"level\":\"%s\",\"room\":\"%s\"",
	    time, log_names[level], log_state.room);
	if (log_state.job[0] != '\0')
		line_printf(l, ",\"job\":\"%s\"", log_state.job);
	line_puts(l, ",\"event\":");
	line_quoted(l, text, strlen(text));
	for (; f->key != NULL; f++) {
		/* leave room, so that a cut line is still one JSON value */
		if (l->len > sizeof(l->text) - 2 * LOG_VALUE_BYTES)
			break;
		line_printf(l, ",\"%s\":", f->key);
		if (f->s == NULL)
			line_printf(l, "%" PRId64, f->i);
		else
			line_quoted(l, f->s, field_len(f) > LOG_VALUE_BYTES / 6 ?
			    LOG_VALUE_BYTES / 6 : field_len(f));
	}
	line_puts(l, "}");
}

void
apw_log_fields(enum apw_log_level level, const char *text,
    const struct apw_field *fields)
{
	int		 saved = errno;
	char		 time[APW_ISO8601_SIZE];
	struct log_line	 line = { .len = 0 };

	if (level > log_state.level)
		return;
	apw_iso8601(apw_wall_ms(), time);
	if (log_state.format == APW_LOG_JSON)
		line_json(&line, time, level, text, fields);
	else
		line_text(&line, time, level, text, fields);
	line.text[line.len++] = '\n';
	while (write(log_state.fd, line.text, line.len) == -1 && errno == EINTR)
		;
	errno = saved;
}

enum apw_log_level
apw_log_level(void)
{
	return log_state.level;
}

const char *
apw_log_level_name(enum apw_log_level level)
{
	return log_names[level];
}

int
apw_log_open(const char *path, enum apw_log_level level,
    enum apw_log_format format, struct apw_err *err)
{
	int	fd = STDERR_FILENO;

	if (strcmp(path, "stderr") != 0) {
		if (strlen(path) >= sizeof(log_state.path))
			return apw_err_set(err, ENAMETOOLONG, "log %s", path);
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
		    O_NOCTTY, 0640);
		if (fd == -1)
			return apw_err_set(err, errno, "cannot open log %s",
			    path);
	}
	if (log_state.fd != STDERR_FILENO)
		close(log_state.fd);
	log_state.fd = fd;
	log_state.level = level;
	log_state.format = format;
	snprintf(log_state.path, sizeof(log_state.path), "%s", path);
	return 0;
}

int
apw_log_reopen(struct apw_err *err)
{
	char	path[sizeof(log_state.path)];

	if (log_state.path[0] == '\0')
		return 0;
	memcpy(path, log_state.path, sizeof(path));
	return apw_log_open(path, log_state.level, log_state.format, err);
}

int
apw_log_fd(void)
{
	return log_state.fd;
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
		    strchr("\"\\=\x7f", log_state.job[i]) != NULL)
			log_state.job[i] = '_';
}

_Noreturn void
apw_assert_failed(const char *expr, const char *file, int line,
    const char *func)
{
	apw_alert("rule broken", APW_S("rule", expr), APW_S("file", file),
	    APW_I("line", line), APW_S("function", func));
	abort();
}
