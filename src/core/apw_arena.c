/* Arenas: blocks of zeroed memory in a list, freed together.  Room: any. */
#include "core/apw_arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES	4096

struct arena_block {
	struct arena_block	*next;
	size_t			 used, size;
	_Alignas(max_align_t) char mem[];
};

struct arena_closer {
	struct arena_closer	*next;
	void			(*close)(void *);
	void			*arg;
};

struct apw_arena {
	struct arena_block	*blocks;	/* owned */
	struct arena_closer	*closers;	/* in the arena's own memory */
};

struct apw_arena *
apw_arena_new(void)
{
	return calloc(1, sizeof(struct apw_arena));
}

void
apw_arena_free(struct apw_arena *a)
{
	struct arena_block	*b, *next;
	struct arena_closer	*c;

	if (a == NULL)
		return;
	for (c = a->closers; c != NULL; c = c->next)
		c->close(c->arg);
	for (b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void *
apw_arena_alloc(struct apw_arena *a, size_t n)
{
	struct arena_block	*b = a->blocks;
	size_t			 size;
	void			*p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (b == NULL || b->size - b->used < n) {
		size = n > ARENA_BLOCK_BYTES ? n : ARENA_BLOCK_BYTES;
		b = calloc(1, sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		b->size = size;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->mem + b->used;
	b->used += n;
	return p;
}

char *
apw_arena_str(struct apw_arena *a, struct apw_str s)
{
	char	*copy = apw_arena_alloc(a, s.n + 1);

	if (copy != NULL && s.n != 0)
		memcpy(copy, s.p, s.n);
	return copy;
}

char *
apw_arena_strdup(struct apw_arena *a, const char *s)
{
	return apw_arena_str(a, apw_str_c(s));
}

char *
apw_arena_printf(struct apw_arena *a, const char *fmt, ...)
{
	va_list	 ap;
	char	*s;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (s = apw_arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

int
apw_arena_keep(struct apw_arena *a, void (*close)(void *), void *arg)
{
	struct arena_closer	*c = apw_arena_alloc(a, sizeof(*c));

	if (c == NULL)
		return -1;
	c->close = close;
	c->arg = arg;
	c->next = a->closers;
	a->closers = c;
	return 0;
}
