/* The configuration reader on any bytes: it ends, it complains or it makes a
 * cycle; and a cycle's dump reads back as the same cycle. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz_main.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/apw_conf_priv.h"
#include "unit/conf_modules.h"

static const char globals[] = "engine { node /bin/sh; bundle /bin/sh; } "
    "stock { installer_path /bin/sh; bundler_path /bin/sh; }";

/* Includes of absolute patterns would walk the whole disk. */
static int
walks_disk(const uint8_t *data, size_t n)
{
	return memmem(data, n, "include", 7) != NULL &&
	    (memchr(data, '/', n) != NULL || memchr(data, '\\', n) != NULL);
}

static struct apw_cycle *
read_bytes(const void *data, size_t n, const char *g)
{
	struct apw_conf_options	 o = { .prefix = "/nowhere", .cycle = 1,
				     .globals = g };
	struct apw_cycle	*cycle;
	char			 path[64], *text = NULL;
	size_t			 len;
	FILE			*complaints = open_memstream(&text, &len);
	int			 fd = memfd_create("conf", MFD_CLOEXEC);

	FUZZ_CHECK(fd != -1 && write(fd, data, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o.file = path;
	cycle = apw_conf_read(&o, complaints);
	fclose(complaints);
	/* a refusal has its reason */
	FUZZ_CHECK(cycle != NULL || len > 0);
	free(text);
	close(fd);
	return cycle;
}

/* The dump without its comments, which name places. */
static char *
dump(const struct apw_cycle *cycle, size_t *len)
{
	char	*text = NULL;
	FILE	*f = open_memstream(&text, len);

	apw_conf_dump(cycle, f);
	fclose(f);
	return text;
}

static char *
squeeze(const char *text)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_conf_lex	 lex;
	enum apw_conf_token	 t;
	char			*out = NULL;
	size_t			 len;
	FILE			*f = open_memstream(&out, &len);

	apw_conf_lex_init(&lex, arena, text, strlen(text));
	while ((t = apw_conf_lex_next(&lex)) != APW_TOKEN_END) {
		FUZZ_CHECK(t != APW_TOKEN_BAD);
		fprintf(f, "%d %s\n", t, t == APW_TOKEN_WORD ? lex.word : "");
	}
	fclose(f);
	apw_arena_free(arena);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_cycle	*a, *b;
	char			*x, *y, *sx, *sy;
	size_t			 xn, yn;

	if (walks_disk(data, n) || (a = read_bytes(data, n, globals)) == NULL)
		return 0;
	x = dump(a, &xn);
	b = read_bytes(x, xn, NULL);
	FUZZ_CHECK(b != NULL);
	y = dump(b, &yn);
	sx = squeeze(x);
	sy = squeeze(y);
	FUZZ_CHECK(strcmp(sx, sy) == 0);
	FUZZ_CHECK(apw_conf_restart_only(a, b, stderr) == 0);
	free(sx);
	free(sy);
	free(x);
	free(y);
	apw_cycle_free(a);
	apw_cycle_free(b);
	return 0;
}
