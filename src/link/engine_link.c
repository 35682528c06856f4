/*
 * Engine link: admission, life, operations; see engine_link.h.  Room: link.
 *
 * Must never admit a peer that does not know the token of the current start,
 * nor a second one beside the first.
 */
#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/apw_log.h"
#include "link/engine_link_priv.h"
#include "proto/apw_raw.h"

/* connections beside the one that counts: polling, probes, strangers */
#define CONNECTIONS_MAX	64
#define SESSIONS_MAX	16
/* of a message before the token: a CONNECT has a few hundred */
#define EARLY_BYTES	16384
/* engines attach nothing to what they say */
#define ATTACHED_BYTES	(1024 * 1024)
/* beside an operation as large as can be: answers to calls */
#define OUTPUT_BYTES	(4 * 1024 * 1024)

static bool
token_ok(const struct apw_engine_link *l, struct apw_str auth)
{
	const size_t	n = APW_ENGINE_LINK_TOKEN_BYTES - 1;
	struct apw_str	v;

	if (apw_raw_type(auth) != APW_RAW_OBJECT ||
	    apw_raw_member(auth, "connectionToken", &v) != 1 ||
	    v.n != n + 2 || v.p[0] != '"')
		return false;
	return CRYPTO_memcmp(v.p + 1, l->token, n) == 0;
}

static const char *
link_on_connect(void *arg, struct apw_sio_socket *sock, struct apw_str nsp,
    struct apw_str auth)
{
	struct apw_engine_link	*l;
	struct apw_str		 id;
	const char		*why = NULL;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	if (!apw_str_is(nsp, "/"))
		return "Invalid namespace";
	if (!l->expecting)
		why = "no engine is expected";
	else if (l->dialect->token && !token_ok(l, auth))
		why = "wrong connection token";
	else if (apw_raw_type(auth) != APW_RAW_OBJECT ||
	    apw_raw_member(auth, "sandboxId", &id) != 1 ||
	    !apw_raw_equals(id, l->sandbox_id))
		why = "wrong sandbox id";
	if (why == NULL)
		return NULL;
	l->ev.on_refused(l->arg, why,
	    apw_eio_session_own(apw_sio_socket_session(sock)));
	return "unauthorized";
}

/*
 * Who is listened to.  An engine that has come may poll, or upgrade: it is
 * asked for still, but nobody waits for it.
 */
static void
link_door(struct apw_engine_link *l)
{
	struct apw_eio_server	*eio = apw_sio_server_eio(l->sio);
	bool			 rest = !l->due || (l->sock != NULL &&
				    apw_eio_session_websocket(
				    apw_sio_socket_session(l->sock)));

	if (l->conf.guarded)
		apw_eio_server_door(eio, !l->due ? APW_EIO_DOOR_SHUT :
		    l->shared ? APW_EIO_DOOR_KNOWN : APW_EIO_DOOR_OWN,
		    l->shared ? &l->who : NULL, rest);
}

static void
link_on_turned_away(void *arg, unsigned n)
{
	struct apw_engine_link	*l;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	if (l->ev.on_strangers != NULL)
		l->ev.on_strangers(l->arg, n);
}

/* Engines of this generation know one port only: whoever is in leaves it to
 * the next. */
static void
link_give_port_up(struct apw_engine_link *l)
{
	if (l->conf.adopts && l->dialect->commands)
		apw_eio_server_deafen(apw_sio_server_eio(l->sio));
}

static void
link_on_join(void *arg, struct apw_sio_socket *sock, struct apw_str auth)
{
	struct apw_engine_link	*l;
	bool			 own;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	(void)auth;
	if (l->sock != NULL) {
		/* the first stays */
		own = apw_eio_session_own(apw_sio_socket_session(sock));
		apw_sio_socket_kick(sock);
		l->ev.on_refused(l->arg, "second connection", own);
		return;
	}
	l->sock = sock;
	apw_sio_socket_trust(sock);
	link_door(l);
	if (apw_eio_session_websocket(apw_sio_socket_session(sock)))
		link_give_port_up(l);
	l->ev.on_ready(l->arg);
}

static void
link_on_upgraded(void *arg, struct apw_sio_socket *sock)
{
	struct apw_engine_link	*l;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	if (sock != l->sock)
		return;
	link_door(l);
	link_give_port_up(l);
}

static void
link_on_event(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_engine_link	*l;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	(void)binary;
	(void)nbinary;
	if (sock == l->sock)
		engine_talk_event(l, pkt);
}

static void
link_on_ack(void *arg, struct apw_sio_socket *sock,
    const struct apw_sio_packet *pkt, const struct apw_str *binary,
    size_t nbinary)
{
	struct apw_engine_link	*l;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	(void)binary;
	(void)nbinary;
	if (sock == l->sock)
		engine_talk_ack(l, pkt);
}

