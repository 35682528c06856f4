/* What `source app { }` is told.  Room: source. */
#ifndef APW_APP_CONF_H
#define APW_APP_CONF_H

#include "core/apw_directive.h"

enum app_conf_dialect { APP_CONF_AUTO, APP_CONF_L1, APP_CONF_L2, APP_CONF_L3,
	APP_CONF_L4, APP_CONF_L5 };

/* What to do about an app that is newer than any release we know. */
enum app_conf_newest { APP_CONF_TAKE, APP_CONF_PAUSE };

struct app_conf {
	char		 *url;		/* base URL of the app */
	struct apw_secret token;	/* worker token (JWT) */
	char		 *group;	/* worker group id, or NULL */
	bool		  group_scope;	/* the directive said whose it is */
	bool		  project_worker; /* the group is a project's */
	enum app_conf_newest newest;
	char		  worker_id[32]; /* one for all slots of the daemon, new
					   with each configuration */
	char		 *ca_file;	/* or NULL: the system's */
	bool		  verify;	/* the peer's certificate */
	char		 *proxy;	/* "auto", "off", or its URL */
	char		 *version;	/* "auto", or what we say we are */
	enum app_conf_dialect dialect;
	int64_t		  settings_timeout_ms;
	int64_t		  call_timeout_ms;
	int64_t		  poll_timeout_ms;
	int64_t		  lock_ms;
};

extern const struct apw_directive app_directives[];

/* Cross checks of a parsed block; complaints go to the reader. */
int	app_conf_check(struct apw_cycle *, void *conf, struct apw_err *);
struct apw_fit;
void	app_conf_fit(struct apw_fit *, const void *conf);

/* The proxy that the environment names for the app; NULL: none.  name, if not
 * NULL, gets the variable's name.  Owned by the environment; a secret. */
const char *app_conf_proxy_env(const struct app_conf *, const char **name);

#endif
