/*
 * Raw JSON text: checking and walking.  Room: proto.  String literals are
 * decoded and written in apw_raw_string.c.
 *
 * Must never recurse (depth comes from the wire) or read outside its slice.
 */
#include "proto/apw_raw.h"

#include <string.h>

#include "proto/apw_raw_priv.h"

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' ||
	    *p == '\r'))
		p++;
	return p;
}

/* The widest registers that every processor has. */
#define LANES	16
#define EACH(c)	{ c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c }
typedef uint8_t lanes __attribute__((vector_size(LANES)));
typedef uint64_t halves __attribute__((vector_size(LANES)));

/* All ones for each byte of a string that does not mean itself. */
static inline lanes
special(const char *p)
{
	/* a quote is 0x22: this turns it and 0x20 around, and what is below
	 * only among itself */
	static const lanes	turn = EACH(0x02), last = EACH(0x20),
				back = EACH('\\');
	lanes			v;

	memcpy(&v, p, sizeof(v));
	return (lanes)((v ^ turn) <= last) | (lanes)(v == back);
}

static inline bool
any(lanes hit)
{
	return (((halves)hit)[0] | ((halves)hit)[1]) != 0;
}

/* Which of the bytes is the first?  There is one. */
static inline size_t
first_of(lanes hit)
{
	uint64_t	low = ((halves)hit)[0], high = ((halves)hit)[1];

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return (size_t)(low != 0 ? __builtin_clzll(low) :
	    64 + __builtin_clzll(high)) / 8;
#else
	return (size_t)(low != 0 ? __builtin_ctzll(low) :
	    64 + __builtin_ctzll(high)) / 8;
#endif
}

