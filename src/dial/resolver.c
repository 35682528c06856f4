/* The slot's resolver; see resolver.h.  Room: dial.
 *
 * Names are c-ares' to look up (the hosts file, search lists, several
 * servers, TCP for answers that are cut short); its sockets and its clock
 * are watched here. */
#include "dial/resolver_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"

#define RESOLVER_MAGIC	0x52534c56
#define RESOLV_CONF	"/etc/resolv.conf"
#define LOOK_MS		1000	/* how often resolv.conf is looked at */
#define TRY_MS		2000	/* for one server, the first time round */
#define TRIES		2	/* rounds; each waits twice as long */
#define SERVERS_SIZE	1024	/* text of all that are named */

struct resolver_watch {
	TAILQ_ENTRY(resolver_watch) link;
	int		 fd;		/* of c-ares */
	struct event	*event;		/* owned */
};

/* --- sockets and time --- */

void
resolver_wait(struct apw_resolver *r)
{
	struct timeval	tv;

	if (ares_timeout(r->dns, NULL, &tv) != NULL)
		event_add(r->timer, &tv);
	else
		event_del(r->timer);
}

static void
resolver_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_resolver	*r;

	(void)fd;
	(void)what;
	APW_CAST(r, arg, RESOLVER_MAGIC);
	ares_process_fd(r->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_wait(r);
}

static void
resolver_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct apw_resolver	*r;

	APW_CAST(r, arg, RESOLVER_MAGIC);
	ares_process_fd(r->dns, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
	    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
	resolver_wait(r);
}

static void
watch_free(struct apw_resolver *r, struct resolver_watch *w)
{
	TAILQ_REMOVE(&r->watches, w, link);
	if (w->event != NULL)
		event_free(w->event);
	free(w);
}

static struct resolver_watch *
watch_of(struct apw_resolver *r, int fd)
{
	struct resolver_watch	*w;

	TAILQ_FOREACH(w, &r->watches, link)
		if (w->fd == fd)
			return w;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->fd = fd;
	TAILQ_INSERT_TAIL(&r->watches, w, link);
	return w;
}

/* c-ares opened a socket, wants to write, or is about to close it.  Without
 * memory the socket stays unwatched, and its question runs out of time. */
static void
resolver_on_socket(void *arg, ares_socket_t fd, int read, int write)
{
	struct apw_resolver	*r;
	struct resolver_watch	*w;

	APW_CAST(r, arg, RESOLVER_MAGIC);
	w = watch_of(r, fd);
	if (w == NULL)
		return;
	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
	if (read || write)
		w->event = event_new(r->base, fd, EV_PERSIST |
		    (read ? EV_READ : 0) | (write ? EV_WRITE : 0),
		    resolver_on_io, r);
	if (w->event == NULL)
		watch_free(r, w);
	else
		event_add(w->event, NULL);
}

/* --- servers --- */

static struct timespec
conf_changed(void)
{
	struct timespec	never = { 0, 0 };
	struct stat	st;

	return stat(RESOLV_CONF, &st) == 0 ? st.st_mtim : never;
}

/* Servers that the configuration names stand alone: no hosts file, no search
 * list, of the system. */
static int
dns_open(struct apw_resolver *r, ares_channel *out,
    struct apw_err *err)
{
	char			files_dns[] = "fb", dns[] = "b";
	struct ares_options	options = {
		.flags = ARES_FLAG_NOALIASES |
		    (r->servers != NULL ? ARES_FLAG_NOSEARCH : 0),
		.timeout = TRY_MS,
		.tries = TRIES,
		.lookups = r->servers != NULL ? dns : files_dns,
		.sock_state_cb = resolver_on_socket,
		.sock_state_cb_data = r,
	};
	int			rc;

	r->changed = conf_changed();
	rc = ares_init_options(out, &options, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
	    ARES_OPT_SOCK_STATE_CB);
	if (rc != ARES_SUCCESS)
		return apw_err_set(err, 0, "resolver: %s", ares_strerror(rc));
	if (r->servers == NULL)
		return 0;
	rc = ares_set_servers_ports_csv(*out, r->servers);
	if (rc == ARES_SUCCESS)
		return 0;
	ares_destroy(*out);
	*out = NULL;
	return apw_err_set(err, 0, "resolver: no addresses in \"%s\"",
	    r->servers);
}

/* The system's servers move with the network; look, but not all the time. */
void
resolver_renew(struct apw_resolver *r)
{
	struct timespec	was = r->changed, now;
	ares_channel	dns;

	if (r->servers != NULL || r->busy > 0 ||
	    apw_now_ms() - r->looked_ms < LOOK_MS)
		return;
	r->looked_ms = apw_now_ms();
	now = conf_changed();
	if (now.tv_sec == was.tv_sec && now.tv_nsec == was.tv_nsec)
		return;
	if (dns_open(r, &dns, NULL) == -1) {
		r->changed = was;
		return;
	}
	ares_destroy(r->dns);
	r->dns = dns;
	apw_info("name servers were read again");
}

static int
servers_join(struct apw_resolver *r, const struct apw_strlist *servers)
{
	struct apw_buf	b = APW_BUF_INIT(SERVERS_SIZE);
	size_t		i;

	if (servers->n == 0)
		return 0;
	for (i = 0; i < servers->n; i++)
		apw_buf_printf(&b, "%s%s", i == 0 ? "" : ",", servers->v[i]);
	if (!b.failed)
		r->servers = strdup(b.data);
	apw_buf_free(&b);
	return r->servers != NULL ? 0 : -1;
}

struct apw_resolver *
apw_resolver_new(struct event_base *base,
    const struct apw_strlist *servers, struct apw_err *err)
{
	struct apw_resolver	*r = calloc(1, sizeof(*r));

	if (r == NULL || ares_library_init(ARES_LIB_INIT_ALL) !=
	    ARES_SUCCESS) {
		apw_err_set(err, ENOMEM, "resolver");
		free(r);
		return NULL;
	}
	r->magic = RESOLVER_MAGIC;
	r->base = base;
	r->looked_ms = apw_now_ms();
	TAILQ_INIT(&r->watches);
	r->timer = event_new(base, -1, 0, resolver_on_timer, r);
	if (r->timer == NULL || servers_join(r, servers) == -1)
		apw_err_set(err, ENOMEM, "resolver");
	else if (dns_open(r, &r->dns, err) == 0)
		return r;
	apw_resolver_free(r);
	return NULL;
}

struct apw_tls_wraps *
apw_resolver_wraps(struct apw_resolver *r)
{
	if (r->wraps == NULL)
		r->wraps = apw_tls_wraps_new(r->base);
	return r->wraps;
}

void
apw_resolver_free(struct apw_resolver *r)
{
	struct resolver_watch	*w;

	if (r == NULL)
		return;
	if (r->dns != NULL)
		ares_destroy(r->dns);	/* tells those that were cancelled */
	while ((w = TAILQ_FIRST(&r->watches)) != NULL)
		watch_free(r, w);
	if (r->timer != NULL)
		event_free(r->timer);
	apw_tls_wraps_free(r->wraps);
	free(r->servers);
	ares_library_cleanup();
	r->magic = 0;
	free(r);
}
