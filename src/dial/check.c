/* The ways out, for `apworkerd -t`; see check.h.  Room: dial, in the master's
 * test.  Nothing is asked of anybody. */
#include "dial/check.h"

#include <string.h>

#include "dial/proxy_env.h"
#include "dial/tls.h"
#include "dial/upstream.h"

static void
check_upstream(const struct apw_cycle *c, FILE *out)
{
	const char		*url = c->network.upstream, *name = NULL;
	struct apw_upstream	 up;
	struct apw_err		 err = APW_ERR_NONE;
	int			 rc;

	if (url == NULL || strcmp(url, "off") == 0)
		return;
	if (strcmp(url, "auto") == 0)
		url = apw_proxy_env(true, "public.invalid", 443, &name);
	if (url == NULL)
		return;
	rc = apw_upstream_read(&up, url, &err);
	explicit_bzero(&up, sizeof(up));
	if (rc == -1)
		fprintf(out, "apworkerd: warning: %s names no proxy that can "
		    "be used (%s); expected http://HOST:PORT or "
		    "https://HOST:PORT, or \"upstream off;\" in \"network\"; "
		    "flows under strict, events and bundles get nowhere\n",
		    name != NULL ? name : "\"upstream\"", err.text);
}

static void
check_extra(FILE *out)
{
	struct apw_err	 err = APW_ERR_NONE;
	SSL_CTX		*ctx = SSL_CTX_new(TLS_client_method());

	if (ctx != NULL && apw_tls_extra(ctx, &err) == -1)
		fprintf(out, "apworkerd: warning: NODE_EXTRA_CA_CERTS is "
		    "ignored: %s\n", err.text);
	SSL_CTX_free(ctx);
}

void
apw_dial_check(const struct apw_cycle *c, FILE *out)
{
	check_upstream(c, out);
	check_extra(out);
}
