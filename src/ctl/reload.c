/* `apworkerctl reload`: ask for it, then tell what came of it.  Room: ctl. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "master/pidfile.h"

#define RELOAD_WAIT_MS	60000
#define RELOAD_LOOK_MS	50

/* What the scoreboard says of reloads. */
struct reload_view {
	bool		known;
	long long	ok, failed, cycle;
	char		at[32];
	char		message[600];
};

static void
look(const struct apw_cycle *cycle, pid_t pid, struct reload_view *v)
{
	struct apw_buf	 body = APW_BUF_INIT(0);
	json_t		*st = NULL, *reload;
	const char	*text;

	*v = (struct reload_view){ 0 };
	if (ctl_ask(cycle, "/status", 2000, &body, NULL) == 200)
		st = json_loadb(apw_buf_view(&body).p, body.len, 0, NULL);
	if (st != NULL &&
	    json_integer_value(json_object_get(st, "pid")) == pid) {
		reload = json_object_get(st, "reload");
		v->known = true;
		v->ok = json_integer_value(json_object_get(reload, "ok"));
		v->failed = json_integer_value(json_object_get(reload,
		    "failed"));
		v->cycle = json_integer_value(json_object_get(st, "cycle"));
		text = json_string_value(json_object_get(reload, "at"));
		snprintf(v->at, sizeof(v->at), "%s", text == NULL ? "" : text);
		text = json_string_value(json_object_get(reload, "message"));
		snprintf(v->message, sizeof(v->message), "%s",
		    text == NULL ? "" : text);
	}
	json_decref(st);
	apw_buf_free(&body);
}

/* Is `now` the answer?  When the monitor could not be asked before (the new
 * file has another address for it), its time tells. */
static bool
is_answer(const struct reload_view *before, const struct reload_view *now,
    const char *sent)
{
	if (!now->known)
		return false;
	if (before->known)
		return now->ok + now->failed > before->ok + before->failed;
	return strcmp(now->at, sent) >= 0;
}

static int
report(const struct reload_view *before, const struct reload_view *now)
{
	if (before->known ? now->failed > before->failed :
	    now->failed > 0 && now->message[0] != '\0' && now->ok == 0) {
		fprintf(stderr, "%s\napworkerctl: reload refused, the running "
		    "configuration is unchanged\n", now->message);
		return CTL_EXIT_NO;
	}
	if (now->message[0] != '\0')
		printf("needs a restart: %s\n", now->message);
	printf("reloaded: configuration %lld\n", now->cycle);
	return APW_EXIT_OK;
}

int
apw_ctl_reload(int argc, char **argv, const struct apw_cycle *cycle)
{
	int64_t		wait_ms = RELOAD_WAIT_MS, until_ms;
	bool		no_wait = false;
	const struct ctl_flag flags[] = {
		{ "--timeout", NULL, &wait_ms }, { "--no-wait", &no_wait, NULL },
		{ 0 }
	};
	struct reload_view before, now;
	struct apw_err	err = APW_ERR_NONE;
	char		sent[APW_ISO8601_SIZE];
	pid_t		pid;
	int		rc;

	if ((rc = ctl_flags(argc, argv, flags)) != 0)
		return rc;
	if (apw_pidfile_owner(cycle->main.pid_path, &pid, &err) == -1)
		return ctl_fail(APW_EXIT_TEMP, &err);
	look(cycle, pid, &before);
	apw_iso8601(apw_wall_ms(), sent);
	if (kill(pid, SIGHUP) == -1) {
		apw_err_set(&err, errno, "cannot signal pid %d", (int)pid);
		return ctl_fail(APW_EXIT_OS, &err);
	}
	if (no_wait)
		return APW_EXIT_OK;
	if (!cycle->monitor.enabled) {
		printf("asked for; without a \"monitor\" the log alone tells "
		    "what came of it\n");
		return APW_EXIT_OK;
	}
	until_ms = apw_now_ms() + wait_ms;
	do {
		look(cycle, pid, &now);
		if (is_answer(&before, &now, sent))
			return report(&before, &now);
		poll(NULL, 0, RELOAD_LOOK_MS);
	} while (apw_now_ms() < until_ms && kill(pid, 0) == 0);
	apw_err_set(&err, 0, "no result of the reload; the log may tell");
	return ctl_fail(APW_EXIT_TEMP, &err);
}
