/* SANDBOX_CODE_ONLY: the engine is a plain child; it runs code steps in V8
 * isolates of its own, without packages.  Room: modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/plain.h"

static const char *const code_only_modes[] = { "SANDBOX_CODE_ONLY", NULL };

static int
code_only_probe(const void *conf, struct apw_err *err)
{
	return apw_plain_probe(conf, code_only_modes[0], err);
}

static const struct apw_directive code_only_directives[] = {
	APW_PLAIN_DIRECTIVES("on")
};

static const struct apw_sandbox_ops code_only_ops = {
	.modes = code_only_modes,
	.isolates_v8 = true,
	.probe = code_only_probe,
	APW_PLAIN_OPS,
};

extern struct apw_module apw_sandbox_code_only_module;

struct apw_module apw_sandbox_code_only_module = {
	.name = "sandbox_code_only",
	.block = "SANDBOX_CODE_ONLY",
	.help = "Engines are plain processes; code steps run in V8 isolates "
	    "and cannot use npm packages.",
	.kind = APW_MODULE_SANDBOX,
	.directives = code_only_directives,
	.conf_size = sizeof(struct apw_plain_conf),
	.ops.sandbox = &code_only_ops,
};
