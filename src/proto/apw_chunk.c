/*
 * Chunked bodies of HTTP/1.1; see apw_chunk.h.  Room: proto.
 *
 * Must never be lenient about where a body ends: no bare line feeds, no blanks
 * around sizes, no empty size.
 */
#include "proto/apw_chunk.h"

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION,	/* to be ignored, up to the end of its line */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER,		/* a line of it begins */
	CHUNK_TRAILER_LINE,
	CHUNK_TRAILER_LF,
	CHUNK_LAST_LF,
	CHUNK_OVER
};

/* 2^60 bytes and more cannot be meant */
#define DIGITS_MAX	15

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a size, or what may end it.  The next state, -1: broken. */
static int
take_size(struct apw_chunk *k, char c)
{
	int	v = hex_value(c);

	if (v >= 0) {
		if (k->digits++ == DIGITS_MAX)
			return -1;
		k->left = k->left << 4 | (unsigned)v;
		return CHUNK_SIZE;
	}
	if (k->digits == 0)
		return -1;
	return c == ';' ? CHUNK_EXTENSION : c == '\r' ? CHUNK_SIZE_LF : -1;
}

static int
take_line_byte(struct apw_chunk *k, char c, int lf_state)
{
	if (c == '\r')
		return lf_state;
	if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
		return -1;
	if (lf_state == CHUNK_SIZE_LF)
		return ++k->line_bytes > APW_CHUNK_LINE_MAX ? -1 :
		    CHUNK_EXTENSION;
	return ++k->trailer_bytes > APW_CHUNK_TRAILER_MAX ? -1 :
	    CHUNK_TRAILER_LINE;
}

/* The state after one byte that is not of the body; -1: broken. */
static int
take_byte(struct apw_chunk *k, char c)
{
	switch ((enum chunk_state)k->state) {
	case CHUNK_SIZE:
		return take_size(k, c);
	case CHUNK_EXTENSION:
		return take_line_byte(k, c, CHUNK_SIZE_LF);
	case CHUNK_SIZE_LF:
		if (c != '\n')
			return -1;
		k->digits = 0;
		k->line_bytes = 0;
		return k->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	case CHUNK_DATA_CR:
		return c == '\r' ? CHUNK_DATA_LF : -1;
	case CHUNK_DATA_LF:
		return c == '\n' ? CHUNK_SIZE : -1;
	case CHUNK_TRAILER:
		if (c == '\r')
			return CHUNK_LAST_LF;
		return take_line_byte(k, c, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LINE:
		return take_line_byte(k, c, CHUNK_TRAILER_LF);
	case CHUNK_TRAILER_LF:
		return c == '\n' ? CHUNK_TRAILER : -1;
	case CHUNK_LAST_LF:
		return c == '\n' ? CHUNK_OVER : -1;
	case CHUNK_DATA:
	case CHUNK_OVER:
		break;
	}
	return -1;
}

enum apw_chunk_got
apw_chunk_read(struct apw_chunk *k, const char **p, size_t *n,
    struct apw_str *data)
{
	int	next;

	while (k->state != CHUNK_OVER) {
		if (*n == 0)
			return APW_CHUNK_MORE;
		if (k->state == CHUNK_DATA) {
			*data = (struct apw_str){ *p,
			    *n < k->left ? *n : (size_t)k->left };
			*p += data->n;
			*n -= data->n;
			k->left -= data->n;
			if (k->left == 0)
				k->state = CHUNK_DATA_CR;
			return APW_CHUNK_DATA;
		}
		next = take_byte(k, **p);
		if (next == -1)
			return APW_CHUNK_BROKEN;
		k->state = (unsigned)next;
		(*p)++;
		(*n)--;
	}
	return APW_CHUNK_END;
}
