/* TLS for what we dial; see tls.h.  Room: dial. */
#include "dial/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_log.h"
#include "dial/url.h"

#define EXTRA_NAME	"NODE_EXTRA_CA_CERTS"

static int
tls_error(struct apw_err *err, const char *what)
{
	char	text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return apw_err_set(err, 0, "%s: %s", what, text);
}

int
apw_tls_trust(SSL_CTX *ctx, const char *ca_file, struct apw_err *err)
{
	if (apw_tls_file(ca_file, err) == -1)
		return apw_err_wrap(err, "%s", ca_file);
	ERR_clear_error();
	if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) == 1)
		return 0;
	ERR_clear_error();
	return apw_err_set(err, 0, "%s: it holds no certificates in PEM",
	    ca_file);
}

int
apw_tls_check(const char *ca_file, struct apw_err *err)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());
	int	 rc = ctx == NULL ? tls_error(err, "TLS") :
		    apw_tls_trust(ctx, ca_file, err);

	SSL_CTX_free(ctx);
	return rc;
}

int
apw_tls_extra(SSL_CTX *ctx, struct apw_err *err)
{
	const char	*file = getenv(EXTRA_NAME);

	if (file == NULL || file[0] == '\0')
		return 0;
	return apw_tls_trust(ctx, file, err) == -1 ? -1 : 1;
}

/* As Node has it: said, and gone on without. */
static void
trust_extra(SSL_CTX *ctx)
{
	static bool	said;
	struct apw_err	err = APW_ERR_NONE;

	if (apw_tls_extra(ctx, &err) != -1 || said)
		return;
	said = true;
	apw_warn(EXTRA_NAME " is ignored: its file is of no use", APW_E(&err));
}

SSL_CTX *
apw_tls_new(const char *ca_file, bool insecure, struct apw_err *err)
{
	SSL_CTX	*ctx = SSL_CTX_new(TLS_client_method());
	int	 rc = 0;

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
		rc = apw_tls_trust(ctx, ca_file, err);
	else if (SSL_CTX_set_default_verify_paths(ctx) != 1)
		rc = tls_error(err, "system CA store");
	else
		trust_extra(ctx);
	if (rc == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL *
apw_tls_session(SSL_CTX *ctx, const char *host, bool insecure)
{
	unsigned char	 address[sizeof(struct in6_addr)];
	char		 name[APW_HOST_SIZE];
	size_t		 n = strlen(host);
	bool		 numeric;
	SSL		*ssl;

	if (n > 1 && host[n - 1] == '.')	/* RFC 6066, 3 */
		n--;
	if (n >= sizeof(name) || (ssl = SSL_new(ctx)) == NULL)
		return NULL;
	memcpy(name, host, n);
	name[n] = '\0';
	numeric = inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1;
	/* SNI is for names only */
	if (!numeric && SSL_set_tlsext_host_name(ssl, name) != 1)
		goto fail;
	if (!insecure && (numeric ?
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) :
	    SSL_set1_host(ssl, name)) != 1)
		goto fail;
	return ssl;
fail:
	SSL_free(ssl);
	return NULL;
}

void
apw_tls_why(const SSL *ssl, unsigned long code, bool insecure, char *out,
    size_t size)
{
	long	verify = SSL_get_verify_result(ssl);

	if (verify != X509_V_OK && !insecure)
		snprintf(out, size, "certificate refused: %s",
		    X509_verify_cert_error_string(verify));
	else if (code != 0)
		snprintf(out, size, "TLS: %s", ERR_reason_error_string(code));
	else
		snprintf(out, size,
		    "TLS: connection closed during the handshake");
}
