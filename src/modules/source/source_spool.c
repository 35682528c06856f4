/* `source spool`: a directory in the app's place.  Room: source, in a slot.
 * One job at a time; what is asked about it is answered in spool_calls.c. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_directive.h"
#include "core/apw_fit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "master/dirs.h"
#include "modules/source/source_spool_priv.h"
#include "modules/source/spool_priv.h"
#include "proto/apw_raw.h"

#define SPOOL_TROUBLE_SEC	5	/* rest after trouble with the directory */

/* A job as the app would hand it out. */
static int
spool_job_object(const struct spool_job *job, const char *token,
    struct apw_buf *out)
{
	apw_buf_puts(out, "{\"jobId\":");
	apw_buf_json_c(out, job->id);
	apw_buf_puts(out, ",\"jobData\":");
	apw_buf_str(out, job->job_data);
	apw_buf_printf(out, ",\"attempsStarted\":%u,\"engineToken\":",
	    job->attempt - 1);
	if (job->engine_token.n != 0)
		apw_buf_str(out, job->engine_token);
	else
		apw_buf_json_c(out, token);
	apw_buf_puts(out, ",\"token\":");
	apw_buf_json_c(out, job->id);
	return apw_buf_puts(out, ",\"queueName\":\"spool\"}");
}

/* The engine's key to its own files, of this job and no other. */
static void
spool_new_token(struct apw_source *src)
{
	struct apw_buf	given = APW_BUF_INIT(1 << 16);
	unsigned char	dice[16];
	size_t		i;

	APW_ASSERT(getrandom(dice, sizeof(dice), 0) == sizeof(dice));
	for (i = 0; i < sizeof(dice); i++)
		snprintf(src->token + 2 * i, 3, "%02x", dice[i]);
	if (src->job->engine_token.n == 0 ||
	    apw_raw_decode(&given, src->job->engine_token) == -1) {
		apw_buf_reset(&given);
		apw_buf_puts(&given, src->token);
	}
	if (src->files != NULL)
		spool_files_begin(src->files, apw_buf_view(&given));
	apw_buf_free(&given);
}

/* When new/ was changed last. */
static struct timespec
spool_changed(const struct apw_source *src)
{
	struct stat	st;

	return fstat(src->spool.dir_fd[SPOOL_NEW], &st) == -1 ?
	    (struct timespec){ 0 } : st.st_mtim;
}

static void
spool_look(struct apw_source *src)
{
	struct apw_buf	object = APW_BUF_INIT(0);
	struct apw_err	err = APW_ERR_NONE;
	struct timeval	later = { SPOOL_TROUBLE_SEC, 0 };
	int		rc;

	if (src->unwanting) {
		src->wanted = src->unwanting = false;
		src->events.on_idle(src->arg);
		return;
	}
	if (src->job != NULL || !src->wanted)
		return;
	src->looked = spool_changed(src);
	rc = spool_claim(&src->spool, &src->job, &err);
	if (rc == -1) {
		if (!src->trouble)
			apw_error("cannot look for jobs in the spool",
			    APW_S("path", src->conf->path), APW_E(&err));
		src->trouble = true;
		src->events.on_blocked(src->arg, err.text);
		event_add(src->look, &later);
		return;
	}
	src->trouble = false;
	src->events.on_blocked(src->arg, NULL);
	if (rc == 0)
		return;
	src->wanted = false;
	spool_run_begin(&src->run);
	spool_new_token(src);
	if (spool_job_object(src->job, src->token, &object) == -1)
		apw_error("job too large", APW_S("id", src->job->id));
	src->events.on_job(src->arg, apw_buf_view(&object));
	apw_buf_free(&object);
}

static void
spool_on_look(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	spool_look(src);
}

static void
spool_look_soon(struct apw_source *src)
{
	struct timeval	now = { 0, 0 };

	event_add(src->look, &now);
}

/* Something came into new/, or a slot died: what it was is found by looking. */
static void
spool_source_look(struct apw_source *src)
{
	if (src->left == NULL && src->wanted)
		spool_look_soon(src);
}

/* Where nobody tells us, we look.  Who is told only sees to it that no word
 * was missed: the master may be busy, or the folders may be others. */
static void
spool_on_second(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;
	struct timespec		 now;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	if (!src->wanted || src->trouble || src->left != NULL)
		return;
	now = spool_changed(src);
	if (atomic_load(&src->env->score->watched) == 0 ||
	    now.tv_sec != src->looked.tv_sec ||
	    now.tv_nsec != src->looked.tv_nsec || spool_moved(&src->spool))
		spool_look_soon(src);
}

/* The app's settings, as far as a spool has an opinion; the rest are the
 * app's own defaults. */
