/* One line of the log, from its parts; see apw_log_priv.h.  Room: any.  Values
 * come from outside: no byte of them ends a line, moves a terminal's cursor or
 * makes JSON that is none. */
#include "core/apw_log_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/apw_clock.h"

#define LINE_VALUE_BYTES 1500	/* a longer value is cut, and says so */
#define LINE_SPARE_BYTES 48	/* for what ends a line that was cut */
#define LINE_KEY_BYTES	 48

static const char *const line_levels[] = {
	"alert", "error", "warn", "notice", "info", "debug",
};

const char *
apw_log_level_name(enum apw_log_level level)
{
	return line_levels[level];
}

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
	char	 part[256];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	line_puts(l, part);
}

/* Bytes that a value may take, so that the line can still be ended. */
static size_t
line_room(const struct log_line *l)
{
	size_t	taken = l->len + LINE_SPARE_BYTES;

	return taken < sizeof(l->text) ? sizeof(l->text) - taken : 0;
}

/* The length of the UTF-8 sequence at p, and what it means; 0: it is none. */
static size_t
utf8_read(const char *p, size_t n, uint32_t *code)
{
	static const uint32_t	least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char		c = (unsigned char)*p;
	size_t			len, i;

	if (c < 0x80) {
		*code = c;
		return 1;
	}
	len = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 :
	    c >= 0xc2 && c < 0xe0 ? 2 : 0;
	if (len == 0 || len > n)
		return 0;
	*code = c & (0x7fU >> len);
	for (i = 1; i < len; i++) {
		c = (unsigned char)p[i];
		if ((c & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (c & 0x3f);
	}
	return *code < least[len] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code < 0xe000) ? 0 : len;
}

/* What ends lines, moves cursors or turns the direction of the text. */
static bool
code_is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	    code == 0x200e || code == 0x200f ||
	    (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

/* One character of a quoted value, at most 6 bytes of it. */
static size_t
line_char(char out[8], const char *p, size_t n, size_t *read,
    enum apw_log_format format)
{
	uint32_t	code = 0;

	if ((*read = utf8_read(p, n, &code)) == 0) {
		*read = 1;
		return (size_t)(format == APW_LOG_JSON ?
		    snprintf(out, 8, "\\ufffd") :
		    snprintf(out, 8, "\\x%02x", (unsigned char)*p));
	}
	if (code == '"' || code == '\\')
		return (size_t)snprintf(out, 8, "\\%c", (int)code);
	if (code == '\n')
		return (size_t)snprintf(out, 8, "\\n");
	if (code_is_unsafe(code))
		return (size_t)snprintf(out, 8, "\\u%04x", (unsigned)code);
	memcpy(out, p, *read);
	return *read;
}

static void
line_quoted(struct log_line *l, enum apw_log_format format, const char *p,
    size_t n)
{
	size_t	limit = line_room(l), put, read, i = 0, from = l->len;
	char	one[8];

	if (limit > LINE_VALUE_BYTES)
		limit = LINE_VALUE_BYTES;
	line_puts(l, "\"");
	while (i < n) {
		put = line_char(one, p + i, n - i, &read, format);
		if (l->len - from + put > limit)
			break;
		line_put(l, one, put);
		i += read;
	}
	if (i < n)
		line_printf(l, "[%zu more]", n - i);
	line_puts(l, "\"");
}

static bool
value_is_plain(const char *p, size_t n)
{
	uint32_t	code = 0;
	size_t		i, read;

	if (n == 0 || n > 200)
		return false;
	for (i = 0; i < n; i += read) {
		if ((read = utf8_read(p + i, n - i, &code)) == 0 ||
		    code <= 0x20 || code_is_unsafe(code) ||
		    (code < 0x80 && strchr("\"\\=", (int)code) != NULL))
			return false;
	}
	return true;
}

static size_t
field_len(const struct apw_field *f)
{
	return f->n == SIZE_MAX ? strlen(f->s) : f->n;
}

static bool
field_is(const struct apw_field *f, const char *text)
{
	return f->s != NULL && field_len(f) == strlen(text) &&
	    memcmp(f->s, text, strlen(text)) == 0;
}

/* The keys of a line: no two are the same. */
struct line_keys {
	char	 name[LOG_FIELDS_MAX][LINE_KEY_BYTES];
	size_t	 n;
};

static bool
key_is_taken(const struct line_keys *k, size_t own, const char *name,
    const struct log_head *h)
{
	static const char *const ours[] = { "time", "level", "room", "event",
	    "cut" };
	size_t	i;

	for (i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strcmp(ours[i], name) == 0)
			return true;
	if (h->job[0] != '\0' && strcmp(name, "job") == 0)
		return true;
	for (i = 0; i < k->n; i++)
		if (i != own && strcmp(k->name[i], name) == 0)
			return true;
	return false;
}

/* The first one of a name keeps it, the next ones are NAME_2, NAME_3 ... */
static void
keys_make(struct line_keys *k, const struct log_head *h,
    const struct apw_field *f)
{
	char		base[LINE_KEY_BYTES - 12];
	size_t		i, j, n;
	unsigned	again;

	for (n = 0; n < LOG_FIELDS_MAX && f[n].key != NULL; n++) {
		snprintf(k->name[n], sizeof(base), "%s", f[n].key);
		for (j = 0; k->name[n][j] != '\0'; j++)
			if (!isalnum((unsigned char)k->name[n][j]) &&
			    strchr("_.-", k->name[n][j]) == NULL)
				k->name[n][j] = '_';
	}
	for (i = 0; i < n; i++) {
		k->n = i;	/* those before it have their names */
		if (!key_is_taken(k, i, k->name[i], h))
			continue;
		memcpy(base, k->name[i], sizeof(base));
		base[sizeof(base) - 1] = '\0';
		k->n = n;
		for (again = 2; key_is_taken(k, i, k->name[i], h) &&
		    again <= LOG_FIELDS_MAX + 2; again++)
			snprintf(k->name[i], sizeof(k->name[i]), "%s_%u", base,
			    again);
	}
	k->n = n;
}

static size_t
fields_count(const struct apw_field *f)
{
	size_t	n = 0;

	while (f[n].key != NULL)
		n++;
	return n;
}

static void
line_field(struct log_line *l, enum apw_log_format format, const char *key,
    const struct apw_field *f)
{
	line_printf(l, format == APW_LOG_JSON ? ",\"%s\":" : " %s=", key);
	if (f->s == NULL)
		line_printf(l, "%" PRId64, f->i);
	else if (format == APW_LOG_TEXT && value_is_plain(f->s, field_len(f)))
		line_put(l, f->s, field_len(f));
	else
		line_quoted(l, format, f->s, field_len(f));
}

/* A field that tells the line's job once more is left out. */
static void
line_fields(struct log_line *l, const struct log_head *h,
    const struct apw_field *f)
{
	struct line_keys	k = { .n = 0 };
	size_t			i, all = fields_count(f);

	keys_make(&k, h, f);
	for (i = 0; i < k.n; i++) {
		if (h->job[0] != '\0' && strcmp(f[i].key, "job") == 0 &&
		    field_is(&f[i], h->job))
			continue;
		if (line_room(l) < 256)
			break;
		line_field(l, h->format, k.name[i], &f[i]);
	}
	if (i < all)
		line_printf(l, h->format == APW_LOG_JSON ? ",\"cut\":%zu" :
		    " cut=%zu", all - i);
}

/* The event is our own sentence; were it not, it would be one line still. */
static void
line_event(struct log_line *l, const char *text)
{
	char	one;

	for (; *text != '\0' && line_room(l) > 1024; text++) {
		one = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' :
		    *text;
		line_put(l, &one, 1);
	}
}

void
log_line_compose(struct log_line *l, const struct log_head *h,
    const char *text, const struct apw_field *f)
{
	char	time[APW_ISO8601_SIZE];

	l->len = 0;
	apw_iso8601(h->wall_ms, time);
	if (h->format == APW_LOG_JSON) {
		line_printf(l, "{\"time\":\"%s\",\"level\":\"%s\","
		    "\"room\":\"%s\"", time, line_levels[h->level], h->room);
		if (h->job[0] != '\0') {
			line_puts(l, ",\"job\":");
			line_quoted(l, h->format, h->job, strlen(h->job));
		}
		line_puts(l, ",\"event\":");
		line_quoted(l, h->format, text, strlen(text));
	} else {
		line_printf(l, "%s %s %s ", time, line_levels[h->level],
		    h->room);
		if (h->job[0] != '\0')
			line_printf(l, "job=%s ", h->job);
		line_event(l, text);
	}
	line_fields(l, h, f);
	if (h->format == APW_LOG_JSON)
		line_puts(l, "}");
	l->text[l->len++] = '\n';
}
