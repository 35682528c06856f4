/* SANDBOX_CODE_AND_PROCESS: the engine in a box of namespaces, code steps in
 * V8 isolates inside it.  Room: modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/box.h"

static const char *const code_and_process_modes[] = {
	"SANDBOX_CODE_AND_PROCESS", NULL
};

static int
code_and_process_probe(const void *conf, struct apw_err *err)
{
	return apw_box_probe(conf, code_and_process_modes[0], err);
}

static int
code_and_process_boot(const void *conf, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	return apw_box_boot(conf, true, spec, child, err);
}

static const struct apw_sandbox_ops code_and_process_ops = {
	.modes = code_and_process_modes,
	.isolates_v8 = true,
	.probe = code_and_process_probe,
	.boot = code_and_process_boot,
	APW_BOX_OPS,
};

extern struct apw_module apw_sandbox_code_and_process_module;

struct apw_module apw_sandbox_code_and_process_module = {
	.name = "sandbox_code_and_process",
	.block = "SANDBOX_CODE_AND_PROCESS",
	.help = "Each engine is isolated by the kernel, and code steps run "
	    "in V8 isolates.",
	.kind = APW_MODULE_SANDBOX,
	.directives = apw_box_directives,
	.conf_size = sizeof(struct apw_box_conf),
	.ops.sandbox = &code_and_process_ops,
};