static void
spool_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;
	struct apw_buf		 settings = APW_BUF_INIT(1 << 16);

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	apw_buf_puts(&settings, "{\"PUBLIC_URL\":");
	apw_buf_json_c(&settings, src->conf->public_url);
	apw_buf_printf(&settings, ",\"FLOW_TIMEOUT_SECONDS\":%lld",
	    (long long)(src->conf->flow_timeout_ms + 999) / 1000);
	apw_buf_puts(&settings, ",\"ENVIRONMENT\":\"prod\",\"EDITION\":\"ce\","
	    "\"NETWORK_MODE\":\"UNRESTRICTED\"}");
	src->events.on_ready(src->arg, apw_buf_view(&settings));
	apw_buf_free(&settings);
}

/* Of an engine that does not use the link for it. */
static void
spool_on_report(void *arg, const char *method, struct apw_str payload)
{
	struct apw_source	*src;

	APW_CAST(src, arg, SPOOL_MAGIC);
	if (src->job != NULL)
		spool_run_note(&src->run, method, payload);
}

static void spool_source_close(struct apw_source *);

static struct apw_source *
spool_source_open(const struct apw_source_env *env,
    const struct apw_source_events *events, void *arg, struct apw_err *err)
{
	struct apw_source	*src = calloc(1, sizeof(*src));
	struct timeval		 now = { 0, 0 }, second = { 1, 0 };

	if (src == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		return NULL;
	}
	src->magic = SPOOL_MAGIC;
	src->env = env;
	src->conf = env->conf;
	src->events = *events;
	src->arg = arg;
	src->spool.max_job_bytes = src->conf->max_job_bytes;
	src->spool.attempts = src->conf->attempts;
	src->look = evtimer_new(env->base, spool_on_look, src);
	src->ready = evtimer_new(env->base, spool_on_ready, src);
	src->second = event_new(env->base, -1, EV_PERSIST, spool_on_second,
	    src);
	if (src->look == NULL || src->ready == NULL || src->second == NULL) {
		apw_err_set(err, ENOMEM, "spool");
		spool_source_close(src);
		return NULL;
	}
	if (spool_open(&src->spool, src->conf->path, env->slot, err) == -1 ||
	    (src->conf->api_url == NULL &&
	    (src->files = spool_files_open(env->base, &src->spool, env->slot,
	    env->cycle->network.mode == APW_NETWORK_STRICT ||
	    env->cycle->network.mode == APW_NETWORK_PRIVATE, spool_on_report,
	    src, err)) == NULL)) {
		spool_source_close(src);
		return NULL;
	}
	event_add(src->ready, &now);
	event_add(src->second, &second);
	return src;
}

static void
spool_source_close(struct apw_source *src)
{
	if (src == NULL)
		return;
	spool_calls_drop(src);
	if (src->second != NULL)
		event_free(src->second);
	if (src->look != NULL)
		event_free(src->look);
	if (src->ready != NULL)
		event_free(src->ready);
	spool_job_free(src->job);	/* unsettled: the next slot has it */
	spool_run_end(&src->run);
	spool_files_close(src->files);
	if (src->spool.path != NULL)
		spool_close(&src->spool);
	src->magic = 0;
	free(src);
}

static void
spool_source_want(struct apw_source *src)
{
	if (src->job != NULL) {
		/* its result could not be written for long: whoever looks
		 * next has it, and its attempts are counted */
		apw_error("a job is left in the spool without its result",
		    APW_S("id", src->job->id));
		spool_job_free(src->job);
		src->job = NULL;
		spool_run_end(&src->run);
	}
	src->wanted = true;
	src->unwanting = false;
	spool_look_soon(src);
}

static void
spool_source_unwant(struct apw_source *src)
{
	src->unwanting = true;
	spool_look_soon(src);
}

static int
spool_source_put_back(struct apw_source *src, struct apw_err *err)
{
	if (src->job == NULL)
		return apw_err_set(err, 0, "there is no job");
	if (spool_put_back(&src->spool, src->job, err) == -1)
		return -1;
	spool_job_free(src->job);
	src->job = NULL;
	spool_run_end(&src->run);
	return 0;
}

static const char *
spool_source_api_url(struct apw_source *src)
{
	return src->files != NULL ? spool_files_url(src->files) :
	    src->conf->api_url;
}

static void
spool_on_left(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, SPOOL_MAGIC);
	src->left(src->left_arg);
}

static void
spool_source_leave(struct apw_source *src, void (*done)(void *), void *arg)
{
	struct timeval	now = { 0, 0 };

	src->left = done;
	src->left_arg = arg;
	event_free(src->look);
	src->look = evtimer_new(src->env->base, spool_on_left, src);
	APW_ASSERT(src->look != NULL);
	event_add(src->look, &now);
	event_del(src->second);
}

const char *
spool_conf_path(const void *conf)
{
	return ((const struct spool_conf *)conf)->path;
}

