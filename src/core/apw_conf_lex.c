/* The lexer of the configuration: nginx's grammar.  Words are separated by
 * blanks, ";", "{" and "}"; a word that starts with ' or " goes to the next
 * such quote; "\" takes the special meaning from what follows (and \n \t \r
 * mean what they mean); "#" starts a comment where a word could start.
 * Room: core.  It never looks beyond p..end and knows no file. */
#include "core/apw_conf_priv.h"

#include <stdio.h>
#include <string.h>

void
apw_conf_lex_init(struct apw_conf_lex *lex, struct apw_arena *arena,
    const char *p, size_t n)
{
	memset(lex, 0, sizeof(*lex));
	lex->arena = arena;
	lex->p = p;
	lex->end = p + n;
	lex->line = lex->column = 1;
	/* a byte order mark is no word */
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		lex->p += 3;
}

static void
lex_step(struct apw_conf_lex *lex)
{
	unsigned char	c = (unsigned char)*lex->p++;

	if (c == '\n') {
		lex->line++;
		lex->column = 1;
	} else if ((c & 0xc0) != 0x80) {	/* people count characters */
		lex->column++;
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_control(char c)
{
	return ((unsigned char)c < 0x20 && !is_blank(c)) || c == 0x7f;
}

static bool
ends_word(char c)
{
	return is_blank(c) || c == ';' || c == '{' || c == '}';
}

static char
unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return c;
	}
}

static enum apw_conf_token
lex_bad(struct apw_conf_lex *lex, const char *what)
{
	apw_err_set(&lex->err, 0, "%s", what);
	return APW_TOKEN_BAD;
}

static void
skip_blanks(struct apw_conf_lex *lex)
{
	while (lex->p < lex->end) {
		if (*lex->p == '#' && !lex->stuck) {
			while (lex->p < lex->end && *lex->p != '\n')
				lex_step(lex);
		} else if (is_blank(*lex->p)) {
			lex->stuck = false;
			lex_step(lex);
		} else {
			return;
		}
	}
}

/* A word up to the quote, or, without one, to what ends a word. */
static enum apw_conf_token
lex_word(struct apw_conf_lex *lex, char quote)
{
	char		 word[APW_CONF_WORD_MAX];
	size_t		 n = 0;
	bool		 too_long = false, control = false, closed = false;
	char		 c;

	while (lex->p < lex->end) {
		c = *lex->p;
		if (quote != '\0' ? c == quote : ends_word(c)) {
			if (quote != '\0')
				lex_step(lex);
			closed = true;
			break;
		}
		control = control || is_control(c);
		if (c == '\\' && lex->p + 1 < lex->end) {
			lex_step(lex);
			control = control || is_control(*lex->p);
			c = unescape(*lex->p);
		}
		lex_step(lex);
		if (n < sizeof(word) - 1)
			word[n++] = c;
		else
			too_long = true;
	}
	if (quote != '\0' && !closed)
		return lex_bad(lex, quote == '"' ?
		    "found the end of the file in a text in quotes; "
		    "expected the closing \"" :
		    "found the end of the file in a text in quotes; "
		    "expected the closing '");
	if (control)
		return lex_bad(lex, "found a control byte; expected text");
	if (too_long)
		return lex_bad(lex, "found a word of more than 4095 bytes");
	word[n] = '\0';
	lex->word = apw_arena_str(lex->arena, (struct apw_str){ word, n });
	lex->quoted = quote != '\0';
	lex->stuck = lex->quoted;
	explicit_bzero(word, sizeof(word));
	return lex->word == NULL ? lex_bad(lex, "out of memory") :
	    APW_TOKEN_WORD;
}

enum apw_conf_token
apw_conf_lex_next(struct apw_conf_lex *lex)
{
	char	c;

	skip_blanks(lex);
	lex->at_line = lex->line;
	lex->at_column = lex->column;
	lex->word = NULL;
	if (lex->p == lex->end)
		return APW_TOKEN_END;
	c = *lex->p;
	if (c == ';' || c == '{' || c == '}') {
		lex_step(lex);
		lex->stuck = false;
		return c == ';' ? APW_TOKEN_SEMICOLON :
		    c == '{' ? APW_TOKEN_OPEN : APW_TOKEN_CLOSE;
	}
	if (lex->stuck) {
		/* one complaint for "a"b; b is then a word */
		lex->stuck = false;
		return lex_bad(lex, "found a character right after a closing "
		    "quote; expected a blank, \";\", \"{\" or \"}\"");
	}
	if (c == '"' || c == '\'') {
		lex_step(lex);
		return lex_word(lex, c);
	}
	return lex_word(lex, '\0');
}

void
apw_conf_put_word(FILE *f, const char *s)
{
	const char	*p;

	if (*s != '\0' && strpbrk(s, " \t\r\n;{}\\\"'#") == NULL) {
		fputs(s, f);
		return;
	}
	putc('"', f);
	for (p = s; *p != '\0'; p++) {
		switch (*p) {
		case '\n':
			fputs("\\n", f);
			break;
		case '\t':
			fputs("\\t", f);
			break;
		case '\r':
			fputs("\\r", f);
			break;
		default:
			if (*p == '"' || *p == '\\')
				putc('\\', f);
			putc(*p, f);
		}
	}
	putc('"', f);
}
