/* Directives of `source app { }` and their checks.  Room: master, when the
 * configuration is read. */
#include "modules/source/app_conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/apw_buf.h"
#include "core/apw_conf.h"
#include "core/apw_fit.h"
#include "dial/proxy_env.h"
#include "dial/tls.h"
#include "dial/upstream.h"
#include "proto/apw_raw.h"

static const struct apw_enum dialects[] = {
	{ "auto", APP_CONF_AUTO }, { "l1", APP_CONF_L1 },
	{ "l2", APP_CONF_L2 }, { "l3", APP_CONF_L3 }, { "l4", APP_CONF_L4 },
	{ "l5", APP_CONF_L5 },
	{ NULL, 0 }
};

static const struct apw_enum newest_words[] = {
	{ "take", APP_CONF_TAKE }, { "pause", APP_CONF_PAUSE }, { NULL, 0 }
};

static const struct apw_enum scopes[] = {
	{ "platform", 0 }, { "project", 1 }, { NULL, 0 }
};

/* group ID [platform | project]: the word is another directive's */
static int
set_group(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	static char		 on[] = "on", off[] = "off";
	struct apw_directive	 scope = { .name = "group", .limits = scopes };
	struct app_conf		*app = p;
	int			 project = 0;

	if (apw_set_string(conf, d, p, args, 1, bad, err) == -1)
		return -1;
	app->group_scope = nargs == 2;
	if (nargs == 1)
		return 0;
	*bad = 1;
	if (apw_set_enum(conf, &scope, &project, args + 1, 1, bad, err) == -1) {
		*bad = 1;
		return -1;
	}
	apw_conf_show(conf, 1, NULL);
	(void)apw_conf_set_other(conf, "project_worker", project ? on : off,
	    err);
	return 0;
}

/* The words may be written large, too. */
static int
set_newest(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	char	*word = apw_arena_strdup(apw_conf_arena(conf), args[0]);
	size_t	 i;

	if (word == NULL)
		return apw_err_set(err, ENOMEM, "newest");
	for (i = 0; word[i] != '\0'; i++)
		word[i] = (char)tolower((unsigned char)word[i]);
	return apw_set_enum(conf, d, p, &word, nargs, bad, err);
}

