/* Packages of pieces that the installer is not to get from the registry: the
 * caller fetches them from the app and puts them beside the piece, where the
 * installer takes them.  Room: stock, slot; drop is the keeper's. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "dial/url.h"

/* An archive's name is its id; what the app gives of a piece of the registry
 * has this one. */
#define ARCHIVE_BUNDLE	"bundle"
/* npm's own registry, in whose place others may be configured. */
#define ARCHIVE_NPM	"registry.npmjs.org"

void
stock_archive_name(const struct apw_stock_piece *p, char *buf, size_t size)
{
	snprintf(buf, size, "%.200s.tgz", p->archive_id != NULL ?
	    p->archive_id : ARCHIVE_BUNDLE);
}

bool
stock_archive_there(const struct apw_stock *stock,
    const struct apw_stock_piece *p, bool per_platform)
{
	char	folder[STOCK_PATH_BYTES], name[300], rel[2 * STOCK_PATH_BYTES];

	if (stock_piece_folder(p, per_platform, folder, sizeof(folder)) == -1)
		return false;
	stock_archive_name(p, name, sizeof(name));
	snprintf(rel, sizeof(rel), "%s/%s", folder, name);
	return stock_exists(stock->root_fd, rel);
}

void
stock_archive_drop(const struct apw_stock *stock,
    const struct apw_stock_piece *p, bool per_platform)
{
	char		folder[STOCK_PATH_BYTES], name[300];
	apw_autofd int	fd = -1;

	if (stock_piece_folder(p, per_platform, folder, sizeof(folder)) == -1)
		return;
	fd = stock_open(stock->root_fd, folder, O_RDONLY | O_DIRECTORY);
	stock_archive_name(p, name, sizeof(name));
	if (fd != -1)
		unlinkat(fd, name, 0);
}

bool
apw_stock_archive_has(struct apw_stock *stock, const struct apw_stock_piece *p,
    bool per_platform)
{
	return stock_piece_check(p, per_platform, NULL) == 0 &&
	    (stock_piece_present(stock, p, per_platform) ||
	    stock_archive_there(stock, p, per_platform));
}

/* Does the path end with the package of this very piece, as registries have
 * it?  Its scope's slash may be written as an escape. */
static bool
archive_is_tarball(struct apw_str path, const struct apw_stock_piece *p)
{
	static const char *const slashes[] = { "/", "%2f" };
	const char	*slash = strchr(p->name, '/');
	const char	*bare = slash == NULL ? p->name : slash + 1;
	char		 tail[STOCK_PATH_BYTES];
	size_t		 i;
	int		 n;

	for (i = 0; i < APW_COUNT(slashes); i++) {
		n = snprintf(tail, sizeof(tail), "/%.*s%s%s/-/%s-%s.tgz",
		    slash == NULL ? 0 : (int)(slash - p->name), p->name,
		    slash == NULL ? "" : slashes[i], bare, bare, p->version);
		if (n > 0 && (size_t)n < sizeof(tail) && path.n >= (size_t)n &&
		    strncasecmp(path.p + path.n - n, tail, (size_t)n) == 0)
			return true;
	}
	return false;
}

bool
apw_stock_registry_has(const struct apw_stock *stock, const char *url,
    const struct apw_stock_piece *p)
{
	struct apw_egress_place	places[STOCK_PLACES_MAX];
	struct apw_url		u;
	size_t			n, i;

	if (p->archive_id != NULL || apw_url_read(&u, url) != NULL ||
	    !archive_is_tarball(u.path, p))
		return false;
	if (strcasecmp(u.host, ARCHIVE_NPM) == 0)
		return true;
	n = stock_registry_places(&stock->cycle->stock, places,
	    STOCK_PLACES_MAX);
	for (i = 0; i < n; i++)
		if (places[i].port == u.port &&
		    strcasecmp(places[i].host, u.host) == 0)
			return true;
	return false;
}

int
apw_stock_archive_put(struct apw_stock *stock, const struct apw_stock_piece *p,
    bool per_platform, struct apw_str tgz, struct apw_err *err)
{
	char		folder[STOCK_PATH_BYTES], name[300];
	apw_autofd int	fd = -1;

	if (stock_piece_check(p, per_platform, err) == -1)
		return -1;
	if (stock_piece_folder(p, per_platform, folder, sizeof(folder)) == -1)
		return apw_err_set(err, 0, "the name of piece %s is too long",
		    p->name);
	if (tgz.n == 0 || tgz.n > APW_STOCK_ARCHIVE_BYTES)
		return apw_err_set(err, 0, "the package of piece %s has %zu "
		    "bytes", p->name, tgz.n);
	fd = stock_mkdirs(stock->root_fd, folder, err);
	if (fd == -1)
		return -1;
	stock_archive_name(p, name, sizeof(name));
	return stock_replace(fd, name, tgz, false, err);
}