static void
link_on_leave(void *arg, struct apw_sio_socket *sock, const char *reason)
{
	struct apw_engine_link	*l;

	APW_CAST(l, arg, ENGINE_LINK_MAGIC);
	if (sock != l->sock)
		return;
	l->sock = NULL;
	l->busy = false;
	engine_call_drop_all(l);
	link_door(l);
	l->ev.on_lost(l->arg, reason);
}

static void
conf_defaults(struct apw_engine_link_conf *c)
{
	if (c->address == NULL)
		c->address = "127.0.0.1";
	if (c->path == NULL)
		c->path = "/worker/ws";
	if (c->max_payload_bytes == 0)
		c->max_payload_bytes = 104857600;
	if (c->ping_interval_ms == 0)
		c->ping_interval_ms = 25000;
	if (c->ping_timeout_ms == 0)
		c->ping_timeout_ms = 120000;
	if (c->connect_timeout_ms == 0)
		c->connect_timeout_ms = 45000;
	if (c->call_timeout_ms == 0)
		c->call_timeout_ms = 55000;
	if (c->max_calls == 0)
		c->max_calls = 64;
	if (c->max_calls > ENGINE_CALLS_MAX)
		c->max_calls = ENGINE_CALLS_MAX;
	if (c->max_call_bytes == 0)
		c->max_call_bytes = 2 * c->max_payload_bytes;
	if (c->max_output_bytes == 0)
		c->max_output_bytes = c->max_payload_bytes + OUTPUT_BYTES;
}

static bool
is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static int
link_listen(struct apw_engine_link *l, struct apw_err *err)
{
	static const struct apw_sio_server_events	ev = {
		.on_connect = link_on_connect,
		.on_join = link_on_join,
		.on_event = link_on_event,
		.on_ack = link_on_ack,
		.on_leave = link_on_leave,
		.on_upgraded = link_on_upgraded,
		.on_turned_away = link_on_turned_away,
	};
	const struct apw_sio_server_conf		conf = {
		.eio = {
			.path = l->conf.path,
			.max_payload_bytes = l->conf.max_payload_bytes,
			.max_early_bytes = EARLY_BYTES,
			.max_output_bytes = l->conf.max_output_bytes,
			.max_sessions = SESSIONS_MAX,
			.max_connections = CONNECTIONS_MAX,
			.ping_interval_ms = l->conf.ping_interval_ms,
			.ping_timeout_ms = l->conf.ping_timeout_ms,
			.upgrade_timeout_ms = 10000,
			.head_timeout_ms = 10000,
			.body_timeout_ms = 10000,
		},
		.connect_timeout_ms = l->conf.connect_timeout_ms,
		.close_refused = true,
		.max_attached_bytes = ATTACHED_BYTES,
	};
	int						port;

	if (!is_loopback(l->conf.address))
		return apw_err_set(err, 0, "engine link: %s is not a loopback "
		    "address", l->conf.address);
	l->sio = apw_sio_server_new(l->base, &conf, &ev, l, err);
	if (l->sio == NULL)
		return -1;
	link_door(l);
	if (l->conf.adopts)
		return 0;
	port = apw_sio_server_listen(l->sio, l->conf.address, l->conf.port,
	    err);
	if (port == -1)
		return apw_err_wrap(err, "engine link");
	l->port = (uint16_t)port;
	return 0;
}

static void
link_destroy(void *arg)
{
	struct apw_engine_link	*l = arg;

	if (l->timer != NULL)
		event_free(l->timer);
	apw_buf_free(&l->scratch);
	explicit_bzero(l->token, sizeof(l->token));
	l->magic = 0;
	free(l);
}

struct apw_engine_link *
apw_engine_link_new(struct event_base *base,
    const struct apw_engine_link_conf *conf,
    const struct apw_engine_link_events *ev, void *arg, struct apw_err *err)
{
	struct apw_engine_link	*l;

	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		apw_err_set(err, ENOMEM, "engine link");
		return NULL;
	}
	l->magic = ENGINE_LINK_MAGIC;
	l->base = base;
	l->conf = *conf;
	conf_defaults(&l->conf);
	l->dialect = engine_dialect_get(conf->dialect);
	l->ev = *ev;
	l->arg = arg;
	l->scratch.max = l->conf.max_payload_bytes + 1024;
	if (engine_call_init(l) == -1) {
		apw_err_set(err, ENOMEM, "engine link");
		link_destroy(l);
		return NULL;
	}
	if (link_listen(l, err) == -1) {
		apw_engine_link_free(l);
		return NULL;
	}
	l->conf.address = l->conf.path = NULL;	/* the caller's */
	return l;
}

