/* An npmrc, as far as it concerns us: lines of keys and values.  Room: stock.
 * It may hold secrets: what was read is wiped, and no value but those asked
 * for leaves this file. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <stdio.h>

#include "core/apw_auto.h"

#define NPMRC_BYTES	((size_t)65536)

/* The way to the registries, which a box has of its own. */
static const char *const ways[] = { "proxy", "https-proxy", "http-proxy",
	"noproxy" };

static void
npmrc_wipe(struct apw_buf *text)
{
	if (text->data != NULL)
		explicit_bzero(text->data, text->len);
	apw_buf_free(text);
}

int
stock_npmrc_read(const char *path, struct apw_buf *text)
{
	apw_autofd int	fd = path == NULL ? -1 : open(path, O_RDONLY |
			    O_CLOEXEC);
	ssize_t		n;

	text->max = NPMRC_BYTES;
	if (fd == -1 || apw_buf_reserve(text, NPMRC_BYTES - 1) == -1)
		return -1;
	n = read(fd, text->data, NPMRC_BYTES - 1);
	text->len = n > 0 ? (size_t)n : 0;
	text->data[text->len] = '\0';
	return n > 0 ? 0 : -1;
}

bool
stock_npmrc_line(char *line, char **key, char **value)
{
	char	*eq = strchr(line, '='), *end;

	line += strspn(line, " \t");
	if (*line == '#' || *line == ';' || eq == NULL || eq < line)
		return false;
	*eq = '\0';
	for (end = eq; end > line && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	*key = line;
	*value = eq + 1 + strspn(eq + 1, " \t\"'");
	end = *value + strlen(*value);
	while (end > *value && strchr(" \t\r\"'", end[-1]) != NULL)
		*--end = '\0';
	return **key != '\0' && **value != '\0';
}

/* "${NAME}" is a variable, as npm has it; one that is not set stays. */
static char *
npmrc_expand(const char *value)
{
	struct apw_buf	 out = APW_BUF_INIT(NPMRC_BYTES);
	char		 name[128];
	const char	*p, *end, *text;

	for (p = value; *p != '\0'; p++) {
		end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;
		text = NULL;
		if (end != NULL && (size_t)(end - p) < sizeof(name)) {
			snprintf(name, sizeof(name), "%.*s",
			    (int)(end - p - 2), p + 2);
			text = getenv(name);
		}
		if (text == NULL)
			apw_buf_put(&out, p, 1);
		else {
			apw_buf_puts(&out, text);
			p = end;
		}
	}
	if (!out.failed && out.data != NULL)
		return out.data;	/* its owner is the caller now */
	npmrc_wipe(&out);
	return NULL;
}

char *
stock_npmrc_get(const char *path, const char *name)
{
	struct apw_buf	 text = APW_BUF_INIT(0);
	char		*line, *next, *key, *value, *found = NULL;

	if (stock_npmrc_read(path, &text) == 0)
		for (next = text.data; (line = strsep(&next, "\n")) != NULL;)
			if (stock_npmrc_line(line, &key, &value) &&
			    strcmp(key, name) == 0) {
				free(found);	/* the last one counts */
				found = npmrc_expand(value);
			}
	npmrc_wipe(&text);
	return found;
}

/* Is it about the way? */
static bool
names_way(const char *line, size_t n)
{
	char	*copy = strndup(line, n), *key, *value;
	bool	 is = false;
	size_t	 i;

	/* without memory it is not handed on */
	if (copy == NULL || !stock_npmrc_line(copy, &key, &value)) {
		is = copy == NULL;
		free(copy);
		return is;
	}
	for (i = 0; !is && i < APW_COUNT(ways); i++)
		is = strcmp(key, ways[i]) == 0;
	explicit_bzero(copy, n);
	free(copy);
	return is;
}

int
stock_npmrc_copy(const char *from, const char *to)
{
	struct apw_buf	text = APW_BUF_INIT(0);
	apw_autofd int	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	const char	*p, *end;
	size_t		n;
	int		rc = fd == -1 ? -1 : 0;

	/* one that is not there is no error, as to the tools */
	if (rc == 0 && stock_npmrc_read(from, &text) == 0)
		for (p = text.data; rc == 0 && *p != '\0'; p += n) {
			end = strchr(p, '\n');
			n = end == NULL ? strlen(p) : (size_t)(end + 1 - p);
			if (!names_way(p, n) && write(fd, p, n) != (ssize_t)n)
				rc = -1;
		}
	npmrc_wipe(&text);
	return rc;
}
