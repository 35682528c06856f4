/*
 * Engine.IO server: life of the server, its table of sessions, and who makes
 * room for whom; see eio_server.h.  Room: link.
 *
 * Nothing is freed while a callback of the server is on the stack: the dead
 * go to a grave that apw_eio_server_leave() empties.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"

static unsigned
bucket_of(const char *sid)
{
	/* session ids are random: any bytes of one will do */
	return ((unsigned char)sid[0] ^ ((unsigned)(unsigned char)sid[1] << 3)) %
	    EIO_BUCKETS;
}

struct apw_eio_server *
apw_eio_server_new(struct event_base *base,
    const struct apw_eio_server_conf *conf,
    const struct apw_eio_server_events *ev, void *arg, struct apw_err *err)
{
	struct apw_eio_server	*s;
	size_t			 i;

	s = calloc(1, sizeof(*s));
	if (s == NULL || asprintf(&s->path, "%s/", conf->path) == -1) {
		free(s);
		apw_err_set(err, ENOMEM, "engine.io server");
		return NULL;
	}
	s->magic = EIO_SERVER_MAGIC;
	s->base = base;
	s->conf = *conf;
	s->conf.path = s->path;
	s->ev = *ev;
	s->arg = arg;
	for (i = 0; i < EIO_BUCKETS; i++)
		TAILQ_INIT(&s->sessions[i]);
	TAILQ_INIT(&s->grave);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->conn_grave);
	TAILQ_INIT(&s->leaving.all);
	SLIST_INIT(&s->listeners);
	return s;
}

/* --- room --- */

/* The eldest connection that serves no session we trust; strangers', or those
 * that may be, before our own. */
static struct eio_conn *
server_spare_conn(struct apw_eio_server *s)
{
	struct eio_conn	*c, *own = NULL;

	TAILQ_FOREACH(c, &s->conns, link) {
		if (c->session != NULL && c->session->trusted)
			continue;
		if (!c->own)
			return c;
		if (own == NULL)
			own = c;
	}
	return own;
}

bool
eio_server_room(struct apw_eio_server *s)
{
	struct eio_conn	*c;

	if (s->conf.max_early_bytes == 0)
		return s->nconns < s->conf.max_connections;
	/* those that are saying good-bye are sockets still */
	if (s->nconns + s->leaving.n < s->conf.max_connections)
		return true;
	if (!TAILQ_EMPTY(&s->leaving.all)) {
		apw_link_ws_free(TAILQ_FIRST(&s->leaving.all));
		return true;
	}
	if ((c = server_spare_conn(s)) == NULL)
		return false;
	eio_conn_lost(c);
	return true;
}

static bool
spare_before(const struct apw_eio_session *a, const struct apw_eio_session *b)
{
	return b == NULL || (a->own != b->own ? b->own :
	    a->number < b->number);
}

bool
eio_server_session_room(struct apw_eio_server *s)
{
	struct apw_eio_session	*one, *spare = NULL;
	size_t			 i;

	if (s->nsessions < s->conf.max_sessions)
		return true;
	for (i = 0; i < EIO_BUCKETS; i++)
		TAILQ_FOREACH(one, &s->sessions[i], link)
			if (!one->trusted && spare_before(one, spare))
				spare = one;
	if (spare == NULL)
		return false;
	eio_session_end(spare, "others came");
	return s->nsessions < s->conf.max_sessions;
}

/* --- sessions --- */

struct apw_eio_session *
eio_server_find(struct apw_eio_server *s, const char *sid)
{
	struct apw_eio_session	*one;

	TAILQ_FOREACH(one, &s->sessions[bucket_of(sid)], link)
		if (strcmp(one->sid, sid) == 0)
			break;
	if (one != NULL && eio_session_expired(one)) {
		/* its timer is only a matter of the loop's next turn */
		eio_session_end(one, "ping timeout");
		return NULL;
	}
	return one;
}

void
eio_server_add(struct apw_eio_server *s, struct apw_eio_session *one)
{
	TAILQ_INSERT_HEAD(&s->sessions[bucket_of(one->sid)], one, link);
	one->number = s->next_number++;
	s->nsessions++;
}

void
eio_server_bury(struct apw_eio_server *s, struct apw_eio_session *one)
{
	TAILQ_REMOVE(&s->sessions[bucket_of(one->sid)], one, link);
	TAILQ_INSERT_TAIL(&s->grave, one, link);
	s->nsessions--;
}

/* --- life --- */

void
apw_eio_server_chain(struct apw_eio_server *s, struct apw_eio_server *next)
{
	s->next = next;
}

void
apw_eio_server_enter(struct apw_eio_server *s)
{
	s->depth++;
}

static void
server_destroy(struct apw_eio_server *s)
{
	struct apw_link_ws	*ws;
	void			(*freed)(void *) = s->freed;
	void			*arg = s->freed_arg;

	while ((ws = TAILQ_FIRST(&s->leaving.all)) != NULL)
		apw_link_ws_free(ws);
	free(s->path);
	s->magic = 0;
	free(s);
	if (freed != NULL)
		freed(arg);
}

void
apw_eio_server_leave(struct apw_eio_server *s)
{
	struct apw_eio_session	*one;
	struct eio_conn		*conn;

	APW_ASSERT(s->depth > 0);
	if (s->depth > 1) {
		s->depth--;
		return;
	}
	while ((one = TAILQ_FIRST(&s->grave)) != NULL) {
		TAILQ_REMOVE(&s->grave, one, link);
		eio_session_destroy(one);
	}
	while ((conn = TAILQ_FIRST(&s->conn_grave)) != NULL) {
		TAILQ_REMOVE(&s->conn_grave, conn, link);
		eio_conn_destroy(conn);
	}
	s->depth = 0;
	if (s->dead)
		server_destroy(s);
}

void
apw_eio_server_free(struct apw_eio_server *s, void (*freed)(void *),
    void *arg)
{
	struct apw_eio_session	*one;
	size_t			 i;

	apw_eio_server_enter(s);
	s->dead = true;
	s->freed = freed;
	s->freed_arg = arg;
	apw_eio_server_deafen(s);
	for (i = 0; i < EIO_BUCKETS; i++) {
		while ((one = TAILQ_FIRST(&s->sessions[i])) != NULL)
			eio_session_end(one, "server closed");
	}
	while (!TAILQ_EMPTY(&s->conns))
		eio_conn_bury(TAILQ_FIRST(&s->conns));
	apw_eio_server_leave(s);
}
