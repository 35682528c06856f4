/* A slice of bytes that somebody else owns; not NUL-terminated. */
#ifndef APW_STR_H
#define APW_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct apw_str {
	const char	*p;	/* borrowed */
	size_t		 n;
};

/* A literal, and a C string, as slices. */
#define APW_STR(lit)	((struct apw_str){ (lit), sizeof(lit) - 1 })

static inline struct apw_str
apw_str_c(const char *s)
{
	return (struct apw_str){ s, s == NULL ? 0 : strlen(s) };
}

static inline bool
apw_str_eq(struct apw_str a, struct apw_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Is the slice the C string s? */
static inline bool
apw_str_is(struct apw_str a, const char *s)
{
	return apw_str_eq(a, apw_str_c(s));
}

/* The nearest of the NULL-terminated list by edit distance, or NULL when
 * nothing is near enough for "did you mean". */
const char *apw_str_nearest(const char *word, const char *const *list);

/* One path segment from the wire: not empty, not "." or "..", no "..",
 * '/', '\\', NUL or control byte inside, at most 255 bytes. */
bool apw_str_is_segment(struct apw_str);

/* Copy into a fresh C string (malloc); NULL when a NUL is inside or memory
 * is out. */
char *apw_str_dup(struct apw_str);

#endif