const char *
apw_raw_plain(const char *p, const char *end)
{
	lanes	hit;

	/* most are short, some are very long */
	while (end - p >= LANES) {
		hit = special(p);
		if (any(hit))
			return p + first_of(hit);
		p += LANES;
		while (end - p >= 4 * LANES && !any(special(p) |
		    special(p + LANES) | special(p + 2 * LANES) |
		    special(p + 3 * LANES)))
			p += 4 * LANES;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* p is at the opening quote; behind the closing one, or NULL. */
static const char *
check_string(const char *p, const char *end, unsigned flags)
{
	const char	*from = ++p;

	for (;;) {
		p = apw_raw_plain(p, end);
		if (p == end || (unsigned char)*p < 0x20)
			return NULL;
		if (*p == '"')
			break;
		if (end - p < 2)
			return NULL;
		if (p[1] == 'u') {
			if (end - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) ||
			    !is_hex(p[4]) || !is_hex(p[5]))
				return NULL;
			p += 6;
		} else if (p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL)
			p += 2;
		else
			return NULL;
	}
	if ((flags & APW_RAW_UTF8) != 0 &&
	    !apw_raw_utf8((struct apw_str){ from, p - from }))
		return NULL;
	return p + 1;
}

static const char *
check_digits(const char *p, const char *end)
{
	if (p == end || !is_digit(*p))
		return NULL;
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static const char *
check_number(const char *p, const char *end)
{
	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if ((p = check_digits(p, end)) == NULL)
		return NULL;
	if (p < end && *p == '.' && (p = check_digits(p + 1, end)) == NULL)
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = check_digits(p, end);
	}
	return p;
}

static const char *
check_word(const char *p, const char *end, const char *word, size_t n)
{
	if ((size_t)(end - p) < n || memcmp(p, word, n) != 0)
		return NULL;
	return p + n;
}

static const char *
check_scalar(const char *p, const char *end, unsigned flags)
{
	switch (*p) {
	case '"':
		return check_string(p, end, flags);
	case 't':
		return check_word(p, end, "true", 4);
	case 'f':
		return check_word(p, end, "false", 5);
	case 'n':
		return check_word(p, end, "null", 4);
	default:
		if (*p == '-' || is_digit(*p))
			return check_number(p, end);
		return NULL;
	}
}

/* p is where a key must be; behind the colon, or NULL. */
static const char *
check_key(const char *p, const char *end, unsigned flags)
{
	p = skip_space(p, end);
	if (p == end || *p != '"' || (p = check_string(p, end, flags)) == NULL)
		return NULL;
	p = skip_space(p, end);
	if (p == end || *p != ':')
		return NULL;
	return p + 1;
}

/* which containers are open, one bit each: 1 is an object */
struct nest {
	uint8_t		bits[APW_RAW_DEPTH_MAX / 8];
	unsigned	depth;
};

static int
nest_push(struct nest *n, bool object)
{
	uint8_t	*byte;

	if (n->depth == APW_RAW_DEPTH_MAX)
		return -1;
	byte = &n->bits[n->depth / 8];
	*byte &= ~(1U << (n->depth % 8));
	*byte |= (unsigned)object << (n->depth % 8);
	n->depth++;
	return 0;
}

static bool
nest_in_object(const struct nest *n)
{
	return (n->bits[(n->depth - 1) / 8] >> ((n->depth - 1) % 8)) & 1;
}

/*
 * Behind a value: close what ends here.  Where the next value starts; or
 * *done and the end; or NULL.
 */
static const char *
check_behind(struct nest *n, const char *p, const char *end, unsigned flags,
    bool *done)
{
	bool	object;

	for (; n->depth > 0; n->depth--, p++) {
		p = skip_space(p, end);
		if (p == end)
			return NULL;
		object = nest_in_object(n);
		if (*p == ',')
			return object ? check_key(p + 1, end, flags) : p + 1;
		if (*p != (object ? '}' : ']'))
			return NULL;
	}
	*done = true;
	return p;
}

ssize_t
apw_raw_scan(struct apw_str text, unsigned flags)
{
	const char	*p = text.p, *end = text.p + text.n, *ahead;
	struct nest	 nest;
	bool		 done = false, object;

	nest.depth = 0;
	while (!done) {
		p = skip_space(p, end);
		if (p == end)
			return -1;
		if (*p == '{' || *p == '[') {
			object = *p == '{';
			if (nest_push(&nest, object) == -1)
				return -1;
			ahead = skip_space(p + 1, end);
			if (ahead == end)
				return -1;
			if (*ahead == (object ? '}' : ']')) {
				nest.depth--;
				p = check_behind(&nest, ahead + 1, end, flags,
				    &done);
			} else
				p = object ? check_key(ahead, end, flags) :
				    ahead;
		} else if ((p = check_scalar(p, end, flags)) != NULL)
			p = check_behind(&nest, p, end, flags, &done);
		if (p == NULL)
			return -1;
	}
	return p - text.p;
}

int
apw_raw_check(struct apw_str text, unsigned flags)
{
	ssize_t	n = apw_raw_scan(text, flags);

	if (n == -1 || skip_space(text.p + n, text.p + text.n) !=
	    text.p + text.n)
		return -1;
	return 0;
}

enum apw_raw_type
apw_raw_type(struct apw_str text)
{
	const char	*p;

	if (text.n == 0)
		return APW_RAW_BAD;
	p = skip_space(text.p, text.p + text.n);
	if (p == text.p + text.n)
		return APW_RAW_BAD;
	switch (*p) {
	case '{':
		return APW_RAW_OBJECT;
	case '[':
		return APW_RAW_ARRAY;
	case '"':
		return APW_RAW_STRING;
	case 'n':
		return APW_RAW_NULL;
	case 't':
		return APW_RAW_TRUE;
	case 'f':
		return APW_RAW_FALSE;
	default:
		return *p == '-' || is_digit(*p) ? APW_RAW_NUMBER :
		    APW_RAW_BAD;
	}
}

struct apw_str
apw_raw_trim(struct apw_str text)
{
	const char	*p = skip_space(text.p, text.p + text.n);
	const char	*end = text.p + text.n;

	while (end > p && (end[-1] == ' ' || end[-1] == '\t' ||
	    end[-1] == '\n' || end[-1] == '\r'))
		end--;
	return (struct apw_str){ p, end - p };
}

/* Behind the string whose opening quote is at p, or NULL; not checked. */
static const char *
walk_string(const char *p, const char *end)
{
	for (p++;; ) {
		p = apw_raw_plain(p, end);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		p += *p == '\\' ? 2 : 1;
		if (p > end)
			return NULL;
	}
}

/* Behind the value at p, or NULL; trusts the text to have been checked. */
static const char *
walk_value(const char *p, const char *end)
{
	const char	*from = p;
	size_t		 depth = 0;

	do {
		if (p == end)
			return NULL;
		switch (*p) {
		case '"':
			if ((p = walk_string(p, end)) == NULL)
				return NULL;
			break;
		case '{':
		case '[':
			depth++;
			p++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return p == from ? NULL : p;
			depth--;
			p++;
			break;
		case ',':
		case ':':
			if (depth == 0)
				return NULL;
			p++;
			break;
		default:
			while (p < end && *p != ',' && *p != ':' &&
			    *p != '}' && *p != ']' && *p != '"' &&
			    *p != '{' && *p != '[')
				p++;
		}
	} while (depth > 0);
	return p;
}

int
apw_raw_iter(struct apw_raw_iter *it, struct apw_str text)
{
	it->p = skip_space(text.p, text.p + text.n);
	it->end = text.p + text.n;
	it->first = true;
	if (it->p == it->end || (*it->p != '{' && *it->p != '['))
		return -1;
	it->closer = *it->p == '{' ? '}' : ']';
	it->p++;
	return 0;
}

int
apw_raw_next(struct apw_raw_iter *it, struct apw_str *key,
    struct apw_str *value)
{
	const char	*p = skip_space(it->p, it->end), *q;

	if (p == it->end)
		return -1;
	if (*p == it->closer) {
		it->p = p;
		return 0;
	}
	if (!it->first) {
		if (*p != ',')
			return -1;
		p = skip_space(p + 1, it->end);
	}
	it->first = false;
	if (key != NULL)
		*key = (struct apw_str){ p, 0 };
	if (it->closer == '}') {
		if (p == it->end || *p != '"' ||
		    (q = walk_string(p, it->end)) == NULL)
			return -1;
		if (key != NULL)
			key->n = q - p;
		p = skip_space(q, it->end);
		if (p == it->end || *p != ':')
			return -1;
		p = skip_space(p + 1, it->end);
	}
	if (p == it->end || (q = walk_value(p, it->end)) == NULL)
		return -1;
	*value = apw_raw_trim((struct apw_str){ p, q - p });
	it->p = q;
	return 1;
}

int
apw_raw_member(struct apw_str text, const char *key, struct apw_str *value)
{
	struct apw_raw_iter	 it;
	struct apw_str		 k, v;
	int			 r, found = 0;

	if (apw_raw_iter(&it, text) == -1 || it.closer != '}')
		return -1;
	while ((r = apw_raw_next(&it, &k, &v)) == 1) {
		if (apw_raw_equals(k, key)) {
			*value = v;
			found = 1;
		}
	}
	return r == -1 ? -1 : found;
}

int
apw_raw_element(struct apw_str text, size_t index, struct apw_str *value)
{
	struct apw_raw_iter	it;
	struct apw_str		v;
	int			r;

	if (apw_raw_iter(&it, text) == -1 || it.closer != ']')
		return -1;
	while ((r = apw_raw_next(&it, NULL, &v)) == 1) {
		if (index-- == 0) {
			*value = v;
			return 1;
		}
	}
	return r;
}

int
apw_raw_int(struct apw_str text, int64_t *out)
{
	const char	*p, *end;
	int64_t		 v = 0;
	bool		 minus;

	text = apw_raw_trim(text);
	p = text.p;
	end = text.p + text.n;
	minus = p < end && *p == '-';
	if (minus)
		p++;
	if (p == end || (*p == '0' && end - p > 1))
		return -1;
	for (; p < end; p++) {
		if (!is_digit(*p) ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, *p - '0', &v))
			return -1;
	}
	if (!minus && __builtin_mul_overflow(v, -1, &v))
		return -1;
	*out = v;
	return 0;
}
