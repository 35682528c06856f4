/*
 * Raw JSON text: slices of it are checked, walked and spliced, never turned
 * into a tree.  Room: proto.
 *
 * What is not looked at survives byte for byte: numbers beyond 2^53, NUL
 * escapes, duplicate keys, lone surrogates.  Nothing here recurses or
 * allocates outside the buffers it is given, and no function reads outside
 * its slice, checked text or not.
 */
#ifndef APW_PROTO_RAW_H
#define APW_PROTO_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_buf.h"
#include "core/apw_str.h"

/* Deeper nesting than this is refused. */
#define APW_RAW_DEPTH_MAX	65536

/* apw_raw_check(): strings must be well-formed UTF-8, too */
#define APW_RAW_UTF8		0x1

enum apw_raw_type {
	APW_RAW_BAD,
	APW_RAW_NULL,
	APW_RAW_FALSE,
	APW_RAW_TRUE,
	APW_RAW_NUMBER,
	APW_RAW_STRING,
	APW_RAW_ARRAY,
	APW_RAW_OBJECT
};

/* 0 when the text is exactly one JSON value (RFC 8259), white space around
 * it allowed; -1 otherwise. */
int	apw_raw_check(struct apw_str, unsigned flags);

/* Length of the checked value at the start of the text, leading white space
 * included; -1 when there is none. */
ssize_t	apw_raw_scan(struct apw_str, unsigned flags);

/* Is it well-formed UTF-8 (no surrogates, no overlong forms)? */
bool	apw_raw_utf8(struct apw_str);
/* Length of the sequence that begins at p (p < end), 0 when it is none. */
size_t	apw_raw_utf8_length(const char *p, const char *end);

/* What the first byte behind white space promises. */
enum apw_raw_type
	apw_raw_type(struct apw_str);

/* Without the white space around it. */
struct apw_str
	apw_raw_trim(struct apw_str);

/*
 * Walk a container.  The text should have been checked; with unchecked text
 * the slices may be nonsense, but lie within it.
 */
struct apw_raw_iter {
	const char	*p;		/* borrowed */
	const char	*end;
	char		 closer;	/* ']' or '}' */
	bool		 first;
};

/* -1 when the text is neither array nor object. */
int	apw_raw_iter(struct apw_raw_iter *, struct apw_str);

/* 1 and the next value (and key, a string literal with its quotes; empty in
 * an array); 0 at the end; -1 on broken text.  key may be NULL. */
int	apw_raw_next(struct apw_raw_iter *, struct apw_str *key,
	    struct apw_str *value);

/* The member of an object, the last one when a key repeats (as JSON.parse
 * has it): 1 found, 0 not there, -1 not an object. */
int	apw_raw_member(struct apw_str, const char *key, struct apw_str *value);

/* The element of an array: 1 found, 0 not that many, -1 not an array. */
int	apw_raw_element(struct apw_str, size_t index, struct apw_str *value);

/* Does this string literal, escapes decoded, equal s? */
bool	apw_raw_equals(struct apw_str literal, const char *s);

/* Append the decoded text of a string literal as UTF-8; a lone surrogate
 * becomes U+FFFD.  -1 when it is not a string literal, or out is full. */
int	apw_raw_decode(struct apw_buf *out, struct apw_str literal);

/* Append text as a string literal; bytes that are not UTF-8 become U+FFFD. */
int	apw_raw_quote(struct apw_buf *out, struct apw_str text);

/* An integer without fraction and exponent; -1 when it is none. */
int	apw_raw_int(struct apw_str, int64_t *);

#endif
