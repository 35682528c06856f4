/*
 * A WebSocket on TLS: what stands in for recv(2) and send(2).  Room: link.
 *
 * libevent's bufferevent shakes hands and asks for the upgrade.  From then on
 * it would cost six more system calls a message, and a record for each piece
 * of one: the session is taken from it.
 *
 * Must never leave bytes that have been decrypted, or could be, to an event
 * that nobody will see.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "link/link_ws_priv.h"

/* what one record holds at most */
#define RECORD_BYTES	16384

/* --- the socket, as OpenSSL sees it --- */

static int
bio_write(BIO *bio, const char *p, int n)
{
	struct apw_link_ws	*ws = BIO_get_data(bio);
	ssize_t			 r;

	BIO_clear_retry_flags(bio);
	if (ws == NULL)
		return -1;
	r = send(ws->fd, p, (size_t)n, MSG_NOSIGNAL);
	if (r == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)r;
}

static int
bio_read(BIO *bio, char *p, int n)
{
	struct apw_link_ws	*ws = BIO_get_data(bio);
	ssize_t			 r;

	BIO_clear_retry_flags(bio);
	if (ws == NULL)
		return -1;
	r = recv(ws->fd, p, (size_t)n, 0);
	if (r == -1 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	else if (r == 0)
		ws->tls_ended = true;
	return (int)r;
}

static long
bio_ctrl(BIO *bio, int cmd, long n, void *p)
{
	(void)bio;
	(void)n;
	(void)p;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_C_GET_FD:
		return -1;	/* the bufferevent would close it */
	default:
		return 0;
	}
}

static BIO *
bio_new(struct apw_link_ws *ws)
{
	static BIO_METHOD	*method;
	BIO			*bio;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() |
		    BIO_TYPE_SOURCE_SINK, "websocket");
		if (method == NULL)
			return NULL;
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	bio = BIO_new(method);
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, ws);
	BIO_set_init(bio, 1);
	return bio;
}

/* --- the session --- */

int
link_ws_tls_take(struct apw_link_ws *ws, SSL *ssl)
{
	BIO	*bio = bio_new(ws);

	if (bio == NULL || SSL_up_ref(ssl) != 1) {
		BIO_free(bio);
		return -1;
	}
	/* for reading and writing; the bufferevent's own goes */
	SSL_set_bio(ssl, bio, bio);
	/* head and body of a record by one call; two buffers of a record each
	 * are kept for it */
	SSL_set_read_ahead(ssl, 1);
	SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	ws->ssl = ssl;
	return 0;
}

void
link_ws_tls_free(struct apw_link_ws *ws)
{
	/* the bufferevent may hold it a turn of the loop longer */
	BIO_set_data(SSL_get_rbio(ws->ssl), NULL);
	SSL_free(ws->ssl);
	ws->ssl = NULL;
}

bool
link_ws_tls_pending(const struct apw_link_ws *ws)
{
	return SSL_has_pending(ws->ssl) == 1;
}

/* After a call that did not succeed: what recv(2) and send(2) would say. */
static ssize_t
tls_result(struct apw_link_ws *ws, int r)
{
	switch (SSL_get_error(ws->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		if (ws->tls_ended)
			return 0;	/* without a farewell, as many do */
		errno = EPROTO;
		return -1;
	}
}

ssize_t
link_ws_tls_read(struct apw_link_ws *ws, char *to, size_t n)
{
	size_t	got = 0;
	ssize_t	r;
	int	one;

	ws->tls_answers = false;
	while (got < n && (got == 0 || SSL_has_pending(ws->ssl) == 1)) {
		ERR_clear_error();
		one = SSL_read(ws->ssl, to + got, (int)(n - got));
		if (one > 0) {
			got += (size_t)one;
			continue;
		}
		r = tls_result(ws, one);
		if (r == -1 && SSL_want_write(ws->ssl)) {
			/* a fresh key was asked for; see io_on_write() */
			ws->tls_answers = true;
			event_add(ws->wr, NULL);
		}
		if (got == 0)
			return r;
		/* what was read counts first, and no event may follow */
		if (r == 0 || errno != EAGAIN)
			event_active(ws->rd, EV_READ, 0);
		break;
	}
	return (ssize_t)got;
}

ssize_t
link_ws_tls_write(struct apw_link_ws *ws, const void *p, size_t n)
{
	int	r;

	if (n > RECORD_BYTES)
		n = RECORD_BYTES;
	ERR_clear_error();
	r = SSL_write(ws->ssl, p, (int)n);
	if (r > 0) {
		ws->tls_stuck = 0;
		return r;
	}
	/* its record is made: the same bytes must come again */
	ws->tls_stuck = n;
	if (tls_result(ws, r) == 0)
		errno = EPIPE;
	return -1;
}

ssize_t
link_ws_tls_write_out(struct apw_link_ws *ws)
{
	struct evbuffer_iovec	piece;
	ssize_t			r;

	if (evbuffer_peek(ws->out, -1, NULL, &piece, 1) < 1)
		return 0;
	if (piece.iov_len < ws->tls_stuck) {
		piece.iov_base = evbuffer_pullup(ws->out,
		    (ev_ssize_t)ws->tls_stuck);
		piece.iov_len = ws->tls_stuck;
		if (piece.iov_base == NULL) {
			errno = ENOMEM;
			return -1;
		}
	}
	r = link_ws_tls_write(ws, piece.iov_base, piece.iov_len);
	if (r > 0)
		evbuffer_drain(ws->out, (size_t)r);
	return r;
}
