/* TLS client contexts; see link_dial.h.  Room: link. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "link/link_dial.h"

static int
tls_error(struct apw_err *err, const char *what)
{
	char	text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return apw_err_set(err, 0, "%s: %s", what, text);
}

SSL_CTX *
apw_link_tls_new(const char *ca_file, bool insecure, struct apw_err *err)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());
	int	 ok;

	if (ctx == NULL) {
		tls_error(err, "TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* a write shall never have to wait for something to read */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(ctx, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
	    NULL);
	if (ca_file != NULL)
		ok = SSL_CTX_load_verify_locations(ctx, ca_file, NULL);
	else
		ok = SSL_CTX_set_default_verify_paths(ctx);
	if (ok != 1) {
		tls_error(err, ca_file != NULL ? ca_file : "system CA store");
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}
