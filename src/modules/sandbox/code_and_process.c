/* SANDBOX_CODE_AND_PROCESS: the engine in a box of namespaces, code steps in
 * V8 isolates inside it.  This build has no boxes: the mode is known by name
 * and declines, so that a slot takes no job it could not isolate.  Room:
 * modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/sandbox.h"

static const char *const code_and_process_modes[] = {
	"SANDBOX_CODE_AND_PROCESS", NULL
};

static int
code_and_process_probe(const void *conf, struct apw_err *err)
{
	(void)conf;
	return apw_err_set(err, 0, "SANDBOX_CODE_AND_PROCESS is not in this "
	    "build yet: configure SANDBOX_CODE_ONLY or UNSANDBOXED");
}

static int
code_and_process_boot(const void *conf, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	(void)spec;
	(void)child;
	return code_and_process_probe(conf, err);
}

static void
code_and_process_kill(const void *conf, const struct apw_child *child)
{
	(void)conf;
	(void)child;
}

static const struct apw_sandbox_ops code_and_process_ops = {
	.modes = code_and_process_modes,
	.packages = true,
	.isolates_v8 = true,
	.probe = code_and_process_probe,
	.boot = code_and_process_boot,
	.kill = code_and_process_kill,
};

extern struct apw_module apw_sandbox_code_and_process_module;

struct apw_module apw_sandbox_code_and_process_module = {
	.name = "sandbox_code_and_process",
	.block = "SANDBOX_CODE_AND_PROCESS",
	.help = "Each engine is isolated by the kernel, and code steps run "
	    "in V8 isolates.",
	.kind = APW_MODULE_SANDBOX,
	.ops.sandbox = &code_and_process_ops,
};