uint16_t
apw_engine_link_port(const struct apw_engine_link *l)
{
	return l->port;
}

int
apw_engine_link_adopt(struct apw_engine_link *l, int fd, struct apw_err *err)
{
	APW_ASSERT(l->conf.adopts);
	if (apw_eio_server_adopt(apw_sio_server_eio(l->sio), fd, err) == -1)
		return apw_err_wrap(err, "engine link");
	return 0;
}

int
apw_engine_link_expect(struct apw_engine_link *l, const char *sandbox_id,
    char token_hex[APW_ENGINE_LINK_TOKEN_BYTES], struct apw_err *err)
{
	unsigned char	bytes[(APW_ENGINE_LINK_TOKEN_BYTES - 1) / 2];
	size_t		i;

	apw_engine_link_reset(l);
	if (sandbox_id[0] == '\0' || strlen(sandbox_id) >=
	    sizeof(l->sandbox_id))
		return apw_err_set(err, 0, "engine link: bad sandbox id");
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return apw_err_set(err, errno, "engine link: no randomness");
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(l->token + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	memcpy(token_hex, l->token, sizeof(l->token));
	memcpy(l->sandbox_id, sandbox_id, strlen(sandbox_id) + 1);
	l->expecting = true;
	return 0;
}

void
apw_engine_link_due(struct apw_engine_link *l, const struct apw_peer_who *who)
{
	l->due = l->expecting;
	l->shared = who != NULL;
	if (who != NULL)
		l->who = *who;
	link_door(l);
}

bool
apw_engine_link_connected(const struct apw_engine_link *l)
{
	return l->sock != NULL;
}

void
apw_engine_link_reset(struct apw_engine_link *l)
{
	struct apw_sio_socket	*sock = l->sock;

	l->expecting = l->due = false;
	explicit_bzero(l->token, sizeof(l->token));
	l->sandbox_id[0] = '\0';
	l->sock = NULL;
	l->busy = false;
	engine_call_drop_all(l);
	if (sock != NULL)
		apw_sio_socket_kick(sock);
	if (l->conf.adopts)
		apw_eio_server_deafen(apw_sio_server_eio(l->sio));
	link_door(l);
}

void
apw_engine_link_free(struct apw_engine_link *l)
{
	if (l == NULL || l->dead)
		return;
	l->dead = true;
	l->sock = NULL;
	engine_call_drop_all(l);
	if (l->sio != NULL)
		apw_sio_server_free(l->sio, link_destroy, l);
	else
		link_destroy(l);
}

/* --- operations --- */

static int
send_operation(struct apw_engine_link *l, const char *type,
    const struct apw_str *parts, size_t nparts)
{
	struct apw_str	all[APW_SIO_PARTS_MAX];
	size_t		n = 0, i;

	if (l->dialect->commands)
		all[n++] = APW_STR("[\"engine-operation\",{\"operationType\":\"");
	else
		all[n++] = APW_STR("[\"rpc\",{\"method\":\"executeOperation\","
		    "\"payload\":{\"operationType\":\"");
	all[n++] = apw_str_c(type);
	all[n++] = APW_STR("\",\"operation\":");
	for (i = 0; i < nparts; i++)
		all[n++] = parts[i];
	all[n++] = l->dialect->commands ? APW_STR("}]") : APW_STR("}}]");
	return apw_sio_socket_emit(l->sock,
	    l->dialect->commands ? NULL : &l->operation_id, all, n, NULL, 0);
}

static bool
is_plain_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= '0' && *s <= '9') || *s == '_'))
			return false;
	return true;
}

int
apw_engine_link_execute(struct apw_engine_link *l, const char *type,
    const struct apw_str *parts, size_t nparts, struct apw_err *err)
{
	size_t	bytes = strlen(type) + 256, i;

	if (l->sock == NULL)
		return apw_err_set(err, ENOTCONN, "engine link");
	if (l->busy)
		return apw_err_set(err, EBUSY, "engine link");
	/* it ended with its last answer: another may have this one */
	if (apw_eio_session_hung_up(apw_sio_socket_session(l->sock)))
		return apw_err_set(err, EPIPE, "engine link");
	if (!is_plain_word(type) || nparts > APW_SIO_PARTS_MAX - 4)
		return apw_err_set(err, EINVAL, "engine link: operation");
	for (i = 0; i < nparts; i++)
		bytes += parts[i].n;
	if (bytes > l->conf.max_payload_bytes)
		return apw_err_set(err, EMSGSIZE, "engine link: operation of "
		    "%zu bytes", bytes);
	l->operation_id = l->next_id++;
	if (send_operation(l, type, parts, nparts) == -1)
		return apw_err_set(err, EPIPE, "engine link");
	l->busy = true;
	return 0;
}
