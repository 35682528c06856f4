/*
 * What the fuzz targets share.  Built with -DAPW_LIBFUZZER and
 * -fsanitize=fuzzer the engine drives them; built as any other program they
 * run the files and directories named on the command line, once each.
 */
#ifndef FUZZ_MAIN_H
#define FUZZ_MAIN_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What must hold, in every kind of build. */
#define FUZZ_CHECK(x) do {						\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);	\
		abort();						\
	}								\
} while (0)

/*
 * A text as it looks while it still arrives: each beginning of a short input
 * in memory of exactly its length, so that a read past its end is seen.
 */
#define FUZZ_STEPS_MAX	96

static inline void
fuzz_steps(void (*one)(const uint8_t *, size_t), const uint8_t *data,
    size_t n)
{
	uint8_t	*part;
	size_t	 i;

	for (i = 1; i < n && n <= FUZZ_STEPS_MAX; i++) {
		part = malloc(i);
		if (part == NULL)
			break;
		memcpy(part, data, i);
		one(part, i);
		free(part);
	}
	one(data, n);
}

#ifndef APW_LIBFUZZER
static int
fuzz_file(const char *path)
{
	FILE	*f = fopen(path, "rb");
	uint8_t	*data;
	size_t	 n;

	if (f == NULL) {
		perror(path);
		return -1;
	}
	data = malloc(1 << 20);
	n = fread(data, 1, 1 << 20, f);
	fclose(f);
	/* exactly as long as the input: reading past it is seen */
	data = realloc(data, n > 0 ? n : 1);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

static int
fuzz_path(const char *path)
{
	struct dirent	*e;
	struct stat	 st;
	char		 name[4096];
	DIR		*d;
	int		 bad = 0;

	if (stat(path, &st) == -1) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return fuzz_file(path);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		bad |= fuzz_file(name);
	}
	if (d != NULL)
		closedir(d);
	return bad;
}

int
main(int argc, char **argv)
{
	int	i, bad = 0;

	for (i = 1; i < argc; i++)
		bad |= fuzz_path(argv[i]);
	return bad == 0 ? 0 : 1;
}
#endif

#endif
