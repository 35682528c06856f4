/* The result of a run, for people and for programs; see run_show.h.  What an
 * author's code gave is shown as it lies on the disk: it may hold NULs, lone
 * surrogates, numbers of any size, and nest a few thousand levels deep. */
#include "ctl/run_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_exit.h"
#include "proto/apw_raw.h"

#define SHOW_VALUE_BYTES	2000
#define SHOW_FILE_MAX		((size_t)64 << 20)
#define SHOW_ENVELOPES_MAX	4	/* of an error in each other */
#define SHOW_INDENT_MAX		12	/* deeper levels share a line */

/* A file of the result.  Its text is one JSON value, or why says what it is
 * in place of that; neither: there is no such file. */
struct part {
	struct apw_buf	 file;		/* owned */
	struct apw_str	 text;		/* in there */
	const char	*why;		/* a literal; or strerror(3)'s */
};

static int
show_read(int dir_fd, const char *name, struct apw_buf *out)
{
	apw_autofd int	fd = openat(dir_fd, name,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char		part[65536];
	ssize_t		n;

	out->max = SHOW_FILE_MAX;
	if (fd == -1)
		return -1;
	while ((n = read(fd, part, sizeof(part))) > 0)
		if (apw_buf_put(out, part, n) == -1) {
			errno = EFBIG;
			return -1;
		}
	return n == -1 ? -1 : 0;
}

static void
part_read(int dir_fd, const char *name, struct part *p)
{
	*p = (struct part){ .file = APW_BUF_INIT(0) };
	if (show_read(dir_fd, name, &p->file) == -1) {
		p->why = errno == ENOENT ? NULL : errno == EFBIG ?
		    "it is larger than 64 MiB" : strerror(errno);
		return;
	}
	p->text = apw_raw_trim(apw_buf_view(&p->file));
	if (apw_raw_check(p->text, 0) == 0)
		return;
	p->text = (struct apw_str){ NULL, 0 };
	p->why = "it is no JSON, or nests deeper than 65536 levels";
}

/* Of an object; an empty slice: not there. */
static struct apw_str
member(struct apw_str object, const char *key)
{
	struct apw_str	v;

	if (apw_raw_type(object) != APW_RAW_OBJECT ||
	    apw_raw_member(object, key, &v) != 1)
		return (struct apw_str){ NULL, 0 };
	return apw_raw_trim(v);
}

static bool
is_string(struct apw_str v)
{
	return v.n > 0 && apw_raw_type(v) == APW_RAW_STRING;
}

static int
show_status(struct apw_str result)
{
	struct apw_str	status = member(result, "status");

	if (!is_string(status) || status.n == 2)
		return APW_EXIT_BUG;
	if (apw_raw_equals(status, "SUCCEEDED") ||
	    apw_raw_equals(status, "PAUSED"))
		return APW_EXIT_OK;
	return apw_raw_equals(status, "INTERNAL_ERROR") ||
	    apw_raw_equals(status, "REJECTED") ? APW_EXIT_BUG : 1;
}

/* The length of the character at p when a terminal may have it; 0: it may
 * not.  Control characters of both sets move the cursor or worse. */
static size_t
harmless(const char *p, const char *end)
{
	size_t	n = apw_raw_utf8_length(p, end);

	if ((n == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f)) ||
	    (n == 2 && (unsigned char)p[0] == 0xc2 &&
	    (unsigned char)p[1] < 0xa0))
		return 0;
	return n;
}

/* A value on one line, as it was written, cut when long. */
static void
show_value(const char *label, struct apw_str value)
{
	const char	*p = value.p, *end = value.p + value.n;
	bool		 inside = false;
	size_t		 n, shown = 0;

	fputs(label, stdout);
	while (p < end && shown < SHOW_VALUE_BYTES) {
		n = harmless(p, end);
		if (inside && *p == '\\' && end - p > 1 && p[1] < 0x7f) {
			n = 2;
		} else if (*p == '"') {
			inside = !inside;
		} else if (!inside && memchr(" \t\r\n", *p, 4) != NULL) {
			p++;
			continue;
		}
		if (n == 0)
			putchar('?');
		else
			fwrite(p, 1, n, stdout);
		p += n == 0 ? 1 : n;
		shown += n == 0 ? 1 : n;
	}
	printf("%s\n", p < end ? " ..." : "");
}

/* Free text of the engine, each line as far to the right as the label is
 * long. */
static void
show_text(const char *label, struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n;
	bool		 at_start = false;
	size_t		 n;

	fputs(label, stdout);
	while (p < end) {
		if (at_start)
			printf("%*s", (int)strlen(label), "");
		at_start = *p == '\n';
		n = *p == '\n' || *p == '\t' ? 1 : harmless(p, end);
		if (n == 0)
			putchar('?');
		else
			fwrite(p, 1, n, stdout);
		p += n == 0 ? 1 : n;
	}
	if (!at_start)
		putchar('\n');
}

