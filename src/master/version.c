/* -v and -V: what this binary is made of.  Room: master. */
#include "config.h"

#include <stdio.h>

#include <ares.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <wslay/wslay.h>

#include "core/apw_module.h"
#include "master/options.h"

void
apw_version_print(void)
{
	printf("apworkerd %s\n", PACKAGE_VERSION);
}

void
apw_version_build(void)
{
	const struct scmp_version *seccomp = seccomp_version();
	size_t	i;

	apw_version_print();
	printf("built with: %s\n", __VERSION__);
	printf("configure arguments: %s\n", APW_CONFIGURE_ARGS);
	printf("modules:");
	for (i = 0; apw_modules[i] != NULL; i++)
		printf(" %s", apw_modules[i]->name);
	printf("\nlibraries: libevent %s, c-ares %s, wslay %s, jansson %s, %s, "
	    "libseccomp %u.%u.%u, libcap-ng %s\n", event_get_version(),
	    ares_version(NULL), WSLAY_VERSION, jansson_version_str(), OpenSSL_version(0),
	    seccomp->major, seccomp->minor, seccomp->micro,
	    APW_CAPNG_VERSION);
}
