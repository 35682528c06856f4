/* UNSANDBOXED: the engine is a plain child that may do what our user may;
 * code steps run in a process below it, with packages from the registry.
 * For trusted flows.  Room: modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/plain.h"

static const char *const unsandboxed_modes[] = { "UNSANDBOXED", NULL };

static int
unsandboxed_probe(const void *conf, struct apw_err *err)
{
	return apw_plain_probe(conf, unsandboxed_modes[0], err);
}

static const struct apw_directive unsandboxed_directives[] = {
	APW_PLAIN_DIRECTIVES("off")
};

static const struct apw_sandbox_ops unsandboxed_ops = {
	.modes = unsandboxed_modes,
	.packages = true,
	.probe = unsandboxed_probe,
	APW_PLAIN_OPS,
};

extern struct apw_module apw_sandbox_unsandboxed_module;

struct apw_module apw_sandbox_unsandboxed_module = {
	.name = "sandbox_unsandboxed",
	.block = "UNSANDBOXED",
	.help = "Engines are plain processes of the worker's user; code "
	    "steps run in a process below and may use npm packages. For "
	    "trusted flows.",
	.kind = APW_MODULE_SANDBOX,
	.directives = unsandboxed_directives,
	.conf_size = sizeof(struct apw_plain_conf),
	.ops.sandbox = &unsandboxed_ops,
};
