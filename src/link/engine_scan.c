/*
 * Engine link: which generation of engine a bundle is.  Room: link.
 * String literals survive minification, so a few words tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "link/engine_link.h"

#define CHUNK_BYTES	262144

/* in order of precedence: the first that occurs anywhere decides */
static const struct { const char *word; enum apw_engine_dialect dialect; }
words[] = {
	{ "piece-child.js", APW_ENGINE_DIALECT_B3 },
	{ "step-progress", APW_ENGINE_DIALECT_B2 },	/* a path of the app */
	{ "AP_SANDBOX_WS_TOKEN", APW_ENGINE_DIALECT_B1 },
	{ "rpc-notify", APW_ENGINE_DIALECT_B0 },
	{ "engine-operation", APW_ENGINE_DIALECT_A },
};

/* longest word less one: what the end of a chunk may hold of a word */
#define OVERLAP_BYTES	18

int
apw_engine_dialect_scan(const char *path, enum apw_engine_dialect *out,
    struct apw_err *err)
{
	apw_autofree char	*chunk = malloc(OVERLAP_BYTES + CHUNK_BYTES);
	apw_autofd int		 fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t			 have = 0, i, best = APW_COUNT(words);
	ssize_t			 n;

	if (chunk == NULL || fd == -1)
		return apw_err_set(err, errno, "%s", path);
	while (best > 0 && (n = read(fd, chunk + have, CHUNK_BYTES)) != 0) {
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return apw_err_set(err, errno, "%s", path);
		}
		have += (size_t)n;
		for (i = 0; i < best; i++)
			if (memmem(chunk, have, words[i].word,
			    strlen(words[i].word)) != NULL)
				best = i;
		if (have > OVERLAP_BYTES) {
			memmove(chunk, chunk + have - OVERLAP_BYTES,
			    OVERLAP_BYTES);
			have = OVERLAP_BYTES;
		}
	}
	if (best == APW_COUNT(words))
		return apw_err_set(err, 0, "%s does not look like an engine",
		    path);
	*out = words[best].dialect;
	return 0;
}
