/* The egress proxy: its listener and its runs; see proxy.h.  Room: egress. */
#include "egress/proxy_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned
proxy_most(const struct apw_egress_proxy *p)
{
	return apw_egress_rules_limits(p->rules)->connections + PROXY_OVER;
}

/* Out of descriptors, or of memory: a listener that stays readable would
 * keep the loop busy with nothing. */
static void
proxy_pause(struct apw_egress_proxy *p, const char *why)
{
	struct timeval	tv = { 0, PROXY_PAUSE_MS * 1000 };

	event_del(p->acceptable);
	if (!event_pending(p->resume, EV_TIMEOUT, NULL)) {
		event_add(p->resume, &tv);
		apw_debug("egress rests", APW_S("why", why));
	}
}

static void
proxy_on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct apw_egress_proxy	*p;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, PROXY_MAGIC);
	if (p->n < proxy_most(p))
		event_add(p->acceptable, NULL);
}

/* How many came. */
static size_t
proxy_take(struct apw_egress_proxy *p, int *fds)
{
	size_t	n = 0, most = proxy_most(p) - p->n;

	while (n < most && n < APW_PEER_BATCH) {
		fds[n] = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK |
		    SOCK_CLOEXEC);
		if (fds[n] != -1)
			n++;
		else if (errno != EINTR && errno != ECONNABORTED) {
			if (errno != EAGAIN)
				proxy_pause(p, strerror(errno));
			break;
		}
	}
	return n;
}

static void
proxy_turn_away(struct apw_egress_proxy *p, int fd)
{
	apw_peer_turn_away(fd);
	if (p->strangers++ == 0)
		apw_warn("a process that is not the engine's connected to its "
		    "egress proxy and was turned away");
}

static void
proxy_on_accept(evutil_socket_t fd, short what, void *arg)
{
	enum apw_peer		 whose[APW_PEER_BATCH] = { APW_PEER_UNKNOWN };
	int			 fds[APW_PEER_BATCH];
	struct apw_egress_proxy	*p;
	size_t			 n, i;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, PROXY_MAGIC);
	/* they wait in the backlog until others have gone */
	if (p->n >= proxy_most(p)) {
		event_del(p->acceptable);
		return;
	}
	n = proxy_take(p, fds);
	if (p->guarded)
		apw_peer_ask(&p->who, fds, whose, n);
	for (i = 0; i < n; i++) {
		if (p->guarded && whose[i] == APW_PEER_STRANGER)
			proxy_turn_away(p, fds[i]);
		else
			egress_client_new(p, fds[i]);
	}
}

void
apw_egress_proxy_guard(struct apw_egress_proxy *p,
    const struct apw_peer_who *who)
{
	p->guarded = true;
	p->who = *who;
}

void
egress_proxy_left(struct apw_egress_proxy *p)
{
	p->n--;
	if (p->n + 1 == proxy_most(p) && p->acceptable != NULL)
		event_add(p->acceptable, NULL);
}

bool
egress_proxy_spend(struct apw_egress_proxy *p, uint64_t bytes)
{
	uint64_t	limit = apw_egress_rules_limits(p->rules)->bytes;

	p->bytes += bytes;
	if (limit != 0 && p->bytes > limit)
		p->spent = true;
	return p->spent;
}

/* Two descriptors a connection, and pipes: the usual soft limit of 1024 is
 * too near.  Best effort; running out is handled. */
static void
proxy_files(const struct apw_egress_proxy *p)
{
	rlim_t		need = 4 * (rlim_t)proxy_most(p) + 256;
	struct rlimit	files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 || files.rlim_cur >= need)
		return;
	files.rlim_cur = need < files.rlim_max ? need : files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

struct apw_egress_proxy *
apw_egress_proxy_new(struct event_base *base,
    const struct apw_egress_proxy_conf *conf, struct apw_err *err)
{
	struct apw_egress_proxy	*p = calloc(1, sizeof(*p));
	int			 flags;

	if (p == NULL) {
		apw_err_set(err, ENOMEM, "egress proxy");
		close(conf->listen_fd);
		return NULL;
	}
	p->magic = PROXY_MAGIC;
	p->base = base;
	p->listen_fd = conf->listen_fd;
	p->rules = apw_egress_rules_ref(conf->rules);
	p->resolver = conf->resolver;
	p->books.score = conf->score;
	p->told = conf->told;
	p->arg = conf->arg;
	TAILQ_INIT(&p->clients);
	flags = fcntl(p->listen_fd, F_GETFL);
	p->acceptable = event_new(base, p->listen_fd, EV_READ | EV_PERSIST,
	    proxy_on_accept, p);
	p->resume = event_new(base, -1, 0, proxy_on_resume, p);
	if (flags == -1 || fcntl(p->listen_fd, F_SETFL,
	    flags | O_NONBLOCK) == -1 || p->acceptable == NULL ||
	    p->resume == NULL || event_add(p->acceptable, NULL) == -1) {
		apw_err_set(err, errno, "egress proxy");
		apw_egress_proxy_free(p);
		return NULL;
	}
	proxy_files(p);
	return p;
}

static void
proxy_drop_all(struct apw_egress_proxy *p)
{
	struct egress_client	*c;

	while ((c = TAILQ_FIRST(&p->clients)) != NULL)
		egress_client_free(c);
}

void
apw_egress_proxy_free(struct apw_egress_proxy *p)
{
	if (p == NULL)
		return;
	proxy_drop_all(p);
	if (p->acceptable != NULL)
		event_free(p->acceptable);
	if (p->resume != NULL)
		event_free(p->resume);
	egress_pipes_free(&p->pipes);
	close(p->listen_fd);
	apw_egress_rules_unref(p->rules);
	p->magic = 0;
	free(p);
}

void
apw_egress_proxy_begin(struct apw_egress_proxy *p, const char *run)
{
	apw_egress_proxy_end(p, NULL);
	snprintf(p->run, sizeof(p->run), "%s", run);
}

void
apw_egress_proxy_end(struct apw_egress_proxy *p,
    struct apw_egress_account *sum)
{
	proxy_drop_all(p);
	apw_egress_books_close(&p->books, p->run[0] != '\0' ? p->run : NULL,
	    sum);
	p->run[0] = '\0';
	p->bytes = 0;
	p->spent = false;
}

unsigned
apw_egress_proxy_connections(const struct apw_egress_proxy *p)
{
	return p->n;
}
