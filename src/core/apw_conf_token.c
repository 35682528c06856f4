/* A worker token made from the app's AP_JWT_SECRET, as the entry point of the
 * app's image makes one when there is no AP_WORKER_TOKEN.  Room: core.
 *
 * It is made once in the life of a daemon: a reload that found another one
 * would take it for a change, and an upgrade hands it over. */
#include "core/apw_conf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TOKEN_LIFE_S	INT64_C(3155760000)	/* a hundred years */
#define TOKEN_MAX	1024

/* "." goes before all but the first; the alphabet of URLs, no padding. */
static void
token_part(char *token, const unsigned char *p, size_t n)
{
	char	*at = token + strlen(token), *c;

	if (at != token)
		*at++ = '.';
	EVP_EncodeBlock((unsigned char *)at, p, (int)n);
	for (c = at; *c != '\0'; c++)
		if (*c == '+')
			*c = '-';
		else if (*c == '/')
			*c = '_';
		else if (*c == '=')
			*c = '\0';
}

static int
token_claims(char *claims, size_t size)
{
	unsigned char	r[16];
	long long	now = (long long)time(NULL);

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -1;
	r[6] = (r[6] & 0x0f) | 0x40;	/* a UUID of random bits */
	r[8] = (r[8] & 0x3f) | 0x80;
	snprintf(claims, size, "{\"id\":\"%02x%02x%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x-%02x%02x%02x%02x%02x%02x\",\"type\":\"WORKER\","
	    "\"iat\":%lld,\"exp\":%lld,\"iss\":\"activepieces\"}", r[0], r[1],
	    r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11],
	    r[12], r[13], r[14], r[15], now, now + TOKEN_LIFE_S);
	return 0;
}

static int
token_make(const char *secret, char token[TOKEN_MAX])
{
	static const char	head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\","
	    "\"kid\":\"1\"}";
	unsigned char		sign[EVP_MAX_MD_SIZE];
	unsigned		n;
	char			claims[256];

	if (token_claims(claims, sizeof(claims)) == -1)
		return -1;
	token[0] = '\0';
	token_part(token, (const unsigned char *)head, strlen(head));
	token_part(token, (const unsigned char *)claims, strlen(claims));
	if (HMAC(EVP_sha256(), secret, (int)strlen(secret),
	    (const unsigned char *)token, strlen(token), sign, &n) == NULL)
		return -1;
	token_part(token, sign, n);
	return 0;
}

const char *
apw_conf_env_token(void)
{
	const char	*secret = apw_conf_env_secret("AP_JWT_SECRET");
	char		 token[TOKEN_MAX];
	int		 rc;

	if (secret == NULL || strlen(secret) > APW_CONF_SECRET_MAX ||
	    token_make(secret, token) == -1)
		return NULL;
	/* from here on as if it had been given */
	rc = setenv("AP_WORKER_TOKEN", token, 1);
	explicit_bzero(token, sizeof(token));
	return rc == -1 ? NULL : apw_conf_env_secret("AP_WORKER_TOKEN");
}
