/* Connecting to one of several addresses; see race.h.  Room: dial. */
#include "dial/race.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_log.h"

#define RACE_MAGIC	0x52414345

struct race_try {
	struct apw_race	*race;		/* back */
	struct event		*event;		/* owned; NULL: not tried */
	int			 fd;		/* owned */
	struct apw_addr		 addr;
};

struct apw_race {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	uint16_t		 port;
	apw_race_fn	*fn;
	void			*arg;		/* borrowed */
	struct event		*timer;		/* owned: the next start */
	size_t			 n, next;
	unsigned		 under_way;
	int			 error;		/* of the last failure */
	struct race_try		 tries[APW_DIAL_ATTEMPTS];
};

void
apw_race_cancel(struct apw_race *r)
{
	size_t	i;

	if (r == NULL)
		return;
	for (i = 0; i < r->next; i++) {
		if (r->tries[i].event != NULL)
			event_free(r->tries[i].event);
		if (r->tries[i].fd != -1)
			close(r->tries[i].fd);
	}
	if (r->timer != NULL)
		event_free(r->timer);
	r->magic = 0;
	free(r);
}

static void
race_done(struct apw_race *r, struct race_try *t)
{
	struct apw_addr	 addr = { 0 };
	apw_race_fn	*fn = r->fn;
	void		*arg = r->arg;
	int		 fd = -1, error = r->error;

	if (t != NULL) {
		fd = t->fd;
		t->fd = -1;
		addr = t->addr;
	}
	apw_race_cancel(r);
	fn(arg, fd, &addr, error);
}

static void	race_on_try(evutil_socket_t, short, void *);

/* 0: under way */
static int
race_connect(struct apw_race *r, struct race_try *t)
{
	struct sockaddr_in	v4 = { .sin_family = AF_INET,
				    .sin_port = htons(r->port) };
	struct sockaddr_in6	v6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(r->port) };
	struct sockaddr		*sa = (struct sockaddr *)&v4;
	socklen_t		 size = sizeof(v4);
	int			 on = 1;

	memcpy(&v4.sin_addr, t->addr.b, 4);
	memcpy(&v6.sin6_addr, t->addr.b, 16);
	if (t->addr.family == AF_INET6) {
		sa = (struct sockaddr *)&v6;
		size = sizeof(v6);
	}
	t->fd = socket(t->addr.family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (t->fd == -1)
		return -1;
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(t->fd, sa, size) == -1 && errno != EINPROGRESS)
		return -1;
	t->event = event_new(r->base, t->fd, EV_WRITE, race_on_try, t);
	if (t->event == NULL || event_add(t->event, NULL) == -1) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* Start the next that starts; false: nothing is under way. */
static bool
race_next(struct apw_race *r)
{
	struct timeval	 tv = { 0, APW_DIAL_STAGGER_MS * 1000 };
	struct race_try	*t;

	while (r->next < r->n) {
		t = &r->tries[r->next++];
		t->race = r;
		if (race_connect(r, t) == 0) {
			r->under_way++;
			if (r->next < r->n)
				event_add(r->timer, &tv);
			return true;
		}
		r->error = errno;
		if (t->fd != -1)
			close(t->fd);
		t->fd = -1;
	}
	return r->under_way > 0;
}

static void
race_on_try(evutil_socket_t fd, short what, void *arg)
{
	struct race_try	*t = arg;
	struct apw_race	*r;
	socklen_t	 size = sizeof(int);
	int		 error = 0;

	(void)what;
	APW_CAST(r, t->race, RACE_MAGIC);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
		error = errno;
	if (error == 0) {
		race_done(r, t);
		return;
	}
	r->error = error;
	r->under_way--;
	event_free(t->event);
	t->event = NULL;
	close(t->fd);
	t->fd = -1;
	event_del(r->timer);
	if (!race_next(r))
		race_done(r, NULL);
}

static void
race_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_race	*r;

	(void)fd;
	(void)what;
	APW_CAST(r, arg, RACE_MAGIC);
	if (!race_next(r))
		race_done(r, NULL);
}

/* Families take turns, the newer one first. */
static void
race_order(struct apw_race *r, const struct apw_addr *a, size_t n)
{
	size_t	at[2] = { 0, 0 };
	int	families[2] = { AF_INET6, AF_INET };
	int	turn = 0, missed = 0;

	while (r->n < APW_DIAL_ATTEMPTS && missed < 2) {
		while (at[turn] < n && a[at[turn]].family != families[turn])
			at[turn]++;
		if (at[turn] == n) {
			missed++;
		} else {
			r->tries[r->n].fd = -1;
			r->tries[r->n++].addr = a[at[turn]++];
			missed = 0;
		}
		turn = !turn;
	}
}

struct apw_race *
apw_race_new(struct event_base *base, const struct apw_addr *a,
    size_t n, uint16_t port, apw_race_fn *fn, void *arg)
{
	struct apw_race	*r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->magic = RACE_MAGIC;
	r->base = base;
	r->port = port;
	r->fn = fn;
	r->arg = arg;
	r->error = EADDRNOTAVAIL;
	race_order(r, a, n);
	r->timer = event_new(base, -1, 0, race_on_timer, r);
	if (r->timer == NULL) {
		apw_race_cancel(r);
		return NULL;
	}
	/* never back before new() is */
	if (!race_next(r))
		event_active(r->timer, EV_TIMEOUT, 0);
	return r;
}