static const struct apw_source_ops spool_source_ops = {
	.open = spool_source_open,
	.want = spool_source_want,
	.unwant = spool_source_unwant,
	.look = spool_source_look,
	.call = spool_call,
	.cancel = spool_cancel,
	.internal_api_url = spool_source_api_url,
	.receipts = true,
	.put_back = spool_source_put_back,
	.leave = spool_source_leave,
	.close = spool_source_close,
};

static const struct apw_directive spool_directives[] = {
	{ .name = "path", .args = { 1, 1 }, .set = apw_set_path,
	  .offset = offsetof(struct spool_conf, path),
	  .dflt = APW_LOCALSTATEDIR "/spool/apworkerd",
	  .reload = APW_NEW_SLOTS, .arg_help = "DIRECTORY",
	  .help = "The spool: jobs are files that are renamed into its folder "
	    "new; results appear in done and failed." },
	{ .name = "max_job_size", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = offsetof(struct spool_conf, max_job_bytes),
	  .limits = APW_BOUNDS(1024, 256 << 20), .dflt = "64m",
	  .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "A job file that is larger is moved to failed unread." },
	{ .name = "attempts", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = offsetof(struct spool_conf, attempts),
	  .limits = APW_BOUNDS(1, 100), .dflt = "3",
	  .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How often a job is started when its slot dies under it." },
	{ .name = "flow_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = offsetof(struct spool_conf, flow_timeout_ms),
	  .limits = APW_BOUNDS(1000, 7 * 86400000LL), .dflt = "600s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "The time limit of one flow run." },
	{ .name = "public_url", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = offsetof(struct spool_conf, public_url),
	  .dflt = "http://127.0.0.1/", .reload = APW_NEW_SLOTS,
	  .arg_help = "URL",
	  .help = "What flows see as the address of their webhooks." },
	{ .name = "api_url", .args = { 1, 1 }, .set = apw_set_url,
	  .offset = offsetof(struct spool_conf, api_url),
	  .reload = APW_NEW_SLOTS, .arg_help = "URL",
	  .help = "The API that engines are told to call; it ends in a slash. "
	    "Without it each slot keeps the files of its engine itself." },
	{ .name = NULL }
};

/* In the master: the folders, given to those who work in them. */
static int
spool_prepare(struct apw_cycle *cycle, void *conf, struct apw_err *err)
{
	const struct spool_conf	*sc = conf;
	apw_autofree char	*path = NULL;
	size_t			 d;

	if (apw_dir_make(sc->path, &cycle->main, err) == -1)
		return -1;
	for (d = 0; d < SPOOL_NDIRS; d++) {
		if (asprintf(&path, "%s/%s", sc->path, spool_dirs[d]) == -1) {
			path = NULL;
			return apw_err_set(err, ENOMEM, "spool");
		}
		if (apw_dir_make(path, &cycle->main, err) == -1)
			return -1;
		free(path);
		path = NULL;
	}
	return 0;
}

/* Folders that are there must be of use to the slots; what is not there the
 * master makes. */
static void
spool_fit(struct apw_fit *f, const void *conf)
{
	const struct spool_conf	*sc = conf;
	struct stat		 root, st;
	char			 path[PATH_MAX];
	size_t			 d;

	if (stat(sc->path, &root) == -1 || !apw_fit_folder(f, "path",
	    sc->path, R_OK | X_OK))
		return;
	apw_fit_room(f, "path", sc->path, false);
	for (d = 0; d < SPOOL_NDIRS; d++) {
		snprintf(path, sizeof(path), "%s/%s", sc->path, spool_dirs[d]);
		if (lstat(path, &st) == -1)
			continue;
		if (S_ISLNK(st.st_mode))
			apw_fit_error(f, "path", "\"path\": \"%s\" is a "
			    "symbolic link; expected a directory", path);
		else if (apw_fit_folder(f, "path", path, R_OK | W_OK | X_OK) &&
		    st.st_dev != root.st_dev)
			apw_fit_error(f, "path", "\"path\": \"%s\" is on "
			    "another file system than \"%s\"; expected one, "
			    "for jobs move by rename", path, sc->path);
	}
}

/* What its slots wait on. */
static bool
spool_folder(const void *conf, unsigned i, char *path, size_t size)
{
	static const enum spool_dir	waited[] = { SPOOL_NEW, SPOOL_RUN };
	const struct spool_conf		*sc = conf;

	return i < APW_COUNT(waited) && snprintf(path, size, "%s/%s", sc->path,
	    spool_dirs[waited[i]]) < (int)size;
}

struct apw_module apw_source_spool_module = {
	.name = "source_spool",
	.block = "spool",
	.help = "Jobs that are files in a directory: no app is needed.",
	.kind = APW_MODULE_SOURCE,
	.directives = spool_directives,
	.conf_size = sizeof(struct spool_conf),
	.prepare = spool_prepare,
	.fit = spool_fit,
	.folder = spool_folder,
	.ops.source = &spool_source_ops,
};
