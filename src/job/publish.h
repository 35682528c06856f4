/* Publishing flow bundles, from 0.86 on: what was built here saves others the
 * work.  Best effort, one after the other, on nobody's way. */
#ifndef APW_JOB_PUBLISH_H
#define APW_JOB_PUBLISH_H

#include <stdbool.h>

#include "core/apw_buf.h"
#include "modules/source/source.h"

#define APW_BUNDLE_BYTES	((size_t)32 << 20)	/* a bundle, either way */

struct apw_fetcher;
struct apw_publisher;

/* The arguments are borrowed for its life.  NULL: out of memory. */
struct apw_publisher *apw_publisher_new(const struct apw_source_ops *,
	    struct apw_source *, struct apw_fetcher *);
void	apw_publisher_free(struct apw_publisher *);

/* The bundle's text is taken over; it is dropped when too much waits. */
void	apw_publish(struct apw_publisher *, const char *flow_version_id,
	    const char *project_id, const char *platform_id,
	    struct apw_buf *bundle);
/* An app that keeps its files in the database has no bundles and takes none:
 * it says so with each, so a slot that was told asks and offers nothing for a
 * while.  pause: for another reason. */
bool	apw_bundles_paused(const struct apw_publisher *);
void	apw_bundles_pause(struct apw_publisher *, int64_t ms);
/* Nothing is under way. */
bool	apw_publisher_idle(const struct apw_publisher *);

#endif
