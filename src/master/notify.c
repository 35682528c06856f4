/* Telling the service manager: one datagram a fact, to the socket it names in
 * NOTIFY_SOCKET.  Room: master.  Without one nothing happens; what cannot be
 * sent is not worth a wait. */
#include "master/master_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

/* WATCHDOG_PID names the process that is meant; an upgrade's new binary has
 * the wish of the old one. */
static int64_t
watchdog_ms(const struct master *m)
{
	const char	*usec = getenv("WATCHDOG_USEC");
	const char	*pid = getenv("WATCHDOG_PID");

	if (usec == NULL || (pid != NULL && m->upgrade.old_pid == 0 &&
	    strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoll(usec, NULL, 10) / 1000;
}

void
master_notify_init(struct master *m)
{
	const char	*path = getenv("NOTIFY_SOCKET");

	m->notify.fd = -1;
	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(m->notify.path))
		return;
	strcpy(m->notify.path, path);
	m->notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	m->notify.watchdog_ms = watchdog_ms(m);
}

void
master_notify(struct master *m, const char *fmt, ...)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	char			text[512];
	size_t			n = strlen(m->notify.path);
	va_list			ap;
	int			len;

	if (m->notify.fd == -1 || n == 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	memcpy(sun.sun_path, m->notify.path, n);
	if (sun.sun_path[0] == '@')	/* a name without a file */
		sun.sun_path[0] = '\0';
	if (sendto(m->notify.fd, text, (size_t)len, MSG_NOSIGNAL,
	    (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un,
	    sun_path) + n)) == -1)
		apw_debug("the service manager does not listen",
		    APW_S("error", strerror(errno)));
}

void
master_notify_reloading(struct master *m)
{
	struct timespec	ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	master_notify(m, "RELOADING=1\nMONOTONIC_USEC=%lld\n"
	    "STATUS=reading the configuration",
	    (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

/* What the manager shows to people. */
static void
notify_status(struct master *m)
{
	struct mproc		*p;
	enum apw_slot_state	 s;
	unsigned		 able = 0, all = 0;
	struct mwaited		 w;
	char			 text[sizeof(m->notify.status)], what[128];

	TAILQ_FOREACH(p, &m->procs, entry) {
		if (p->score == NULL)
			continue;
		s = atomic_load(&p->score->state);
		able += s == APW_SLOT_IDLE || s == APW_SLOT_BUSY;
		all++;
	}
	master_waited(m, apw_now_ms(), &w);
	master_waited_text(m, apw_now_ms(), &w, what, sizeof(what));
	if (m->leave != LEAVE_NOT)
		snprintf(text, sizeof(text), "draining: %u slots left%s%.80s",
		    all, what[0] == '\0' ? "" : ": ", what);
	else
		snprintf(text, sizeof(text), "%u of %u slots take jobs, %u "
		    "busy", able, m->cycle->conf->main.slots, w.busy);
	if (strcmp(text, m->notify.status) == 0)
		return;
	strcpy(m->notify.status, text);
	master_notify(m, "STATUS=%s", text);
}

/* The watchdog is fed by the loop that all else depends on, and by nothing
 * else. */
void
master_notify_tick(struct master *m, int64_t now)
{
	if (m->notify.fd == -1)
		return;
	if (m->notify.watchdog_ms > 0 && now - m->notify.fed_ms >=
	    m->notify.watchdog_ms / 3) {
		m->notify.fed_ms = now;
		master_notify(m, "WATCHDOG=1");
	}
	if (now - m->notify.told_ms >= 1000) {
		m->notify.told_ms = now;
		notify_status(m);
	}
}