static void
show_string(const char *label, struct apw_str literal)
{
	struct apw_buf	text = APW_BUF_INIT(SHOW_FILE_MAX);

	if (is_string(literal) && apw_raw_decode(&text, literal) == 0)
		show_text(label, apw_buf_view(&text));
	else
		show_text(label, APW_STR(""));
	apw_buf_free(&text);
}

/* What an error says: a text, or an object with a message, or a text that
 * holds one; false: it is something else, and to be shown as it is. */
static bool
error_message(struct apw_str error, struct apw_buf *out)
{
	struct apw_buf	text = APW_BUF_INIT(SHOW_FILE_MAX);
	struct apw_str	message = error;
	bool		found = false;
	int		i;

	for (i = 0; i < SHOW_ENVELOPES_MAX; i++) {
		if (apw_raw_type(message) == APW_RAW_OBJECT)
			message = member(message, "message");
		if (!is_string(message))
			break;
		apw_buf_reset(&text);
		if (apw_raw_decode(&text, message) == -1)
			break;
		apw_buf_reset(out);
		apw_buf_str(out, apw_buf_view(&text));
		found = true;
		message = apw_raw_trim(apw_buf_view(out));
		if (apw_raw_check(message, 0) == -1 ||
		    apw_raw_type(message) != APW_RAW_OBJECT ||
		    !is_string(member(message, "message")))
			break;
	}
	apw_buf_free(&text);
	return found && !out->failed;
}

static void
show_error(const char *label, struct apw_str error)
{
	struct apw_buf	text = APW_BUF_INIT(SHOW_FILE_MAX);

	if (error_message(error, &text))
		show_text(label, apw_buf_view(&text));
	else
		show_value(label, error);
	apw_buf_free(&text);
}

static void
show_step(struct apw_str name, struct apw_str step)
{
	struct apw_buf	text = APW_BUF_INIT(SHOW_FILE_MAX);
	struct apw_str	value;
	char		label[64];

	apw_raw_decode(&text, name);
	snprintf(label, sizeof(label), "step     %-12.40s ",
	    text.len == 0 ? "" : text.data);
	show_string(label, member(step, "status"));
	if ((value = member(step, "output")).n > 0)
		show_value("           output ", value);
	if ((value = member(step, "errorMessage")).n > 0)
		show_error("           error  ", value);
	apw_buf_free(&text);
}

/* What there is and cannot be shown is said, and where it lies. */
static void
show_unshown(const struct part *p, const char *path, const char *file)
{
	if (p->why != NULL)
		printf("%-8s cannot be shown, %s: %s/%s\n", "steps", p->why,
		    path, file);
}

static void
show_steps(const struct part *output, const char *path, int status)
{
	struct apw_str		steps = member(output->text, "steps"), key, v;
	struct apw_raw_iter	it;
	size_t			n = 0;

	show_unshown(output, path, "output.json");
	if (output->why != NULL)
		return;
	if (apw_raw_type(steps) == APW_RAW_OBJECT &&
	    apw_raw_iter(&it, steps) == 0)
		for (; apw_raw_next(&it, &key, &v) == 1; n++)
			show_step(apw_raw_trim(key), apw_raw_trim(v));
	if (n == 0 && status == APW_EXIT_OK)
		printf("steps    none were reported; see %s\n", path);
}

static void
show_head(const struct part *result, const char *path, const char *id,
    const char *flow_name)
{
	struct apw_buf	status = APW_BUF_INIT(4096);
	struct apw_str	error = member(result->text, "error");
	int64_t		took_ms = 0;

	show_text("flow     ", apw_str_c(flow_name));
	printf("run      %s\n", id);
	if (result->why != NULL || result->text.n == 0)
		printf("status   unknown, %s: %s/result.json\n", result->why ==
		    NULL ? "there is no result" : result->why, path);
	else {
		apw_raw_int(member(result->text, "durationMs"), &took_ms);
		apw_raw_decode(&status, member(result->text, "status"));
		printf("status   %s in %lld ms\n", status.len == 0 ? "" :
		    status.data, (long long)took_ms);
	}
	if (is_string(error) && error.n > 2)
		show_string("error    ", error);
	apw_buf_free(&status);
}

