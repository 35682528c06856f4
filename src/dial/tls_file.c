/* A file of authorities' certificates, looked at before it is trusted; see
 * tls.h.  Room: dial.  What OpenSSL says of a bad one ("no certificate
 * or crl found") helps nobody. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "dial/tls.h"

#define CA_BYTES	((size_t)16 << 20)

static int
ca_read(const char *path, struct apw_buf *text, struct apw_err *err)
{
	apw_autofd int	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	struct stat	st;
	ssize_t		n = 0;

	if (fd == -1 || fstat(fd, &st) == -1)
		return apw_err_set(err, 0, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return apw_err_set(err, 0, S_ISDIR(st.st_mode) ?
		    "it is a directory" : "it is not a file, and holds no "
		    "certificates");
	if (st.st_size == 0)
		return apw_err_set(err, 0, "it is empty");
	if ((uint64_t)st.st_size > CA_BYTES)
		return apw_err_set(err, 0, "it has more than %zu bytes",
		    CA_BYTES);
	if (apw_buf_reserve(text, (size_t)st.st_size) == -1)
		return apw_err_set(err, ENOMEM, "it cannot be read");
	while (text->len < (size_t)st.st_size && (n = read(fd, text->data +
	    text->len, (size_t)st.st_size - text->len)) > 0)
		text->len += (size_t)n;
	return n == -1 ? apw_err_set(err, errno, "it cannot be read") : 0;
}

/* How many certificates a PEM text has; -1: some of it is broken. */
static int
ca_count(const struct apw_buf *text)
{
	BIO			*bio = BIO_new_mem_buf(text->data,
				    (int)text->len);
	STACK_OF(X509_INFO)	*all;
	int			 i, n = 0;

	all = bio == NULL ? NULL : PEM_X509_INFO_read_bio(bio, NULL, NULL,
	    NULL);
	for (i = 0; all != NULL && i < sk_X509_INFO_num(all); i++)
		n += sk_X509_INFO_value(all, i)->x509 != NULL;
	n = all == NULL ? -1 : n;
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

int
apw_tls_file(const char *path, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(CA_BYTES + 1);
	int		rc = ca_read(path, &text, err), n;

	if (rc == 0 && (n = ca_count(&text)) < 1)
		rc = apw_err_set(err, 0, "%s", (unsigned char)text.data[0] ==
		    0x30 && text.len > 1 ? "it is DER, not PEM: \"openssl x509 "
		    "-inform der -in IT -out NEW.pem\" makes PEM of it" :
		    n == -1 ? "a certificate in it is broken" :
		    "it holds no certificates in PEM");
	apw_buf_free(&text);
	return rc;
}
