/* SHA-256 of parts and of files, in hex.  Room: stock. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

static void
hex(const unsigned char *digest, char out[STOCK_HASH_SIZE])
{
	static const char	digits[] = "0123456789abcdef";
	size_t			i;

	for (i = 0; i < 32; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[64] = '\0';
}

int
stock_hash(char out[STOCK_HASH_SIZE], const struct apw_str *parts, size_t n)
{
	unsigned char	 digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	uint64_t	 len;
	size_t		 i;
	int		 ok;

	out[0] = '\0';
	ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (i = 0; ok && i < n; i++) {
		len = parts[i].n;
		ok = EVP_DigestUpdate(ctx, &len, sizeof(len)) &&
		    EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
	}
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -1;
	hex(digest, out);
	return 0;
}

int
stock_hash_file(int fd, char out[STOCK_HASH_SIZE], struct apw_err *err)
{
	static char	 block[65536];
	unsigned char	 digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX	*ctx = EVP_MD_CTX_new();
	off_t		 at = 0;
	ssize_t		 n = -1;
	int		 ok;

	ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	while (ok && (n = pread(fd, block, sizeof(block), at)) > 0) {
		ok = EVP_DigestUpdate(ctx, block, n);
		at += n;
	}
	if (n == -1)
		apw_err_set(err, errno, "cannot read");
	ok = ok && n == 0 && EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return n == -1 ? -1 : apw_err_set(err, 0, "cannot hash");
	hex(digest, out);
	return 0;
}