const struct apw_directive app_directives[] = {
	{ .name = "url", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = offsetof(struct app_conf, url), .env = "AP_FRONTEND_URL",
	  .reload = APW_NEW_SLOTS, .arg_help = "URL",
	  .help = "Base URL of the Activepieces app; https means TLS." },
	{ .name = "token", .args = { 1, 1 }, .set = apw_set_secret,
	  .offset = offsetof(struct app_conf, token), .env = "AP_WORKER_TOKEN",
	  .reload = APW_NEW_SLOTS, .secret = true, .arg_help = "TOKEN",
	  .help = "The worker token itself; token_file is the better place." },
	{ .name = "token_file", .args = { 1, 1 }, .set = apw_set_secret_file,
	  .offset = offsetof(struct app_conf, token),
	  .env = "CREDENTIALS_DIRECTORY",
	  .reload = APW_NEW_SLOTS, .secret = true, .arg_help = "FILE",
	  .help = "A file with the worker token, readable by the master only. "
	    "The systemd credential worker-token is its default." },
	{ .name = "group", .args = { 1, 2 }, .set = set_group,
	  .offset = offsetof(struct app_conf, group),
	  .env = "AP_WORKER_GROUP_ID", .reload = APW_NEW_SLOTS,
	  .arg_help = "ID [platform | project]",
	  .help = "Take the jobs of this worker group only. The word says "
	    "whose group it is, as project_worker does." },
	{ .name = "project_worker", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = offsetof(struct app_conf, project_worker), .dflt = "on",
	  .env = "AP_PROJECT_WORKER", .reload = APW_NEW_SLOTS,
	  .arg_help = "on | off",
	  .help = "The group is one of projects; off: of a platform. Apps "
	    "before 0.86.1 know groups of platforms only." },
	{ .name = "newest", .args = { 1, 1 }, .set = set_newest,
	  .offset = offsetof(struct app_conf, newest),
	  .limits = newest_words, .dflt = "take", .reload = APW_NEW_SLOTS,
	  .arg_help = "take | pause",
	  .help = "An app that is newer than any release this build knows: "
	    "take its jobs, as if it were the newest that is known, or take "
	    "none until the app or the build is another. Both are told in the "
	    "log and in the status." },
	{ .name = "ca_file", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = offsetof(struct app_conf, ca_file),
	  .reload = APW_NEW_SLOTS, .arg_help = "FILE",
	  .help = "Certificates (PEM) to trust instead of the system's and of "
	    "those that NODE_EXTRA_CA_CERTS adds." },
	{ .name = "verify", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = offsetof(struct app_conf, verify), .dflt = "on",
	  .reload = APW_NEW_SLOTS, .arg_help = "on | off",
	  .help = "Verify the app's certificate and host name. Off is for "
	    "experiments: whoever answers gets the token." },
	{ .name = "proxy", .args = { 1, 1 }, .set = apw_set_string,
	  .offset = offsetof(struct app_conf, proxy), .dflt = "auto",
	  .reload = APW_NEW_SLOTS, .arg_help = "auto | off | URL",
	  .help = "An HTTP proxy that makes a tunnel (CONNECT) to the app. "
	    "https: the proxy itself is spoken to in TLS. auto looks into "
	    "HTTPS_PROXY, HTTP_PROXY and NO_PROXY." },
	{ .name = "version", .args = { 1, 1 }, .set = apw_set_string,
	  .offset = offsetof(struct app_conf, version), .dflt = "auto",
	  .reload = APW_NEW_SLOTS, .arg_help = "auto | RELEASE",
	  .help = "The release we say we are; the app hands out jobs only to "
	    "its own release. auto says what the app says of itself." },
	{ .name = "dialect", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = offsetof(struct app_conf, dialect), .limits = dialects,
	  .dflt = "auto", .reload = APW_NEW_SLOTS,
	  .arg_help = "auto | l1 | l2 | l3 | l4 | l5",
	  .help = "How the app speaks: l1 before 0.81.3, l2 up to 0.83, l3 "
	    "0.85, l4 0.86.0, l5 from 0.86.1 on. auto finds out from its "
	    "settings." },
	{ .name = "settings_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct app_conf, settings_timeout_ms),
	  .limits = APW_BOUNDS(100, 600000), .dflt = "10s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long the app may take to send its settings before the "
	    "connection is made anew." },
	{ .name = "call_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct app_conf, call_timeout_ms),
	  .limits = APW_BOUNDS(1000, 600000), .dflt = "60s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long the app may take to answer a call." },
	{ .name = "poll_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct app_conf, poll_timeout_ms),
	  .limits = APW_BOUNDS(1000, 600000), .dflt = "65s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long the app may hold a poll; it means to hold it for "
	    "50 seconds at most. A stop waits as long for a poll that is "
	    "parked: it may still bring a job." },
	{ .name = "lock_time", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct app_conf, lock_ms),
	  .limits = APW_BOUNDS(1000, 3600000), .dflt = "120s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long the app's lock on a job lasts; it is extended "
	    "four times as often. The app has no setting for it: leave it "
	    "alone unless the app was changed." },
	{ .name = NULL }
};

/* The claims of a JSON web token into out; false: it is none. */
static bool
token_claims(const struct apw_secret *token, struct apw_buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const char	*p = memchr(token->value, '.', token->n), *end, *d;
	unsigned	 bits = 0, nbits = 0;
	char		 byte;

	if (p == NULL || (end = strchr(++p, '.')) == NULL)
		return false;
	for (; p < end; p++) {
		if (*p == '\0' || (d = strchr(digits, *p)) == NULL)
			return false;
		bits = bits << 6 | (unsigned)(d - digits);
		nbits += 6;
		if (nbits >= 8) {
			nbits -= 8;
			byte = (char)(bits >> nbits & 0xff);
			apw_buf_put(out, &byte, 1);
		}
	}
	return apw_raw_check(apw_buf_view(out), APW_RAW_UTF8) == 0 &&
	    apw_raw_type(apw_buf_view(out)) == APW_RAW_OBJECT;
}

const char *
app_conf_proxy_env(const struct app_conf *app, const char **name)
{
	struct apw_url	u;

	if (apw_url_read(&u, app->url) != NULL)
		return NULL;
	return apw_proxy_env(u.tls, u.host, u.port, name);
}

