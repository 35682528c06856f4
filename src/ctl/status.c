/* `apworkerctl status`: the scoreboard as a table.  Room: ctl. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/apw_buf.h"
#include "core/apw_exit.h"
#include "ctl/ask.h"
#include "ctl/commands.h"

#define STATUS_TIMEOUT_MS	5000

static const char *
text_of(const json_t *o, const char *key)
{
	const char	*s = json_string_value(json_object_get(o, key));

	return s == NULL || *s == '\0' ? "-" : s;
}

static long long
number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Two units are enough: "3d4h", "2m05s", "1.2s". */
static const char *
age_of(const json_t *o, const char *key, char buf[32])
{
	const json_t	*v = json_object_get(o, key);
	long long	 ms = json_integer_value(v), s = ms / 1000;

	if (!json_is_integer(v))
		return "-";
	if (s < 60)
		snprintf(buf, 32, "%lld.%llds", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(buf, 32, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 32, "%lldh%02lldm", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, 32, "%lldd%lldh", s / 86400, s % 86400 / 3600);
	return buf;
}

/* "waits for: 2 slots busy, 13 s left; 2 polls parked, 31 s left" */
static void
print_leaving(const json_t *l)
{
	long long	busy = number_of(l, "busy");
	long long	polls = number_of(l, "polls_parked");

	if (busy + polls == 0)
		return;
	printf("waits for:");
	if (busy > 0)
		printf(" %lld slot%s busy", busy, busy == 1 ? "" : "s");
	if (busy > 0 && json_is_integer(json_object_get(l, "jobs_left_ms")))
		printf(", %lld s left", (number_of(l, "jobs_left_ms") + 999) /
		    1000);
	if (polls > 0)
		printf("%s %lld poll%s parked, %lld s left",
		    busy > 0 ? ";" : "", polls, polls == 1 ? "" : "s",
		    (number_of(l, "poll_left_ms") + 999) / 1000);
	printf("\n");
}

static void
print_head(const json_t *st)
{
	const json_t	*reload = json_object_get(st, "reload");
	const json_t	*total = json_object_get(st, "total");
	const json_t	*jobs = json_object_get(total, "jobs");
	char		 up[32];

	printf("apworkerd %s, pid %lld, up %s, configuration %lld\n",
	    text_of(st, "version"), number_of(st, "pid"),
	    age_of(st, "uptime_ms", up), number_of(st, "cycle"));
	printf("%s: %lld of %lld slots take jobs\n",
	    json_is_true(json_object_get(st, "draining")) ? "leaving" :
	    json_is_true(json_object_get(st, "ready")) ? "ready" :
	    "not ready", number_of(st, "slots_able"),
	    number_of(st, "slots_wanted"));
	printf("since the start: %lld jobs taken, %lld ended well, %lld did "
	    "not; %lld slots died, %lld engines\n", number_of(jobs, "started"),
	    number_of(jobs, "ok"), number_of(jobs, "failed"),
	    number_of(total, "deaths"),
	    number_of(json_object_get(total, "engines"), "deaths"));
	print_leaving(json_object_get(st, "leaving"));
	if (number_of(reload, "ok") + number_of(reload, "failed") > 0)
		printf("reloads: %lld ok, %lld refused, last at %s\n",
		    number_of(reload, "ok"), number_of(reload, "failed"),
		    text_of(reload, "at"));
	if (json_is_true(json_object_get(reload, "pending")))
		printf("reload: one is under way\n");
	if (strcmp(text_of(reload, "message"), "-") != 0)
		printf("last reload: %s\n", text_of(reload, "message"));
}

/* What slots say of the app they speak to: once, however many say it. */
static void
print_notices(const json_t *slots)
{
	const char	*notice, *last = "-";
	size_t		 i;

	for (i = 0; i < json_array_size(slots); i++) {
		notice = text_of(json_array_get(slots, i), "notice");
		if (strcmp(notice, "-") != 0 && strcmp(notice, last) != 0)
			printf("notice: %s\n", notice);
		last = notice;
	}
}

static void
print_slot(const json_t *s)
{
	const json_t	*job = json_object_get(s, "job");
	const json_t	*jobs = json_object_get(s, "jobs");
	char		 since[32], age[32];

	char		 number[24] = "  +1";	/* the errand has none */

	if (json_object_get(s, "slot") != NULL)
		snprintf(number, sizeof(number), "%4lld",
		    number_of(s, "slot"));
	printf("%s  %-10s %7s %7lld  %-22s %-10s %7s %6lld %6lld %6lld  "
	    "%s\n", number, text_of(s, "state"),
	    age_of(s, "since_ms", since), number_of(s, "pid"),
	    text_of(job, "id"), text_of(job, "phase"),
	    age_of(job, "age_ms", age), number_of(jobs, "ok"),
	    number_of(jobs, "failed"), number_of(s, "deaths"),
	    text_of(s, "why"));
}

static void
print_slots(const json_t *slots, const json_t *errand)
{
	size_t	i;

	if (json_array_size(slots) == 0)
		return;
	printf("\nSLOT  STATE        SINCE     PID  %-22s %-10s %7s %6s %6s "
	    "%6s  WHY\n", "JOB", "PHASE", "AGE", "OK", "FAILED", "DEATHS");
	for (i = 0; i < json_array_size(slots); i++)
		print_slot(json_array_get(slots, i));
	if (json_is_object(errand))
		print_slot(errand);
}

int
apw_ctl_status(int argc, char **argv, const struct apw_cycle *cycle)
{
	struct apw_buf	body = APW_BUF_INIT(0);
	struct apw_err	err = APW_ERR_NONE;
	json_t		*st;
	bool		 json = false, ready;
	const struct ctl_flag flags[] = { { "--json", &json, NULL }, { 0 } };
	int		 rc;

	if ((rc = ctl_flags(argc, argv, flags)) != 0)
		return rc;
	rc = ctl_ask(cycle, "/status", STATUS_TIMEOUT_MS, &body, &err);
	if (rc == -1) {
		apw_buf_free(&body);
		return ctl_fail(APW_EXIT_TEMP, &err);
	}
	st = json_loadb(apw_buf_view(&body).p, body.len, 0, NULL);
	ready = json_is_true(json_object_get(st, "ready"));
	if (st == NULL || rc != 200) {
		apw_err_set(&err, 0, "the monitor answers with status %d and "
		    "no scoreboard", rc);
		rc = ctl_fail(APW_EXIT_TEMP, &err);
	} else {
		if (json)
			fwrite(body.data, 1, body.len, stdout);
		else {
			print_head(st);
			print_notices(json_object_get(st, "slots"));
			print_slots(json_object_get(st, "slots"),
			    json_object_get(st, "errand"));
		}
		rc = ready ? APW_EXIT_OK : CTL_EXIT_NO;
	}
	json_decref(st);
	apw_buf_free(&body);
	return rc;
}
