/* TLS for what we dial: contexts and sessions.  Room: dial. */
#ifndef APW_DIAL_TLS_H
#define APW_DIAL_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "core/apw_err.h"

/*
 * A client context: TLS 1.2 or later, peers verified against ca_file, or else
 * (NULL) against the system's store and the certificates of
 * NODE_EXTRA_CA_CERTS.  NULL and err set when the file is of no use; a
 * NODE_EXTRA_CA_CERTS that is of no use is a warning in the log, once.
 */
SSL_CTX	*apw_tls_new(const char *ca_file, bool insecure, struct apw_err *);

/* Is this a file of certificates (PEM) that this process can read?  -1: err
 * says what it is instead, without its name. */
int	apw_tls_file(const char *ca_file, struct apw_err *);

/* Trust the certificates (PEM) of this file, too.  -1: there are none; err says
 * why, as "FILE: why". */
int	apw_tls_trust(SSL_CTX *, const char *ca_file, struct apw_err *);

/* The same of a file alone, for who wants to know before it is needed. */
int	apw_tls_check(const char *ca_file, struct apw_err *);

/* The extra certificates that the environment names: 1: they are good; 0: none
 * are named; -1: the file is of no use, err says why. */
int	apw_tls_extra(SSL_CTX *, struct apw_err *);

/* A session with host, which has to prove its name or address (but insecure).
 * The root's dot at the end of a name is no part of it here.  NULL: out of
 * memory, or no host name. */
SSL	*apw_tls_session(SSL_CTX *, const char *host, bool insecure);

/* What went wrong in a handshake, as text. */
void	 apw_tls_why(const SSL *, unsigned long code, bool insecure, char *out,
	    size_t size);

#endif
