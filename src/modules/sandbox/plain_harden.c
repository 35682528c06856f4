/* Which rules a hardened plain child gets; see plain_harden.h.  Room:
 * modules/sandbox.  What an engine reads is in its command and environment:
 * nothing else is allowed. */
#include "modules/sandbox/plain_harden.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "modules/sandbox/box.h"

#define HARDEN_ALL	3	/* the grade with nothing missing */

const struct apw_enum apw_plain_hardens[] = {
	{ "on", APW_HARDEN_ON }, { "off", APW_HARDEN_OFF },
	{ "require", APW_HARDEN_REQUIRE }, { NULL, 0 }
};

int
apw_plain_probe(const void *conf, const char *mode, struct apw_err *err)
{
	static const char *const	missing[] = {
		"the syscall filter",
		"Landlock: kernel 5.13, with landlock in its option lsm=",
		"Landlock's scopes: kernel 6.12",
	};
	const struct apw_plain_conf	*c = conf;
	int				 grade;

	/* asked now, so that the slot can watch the broker */
	apw_box_host_ready();
	if (c->harden != APW_HARDEN_REQUIRE)
		return 0;
	grade = apw_harden_grade();
	return grade == HARDEN_ALL ? 0 : apw_err_set(err, 0, "%s with "
	    "\"harden require\" needs %s; \"harden on\" does without",
	    mode, missing[grade]);
}

int
apw_plain_fence(const void *conf, enum apw_network network,
    enum apw_fence *fence, struct apw_err *err)
{
	(void)conf;
	*fence = APW_FENCE_NETNS;
	if (apw_box_host_fence(network, err) == 0)
		return 0;
	if (network != APW_NETWORK_STRICT)
		return -1;
	*err = (struct apw_err)APW_ERR_NONE;
	*fence = APW_FENCE_PORTS;
	return apw_ports_probe(err);
}

static const char *
harden_env(const struct apw_box_spec *spec, const char *name)
{
	size_t	n = strlen(name), i;

	for (i = 0; spec->envp[i] != NULL; i++)
		if (strncmp(spec->envp[i], name, n) == 0 &&
		    spec->envp[i][n] == '=')
			return spec->envp[i] + n + 1;
	return NULL;
}

static int
harden_environment(const struct apw_box_spec *spec, struct plain_hard *h,
    const char *tmp, struct apw_err *err)
{
	size_t	i, n = 0;

	snprintf(h->tmpdir, sizeof(h->tmpdir), "TMPDIR=%s", tmp);
	for (i = 0; spec->envp[i] != NULL; i++) {
		if (strncmp(spec->envp[i], "TMPDIR=", 7) == 0)
			continue;
		if (n == PLAIN_ENV_MAX - 2)
			return apw_err_set(err, E2BIG, "an environment");
		h->envp[n++] = spec->envp[i];
	}
	h->envp[n++] = h->tmpdir;
	h->envp[n] = NULL;
	return 0;
}

int
plain_harden(const struct apw_plain_conf *conf,
    const struct apw_box_spec *spec, struct plain_hard *h,
    struct apw_err *err)
{
	const char		*reads[10], *writes[2] = { NULL, NULL };
	struct apw_harden_conf	 rules = { .reads = reads, .writes = writes };
	char			 node[PATH_MAX], bundle[PATH_MAX], *slash;
	const char		*value;
	size_t			 n = 0, i;

	h->on = conf->harden != APW_HARDEN_OFF;
	h->rules.ruleset_fd = -1;
	h->ports.ruleset_fd = -1;
	h->fenced = spec->fence == APW_FENCE_PORTS;
	if (h->fenced && apw_ports_prepare(spec->ports, &h->ports, err) == -1)
		return -1;
	if (!h->on)
		return 0;
	if ((writes[0] = apw_plain_tmp(spec->seat, err)) == NULL ||
	    harden_environment(spec, h, writes[0], err) == -1) {
		plain_harden_close(h);
		return -1;
	}
	if (realpath(spec->argv[0], node) != NULL)
		reads[n++] = node;
	for (i = 0; spec->argv[i + 1] != NULL; i++)
		;
	if (snprintf(bundle, sizeof(bundle), "%s", spec->argv[i]) < PATH_MAX &&
	    (slash = strrchr(bundle, '/')) != NULL && slash != bundle) {
		*slash = '\0';
		reads[n++] = bundle;
	}
	if ((value = harden_env(spec, "AP_BASE_CODE_DIRECTORY")) != NULL)
		reads[n++] = value;
	if ((value = harden_env(spec, "NODE_PATH")) != NULL)
		reads[n++] = value;
	if ((value = harden_env(spec, "NODE_EXTRA_CA_CERTS")) != NULL)
		reads[n++] = value;
	if ((value = harden_env(spec, "AP_DENO_PATH")) != NULL)
		reads[n++] = value;
	/* pieces under development are found from the working directory */
	if (harden_env(spec, "AP_DEV_PIECES") != NULL)
		reads[n++] = spec->cwd;
	reads[n] = NULL;
	if (apw_harden_prepare(&rules, &h->rules, err) == -1) {
		plain_harden_close(h);
		return -1;
	}
	return 0;
}

void
plain_harden_close(struct plain_hard *h)
{
	apw_ports_close(&h->ports);
	apw_harden_close(&h->rules);
}
