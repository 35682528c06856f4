/* Slices, words and path segments.  Room: any. */
#include "core/apw_str.h"

#include <stdlib.h>

#define NEAREST_WORD_MAX 64

static unsigned
edit_distance(const char *a, const char *b)
{
	unsigned	row[NEAREST_WORD_MAX + 1];
	size_t		la = strlen(a), lb = strlen(b), i, j;
	unsigned	diagonal, above, cost;

	if (la > NEAREST_WORD_MAX || lb > NEAREST_WORD_MAX)
		return NEAREST_WORD_MAX;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			cost = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < cost)
				cost = above + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
			diagonal = above;
		}
	}
	return row[lb];
}

const char *
apw_str_nearest(const char *word, const char *const *list)
{
	const char	*best = NULL;
	/* of three letters one may be wrong, of six three */
	unsigned	 limit = strlen(word) <= 3 ? 1 : strlen(word) / 3 + 1;
	unsigned	 d;

	for (; *list != NULL; list++) {
		d = edit_distance(word, *list);
		if (d <= limit && d < strlen(*list)) {
			best = *list;
			limit = d == 0 ? 0 : d - 1;
			if (d == 0)
				break;
		}
	}
	return best;
}

bool
apw_str_is_segment(struct apw_str s)
{
	size_t	i;

	if (s.n == 0 || s.n > 255 || apw_str_is(s, "."))
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
			return false;
		if (c == '.' && i + 1 < s.n && s.p[i + 1] == '.')
			return false;
	}
	return true;
}

char *
apw_str_dup(struct apw_str s)
{
	char	*copy;

	if (memchr(s.p == NULL ? "" : s.p, '\0', s.n) != NULL)
		return NULL;
	copy = malloc(s.n + 1);
	if (copy == NULL)
		return NULL;
	if (s.n != 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}
