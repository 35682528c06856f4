/* The result of a run, for people and for programs; see run_show.h. */
#include "ctl/run_show.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_exit.h"

#define SHOW_VALUE_CHARS	2000
#define SHOW_FILE_MAX		((size_t)64 << 20)

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
		apw_buf_put(out, part, n);
	return n == -1 ? -1 : 0;
}

static json_t *
show_load(int dir_fd, const char *name)
{
	struct apw_buf	text = APW_BUF_INIT(0);
	json_t		*value = NULL;

	if (show_read(dir_fd, name, &text) == 0)
		value = json_loadb(text.data == NULL ? "" : text.data,
		    text.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	apw_buf_free(&text);
	return value;
}

static const char *
show_string(const json_t *object, const char *key)
{
	const char	*s = json_string_value(json_object_get(object, key));

	return s == NULL ? "" : s;
}

static int
show_status(const json_t *result)
{
	const char	*status = show_string(result, "status");

	if (strcmp(status, "SUCCEEDED") == 0 || strcmp(status, "PAUSED") == 0)
		return APW_EXIT_OK;
	if (*status == '\0' || strcmp(status, "INTERNAL_ERROR") == 0 ||
	    strcmp(status, "REJECTED") == 0)
		return APW_EXIT_BUG;
	return 1;
}

/* A value on one line, cut when long; control bytes cannot reach the
 * terminal, JSON escapes them. */
static void
show_value(const char *label, const json_t *value)
{
	char	*text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL)
		return;
	printf("%s%.*s%s\n", label, SHOW_VALUE_CHARS, text,
	    strlen(text) > SHOW_VALUE_CHARS ? " ..." : "");
	free(text);
}

/* Free text of the engine, each line as far to the right as the label is
 * long; what would move the cursor becomes '?'. */
static void
show_text(const char *label, const char *text)
{
	bool	at_start = false;

	fputs(label, stdout);
	for (; *text != '\0'; text++) {
		if (at_start)
			printf("%*s", (int)strlen(label), "");
		at_start = *text == '\n';
		if ((unsigned char)*text < 0x20 && *text != '\n' &&
		    *text != '\t')
			putchar('?');
		else
			putchar(*text);
	}
	if (!at_start)
		putchar('\n');
}

/* An error of the engine: a text, or one that carries JSON with a message. */
static void
show_error(const char *indent, const json_t *error)
{
	const char	*text = json_string_value(error);
	json_t		*inner = text == NULL ? NULL : json_loads(text,
			    JSON_ALLOW_NUL, NULL);
	const char	*message = json_string_value(json_object_get(
			    inner != NULL ? inner : error, "message"));

	if (message != NULL || text != NULL)
		show_text(indent, message != NULL ? message : text);
	else
		show_value(indent, error);
	json_decref(inner);
}

static void
show_steps(const json_t *steps)
{
	const char	*name;
	json_t		*step, *value;

	json_object_foreach((json_t *)steps, name, step) {
		printf("step     %-12s %s\n", name,
		    show_string(step, "status"));
		if ((value = json_object_get(step, "output")) != NULL)
			show_value("           output ", value);
		if ((value = json_object_get(step, "errorMessage")) != NULL)
			show_error("           error  ", value);
	}
}

int
ctl_show_text(int result_fd, const char *id, const char *flow_name)
{
	json_t		*result = show_load(result_fd, "result.json");
	json_t		*run = show_load(result_fd, "run.json");
	json_t		*output = show_load(result_fd, "output.json");
	json_t		*failed = json_object_get(run, "failedStep");
	struct apw_buf	 log = APW_BUF_INIT(0);
	int		 status = show_status(result);

	fputs("flow     ", stdout);
	show_text("", flow_name);
	printf("run      %s\n", id);
	printf("status   %s in %lld ms\n", show_string(result, "status"),
	    (long long)json_integer_value(json_object_get(result,
	    "durationMs")));
	if (*show_string(result, "error") != '\0')
		show_text("error    ", show_string(result, "error"));
	show_steps(json_object_get(output, "steps"));
	if (json_is_object(failed)) {
		printf("failed   %s\n", show_string(failed, "name"));
		if (json_object_get(failed, "message") != NULL)
			show_error("           ",
			    json_object_get(failed, "message"));
	}
	if (json_object_get(output, "response") != NULL)
		show_value("response ", json_object_get(output, "response"));
	if (show_read(result_fd, "log", &log) == 0 && log.len != 0) {
		printf("log\n");
		show_text("           ", log.data);
	}
	apw_buf_free(&log);
	json_decref(result);
	json_decref(run);
	json_decref(output);
	return status;
}

int
ctl_show_json(int result_fd, const char *id)
{
	static const struct { const char *key, *file; } parts[] = {
		{ "result", "result.json" },
		{ "run", "run.json" },
		{ "output", "output.json" },
		{ "payloads", "payloads.json" },
	};
	json_t		*all = json_object(), *part;
	struct apw_buf	 log = APW_BUF_INIT(0);
	int		 status;
	size_t		 i;

	json_object_set_new(all, "id", json_string(id));
	for (i = 0; i < APW_COUNT(parts); i++)
		if ((part = show_load(result_fd, parts[i].file)) != NULL)
			json_object_set_new(all, parts[i].key, part);
	if (show_read(result_fd, "log", &log) == 0)
		json_object_set_new(all, "log",
		    json_stringn(log.data == NULL ? "" : log.data, log.len));
	apw_buf_free(&log);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	status = show_status(json_object_get(all, "result"));
	json_decref(all);
	return status;
}
