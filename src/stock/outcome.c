/* What came of a tool, in words that may be shown: valid UTF-8, no control
 * characters, no credentials.  Room: stock, keeper. */
#include "stock/stock_priv.h"

#include <stdio.h>

#include "proto/apw_raw.h"

bool
stock_outcome_ok(const struct stock_outcome *o)
{
	return !o->timed_out && !o->cancelled && o->over == NULL && o->exit_code == 0;
}

void
stock_outcome_free(struct stock_outcome *o)
{
	apw_buf_free(&o->said);
	apw_buf_free(&o->out);
	apw_buf_free(&o->err);
}

static void
put_printable(struct apw_buf *to, const struct apw_buf *from)
{
	const char	*p = from->data, *end;
	size_t		 len;

	if (from->len == 0)
		return;
	for (end = p + from->len; p < end; p += len) {
		len = apw_raw_utf8_length(p, end);
		if (len == 0 || *p == 0x7f ||
		    (len == 1 && *p < 0x20 && *p != '\n' && *p != '\t')) {
			apw_buf_put(to, "?", 1);
			len = 1;
		} else
			apw_buf_put(to, p, len);
	}
	if (from->len > 0 && from->data[from->len - 1] != '\n')
		apw_buf_put(to, "\n", 1);
}

/* A text that was cut to fit may end in the middle of a character, and it
 * goes into JSON. */
void
stock_cut_clean(char *text)
{
	size_t	n = strlen(text), from = n;

	while (from > 0 && n - from < 3 && (text[from - 1] & 0xc0) == 0x80)
		from--;
	if (from > 0 && (text[from - 1] & 0xc0) == 0xc0 &&
	    apw_raw_utf8_length(text + from - 1, text + n) != n - from + 1)
		text[from - 1] = '\0';
}

/* "https://user:password@host" of a registry or proxy is not for those who
 * read why a run failed. */
static void
hide_credentials(struct apw_buf *text)
{
	char	*p = text->data, *end, *at;

	while (p != NULL && (p = strstr(p, "://")) != NULL) {
		p += 3;
		end = p + strcspn(p, "/ \t\n\"'<>");
		at = memrchr(p, '@', end - p);
		if (at == NULL || at - p < 3)
			continue;
		memset(p, '*', 3);
		memmove(p + 3, at, text->data + text->len + 1 - at);
		text->len -= at - p - 3;
	}
}

void
stock_outcome_text(const struct stock_outcome *o, struct apw_buf *text)
{
	if (o->timed_out)
		apw_buf_puts(text, "Timeout");
	else if (o->over != NULL)
		apw_buf_printf(text, "Ended for using %s", o->over);
	else if (o->signal != 0)
		apw_buf_printf(text, "Killed by signal %d", o->signal);
	else
		apw_buf_printf(text, "Exit %d", o->exit_code);
	apw_buf_put(text, "\n", 1);
	/* first, as what is shown may be cut */
	put_printable(text, &o->said);
	put_printable(text, &o->err);
	put_printable(text, &o->out);
	hide_credentials(text);
}
