/* The app's settings object as the slot uses it: typed, bounded, with the
 * app's own defaults where a key is missing or nonsense, and overlaid by what
 * the configuration says (directive, then environment, then settings). */
#ifndef APW_SLOT_SETTINGS_H
#define APW_SLOT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_cycle.h"
#include "core/apw_str.h"
#include "link/app_dialect.h"

struct apw_settings {
	struct apw_arena *arena;	/* owned; holds all below */

	/* as the app said, or its defaults */
	char		*public_url;
	char		*app_version;		/* "" before 0.85 */
	char		*edition;
	char		*environment;		/* "prod", "dev", "test" */
	char		*webhook_secrets;	/* JSON text; a secret, never logged */
	char		*oncall_url;		/* NULL: none */
	int64_t		 flow_timeout_ms;
	int64_t		 trigger_timeout_ms;
	int64_t		 trigger_hooks_timeout_ms;
	int64_t		 event_timeout_ms;
	int64_t		 paused_days;
	int64_t		 run_log_mb;
	int64_t		 file_mb;
	struct apw_strlist propagate;		/* names of environment variables */
	struct apw_strlist dev_pieces;		/* short names */
	struct apw_strlist ssrf_allow;
	bool		 piece_binding;		/* a connection is for its piece
						   alone: engines see to it */

	/* effective: the configuration's word first */
	const char	*mode;			/* "UNSANDBOXED", … */
	enum apw_network network;		/* never AUTO */
	const char	*network_from;		/* who said so, for people */
	struct apw_strlist allow;		/* the configuration's, the app's */
	uint64_t	 memory_mb;		/* engine's heap limit */
	enum apw_reuse	 reuse;			/* never AUTO unless the mode decides */
	char		*public_api_url;	/* ends with "/api/" */
	const struct apw_app_dialect *app;	/* how the app speaks */
	unsigned	 release;		/* 85004 for "0.85.4"; 0: unknown */
};

/* Releases from which the app behaves differently. */
#define APW_RELEASE(major, minor, patch)				\
	((major) * 1000000u + (minor) * 1000u + (patch))

/* Reads the raw JSON object; whatever a key holds, the result is usable.
 * NULL and err only when the text is no object, or out of memory. */
struct apw_settings *apw_settings_read(const struct apw_cycle *,
	    struct apw_str json, struct apw_err *);
/* Known better than the settings tell: the source's word. */
void	apw_settings_dialect(struct apw_settings *,
	    const struct apw_app_dialect *);
void	apw_settings_free(struct apw_settings *);

/* "unrestricted", "private", "strict" */
const char *apw_network_name(enum apw_network);

/* Is the piece one that is developed on this host (DEV_PIECES)?  name may
 * carry a scope and the "piece-" prefix. */
bool	apw_settings_dev_piece(const struct apw_settings *, const char *name);

#endif