/* Whatever names the proxy, it must be one that can be used: a slot with
 * another would never get to the app. */
static void
check_proxy(struct apw_cycle *cycle, const struct app_conf *app)
{
	struct apw_upstream	 up;
	struct apw_err		 why = APW_ERR_NONE;
	const char		*name = NULL, *proxy = app->proxy;

	if (proxy == NULL || strcmp(proxy, "off") == 0)
		return;
	/* what the configuration shows may not hold a password */
	if (strchr(proxy, '@') != NULL) {
		apw_conf_complain(cycle, "proxy", "found a password in "
		    "\"proxy\"; expected it in HTTPS_PROXY or HTTP_PROXY");
		return;
	}
	if (strcmp(proxy, "auto") == 0)
		proxy = app_conf_proxy_env(app, &name);
	if (proxy == NULL || apw_upstream_read(&up, proxy, &why) == 0) {
		explicit_bzero(&up, sizeof(up));
		return;
	}
	if (name != NULL)
		apw_conf_complain(cycle, "proxy", "%s of the environment "
		    "names no proxy that can be used (%s); expected "
		    "http://HOST:PORT or https://HOST:PORT, or \"proxy off;\" "
		    "to reach the app without one", name, why.text);
	else
		apw_conf_complain(cycle, "proxy", "\"proxy\" is \"%s\" (%s); "
		    "expected auto, off, http://HOST:PORT or "
		    "https://HOST:PORT", proxy, why.text);
}

/* "worker-" and 21 characters, as upstream's.  All slots of a configuration
 * have one name: to the app they are one machine. */
static int
name_worker(struct app_conf *app, struct apw_err *err)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_-";
	unsigned char	dice[21];
	size_t		i;

	if (getrandom(dice, sizeof(dice), 0) != sizeof(dice))
		return apw_err_set(err, errno, "no random bytes");
	memcpy(app->worker_id, "worker-", 7);
	for (i = 0; i < sizeof(dice); i++)
		app->worker_id[7 + i] = alphabet[dice[i] & 63];
	app->worker_id[7 + i] = '\0';
	return 0;
}

int
app_conf_check(struct apw_cycle *cycle, void *conf, struct apw_err *err)
{
	struct app_conf	*app = conf;
	struct apw_buf	 claims = APW_BUF_INIT(1 << 16);
	struct apw_err	 why = APW_ERR_NONE;
	struct apw_str	 type;

	if (name_worker(app, err) == -1)
		return -1;
	if (app->url == NULL)
		apw_conf_complain(cycle, "url", "found no url of the app; "
		    "expected \"url https://...;\" or AP_FRONTEND_URL");
	if (app->token.value == NULL || app->token.n == 0)
		apw_conf_complain(cycle, "token_file", "found no worker token; "
		    "expected \"token_file FILE;\" or AP_WORKER_TOKEN");
	/* With a token of another kind the app accepts the connection and
	 * then answers nothing at all. */
	else if (token_claims(&app->token, &claims) &&
	    apw_raw_member(apw_buf_view(&claims), "type", &type) == 1 &&
	    !apw_raw_equals(apw_raw_trim(type), "WORKER"))
		apw_conf_complain(cycle, "token_file", "found a token of type "
		    "%.*s; expected one of type \"WORKER\"",
		    (int)(type.n < 40 ? type.n : 40), type.p);
	apw_buf_free(&claims);
	check_proxy(cycle, app);
	if (app->ca_file != NULL && apw_tls_check(app->ca_file, &why) == -1)
		apw_conf_complain(cycle, "ca_file", "\"ca_file\" is \"%s\"%s; "
		    "expected a file of certificates (PEM)", app->ca_file,
		    why.text + strlen(app->ca_file));
	return 0;
}

void
app_conf_fit(struct apw_fit *f, const void *conf)
{
	const struct app_conf	*app = conf;
	struct apw_err		 err = APW_ERR_NONE;

	if (app->ca_file != NULL && apw_tls_file(app->ca_file, &err) == -1)
		apw_fit_error(f, "ca_file", "\"ca_file\" is \"%s\": %s; "
		    "expected a file of certificates (PEM)", app->ca_file,
		    err.text);
}