int
ctl_show_text(int result_fd, const char *path, const char *id,
    const char *flow_name)
{
	struct part	 result, run, output;
	struct apw_str	 failed, v;
	struct apw_buf	 log = APW_BUF_INIT(0);
	int		 status;

	part_read(result_fd, "result.json", &result);
	part_read(result_fd, "run.json", &run);
	part_read(result_fd, "output.json", &output);
	status = show_status(result.text);
	show_head(&result, path, id, flow_name);
	show_steps(&output, path, status);
	failed = member(run.text, "failedStep");
	if (apw_raw_type(failed) == APW_RAW_OBJECT) {
		show_string("failed   ", member(failed, "name"));
		if ((v = member(failed, "message")).n > 0)
			show_error("           ", v);
	}
	if ((v = member(output.text, "response")).n > 0)
		show_value("response ", v);
	if (show_read(result_fd, "log", &log) == 0 && log.len != 0) {
		printf("log\n");
		show_text("           ", apw_buf_view(&log));
	} else if (errno == EFBIG)
		printf("log      cannot be shown, it is larger than 64 MiB: "
		    "%s/log\n", path);
	apw_buf_free(&log);
	apw_buf_free(&result.file);
	apw_buf_free(&run.file);
	apw_buf_free(&output.file);
	return status;
}

static void
json_line(unsigned depth)
{
	if (depth <= SHOW_INDENT_MAX)
		printf("\n%*s", (int)depth * 2, "");
}

/* Is the container that was just opened an empty one? */
static bool
closes(const char *p, const char *end)
{
	while (p < end && memchr(" \t\r\n", *p, 4) != NULL)
		p++;
	return p < end && (*p == '}' || *p == ']');
}

/* Checked text, line by line; bytes that are no UTF-8 become U+FFFD. */
static void
json_print(struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n;
	unsigned	 depth = 0;
	bool		 inside = false, empty = false;
	size_t		 n;

	for (; p < end; p += n) {
		n = apw_raw_utf8_length(p, end);
		if (inside && *p == '\\' && end - p > 1)
			n = 2;
		else if (*p == '"')
			inside = !inside;
		else if (!inside && memchr(" \t\r\n", *p, 4) != NULL)
			continue;
		else if (!inside && (*p == '}' || *p == ']')) {
			depth--;
			if (!empty)
				json_line(depth);
		}
		empty = !inside && (*p == '{' || *p == '[');
		if (n == 0)
			fputs("\xef\xbf\xbd", stdout);
		else
			fwrite(p, 1, n, stdout);
		n += n == 0;
		if (inside)
			continue;
		if (empty) {
			depth++;
			if (!closes(p + 1, end))
				json_line(depth);
		} else if (*p == ',')
			json_line(depth);
		else if (*p == ':')
			putchar(' ');
	}
	putchar('\n');
}

/* A part, or why it is not there and where it lies. */
static void
json_part(struct apw_buf *all, struct apw_buf *unshown, int result_fd,
    const char *path, const char *key, const char *file)
{
	struct part	p;

	part_read(result_fd, file, &p);
	if (p.text.n > 0) {
		apw_buf_printf(all, ",\"%s\":", key);
		apw_buf_str(all, p.text);
	} else if (p.why != NULL) {
		apw_buf_printf(unshown, "%s{\"part\":\"%s\",\"why\":",
		    unshown->len == 0 ? "" : ",", key);
		apw_raw_quote(unshown, apw_str_c(p.why));
		apw_buf_puts(unshown, ",\"file\":");
		apw_raw_quote(unshown, apw_str_c(path));
		/* the path's quote is followed by the file's name */
		unshown->len--;
		apw_buf_printf(unshown, "/%s\"}", file);
	}
	apw_buf_free(&p.file);
}

int
ctl_show_json(int result_fd, const char *path, const char *id)
{
	static const struct { const char *key, *file; } parts[] = {
		{ "result", "result.json" },
		{ "run", "run.json" },
		{ "output", "output.json" },
		{ "payloads", "payloads.json" },
	};
	struct apw_buf	 all = APW_BUF_INIT(8 * SHOW_FILE_MAX);
	struct apw_buf	 unshown = APW_BUF_INIT(65536);
	struct apw_buf	 log = APW_BUF_INIT(0);
	struct part	 result;
	int		 status;
	size_t		 i;

	apw_buf_puts(&all, "{\"id\":");
	apw_buf_json_c(&all, id);
	for (i = 0; i < APW_COUNT(parts); i++)
		json_part(&all, &unshown, result_fd, path, parts[i].key,
		    parts[i].file);
	if (show_read(result_fd, "log", &log) == 0) {
		apw_buf_puts(&all, ",\"log\":");
		apw_raw_quote(&all, apw_buf_view(&log));
	}
	if (unshown.len > 0)
		apw_buf_printf(&all, ",\"unshown\":[%s]", unshown.data);
	apw_buf_puts(&all, "}");
	json_print(apw_buf_view(&all));
	part_read(result_fd, "result.json", &result);
	status = show_status(result.text);
	apw_buf_free(&result.file);
	apw_buf_free(&all);
	apw_buf_free(&log);
	apw_buf_free(&unshown);
	return status;
}
