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

#define RELOAD_MARGIN_MS	30000	/* on top of reload_timeout */
#define RELOAD_LOOK_MS	50

/* What the scoreboard says of reloads. */
struct reload_view {
	bool		known, refused;
	long long	ok, failed, cycle;
	long long	began_ms;	/* monotonic; of the last result */
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
		v->began_ms = json_integer_value(json_object_get(reload,
		    "began_ms"));
		v->refused = json_is_true(json_object_get(reload, "refused"));
		text = json_string_value(json_object_get(reload, "message"));
		snprintf(v->message, sizeof(v->message), "%s",
		    text == NULL ? "" : text);
	}
	json_decref(st);
	apw_buf_free(&body);
}

/* Is `now` the answer?  One that began before we asked has read an older
 * file. */
static bool
is_answer(const struct reload_view *now, int64_t sent_ms)
{
	return now->known && now->began_ms >= sent_ms &&
	    now->ok + now->failed > 0;
}

static int
report(const struct reload_view *now)
{
	if (now->refused) {
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
	int64_t		wait_ms = cycle->main.reload_timeout_ms +
			    RELOAD_MARGIN_MS, until_ms, sent_ms;
	bool		no_wait = false, wait = true;
	const struct ctl_flag flags[] = {
		{ "--timeout", NULL, &wait_ms }, { "--wait", &wait, NULL },
		{ "--no-wait", &no_wait, NULL },
		{ 0 }
	};
	struct reload_view now;
	struct apw_err	err = APW_ERR_NONE;
	pid_t		pid;
	int		rc;

	if ((rc = ctl_flags(argc, argv, flags)) != 0)
		return rc;
	if (apw_pidfile_owner(cycle->main.pid_path, &pid, &err) == -1)
		return ctl_fail(APW_EXIT_TEMP, &err);
	sent_ms = apw_now_ms();
	if (kill(pid, SIGHUP) == -1) {
		apw_err_set(&err, errno, "cannot signal pid %d", (int)pid);
		return ctl_fail(APW_EXIT_OS, &err);
	}
	if (no_wait)
		return APW_EXIT_OK;
	until_ms = apw_now_ms() + wait_ms;
	do {
		look(cycle, pid, &now);
		if (is_answer(&now, sent_ms))
			return report(&now);
		poll(NULL, 0, RELOAD_LOOK_MS);
	} while (apw_now_ms() < until_ms && kill(pid, 0) == 0);
	apw_err_set(&err, 0, "no result of the reload; the log may tell");
	return ctl_fail(APW_EXIT_TEMP, &err);
}
