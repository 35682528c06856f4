/* SANDBOX_PROCESS: the engine in a box of namespaces; code steps run in a
 * process below it, in the same box, and may use npm packages.  Room:
 * modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/box.h"

static const char *const process_modes[] = {
	"SANDBOX_PROCESS", NULL
};

static int
process_probe(const void *conf, struct apw_err *err)
{
	return apw_box_probe(conf, process_modes[0], err);
}

static int
process_boot(const void *conf, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	return apw_box_boot(conf, false, spec, child, err);
}

static const struct apw_sandbox_ops process_ops = {
	.modes = process_modes,
	.probe = process_probe,
	.boot = process_boot,
	APW_BOX_OPS,
};

extern struct apw_module apw_sandbox_process_module;

struct apw_module apw_sandbox_process_module = {
	.name = "sandbox_process",
	.block = "SANDBOX_PROCESS",
	.help = "Each engine is isolated by the kernel; code steps may use "
	    "npm packages.",
	.kind = APW_MODULE_SANDBOX,
	.directives = apw_box_directives,
	.conf_size = sizeof(struct apw_box_conf),
	.ops.sandbox = &process_ops,
};
