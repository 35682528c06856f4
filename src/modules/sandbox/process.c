/* SANDBOX_PROCESS: the engine in a box of namespaces.  This build has no
 * boxes: the mode is known by name and declines, so that a slot takes no job
 * it could not isolate.  Room: modules/sandbox. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/sandbox/sandbox.h"

static const char *const process_modes[] = { "SANDBOX_PROCESS", NULL };

static int
process_probe(const void *conf, struct apw_err *err)
{
	(void)conf;
	return apw_err_set(err, 0, "SANDBOX_PROCESS is not in this build yet: "
	    "configure SANDBOX_CODE_ONLY or UNSANDBOXED");
}

static int
process_boot(const void *conf, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	(void)spec;
	(void)child;
	return process_probe(conf, err);
}

static void
process_kill(const void *conf, const struct apw_child *child)
{
	(void)conf;
	(void)child;
}

static const struct apw_sandbox_ops process_ops = {
	.modes = process_modes,
	.packages = true,
	.probe = process_probe,
	.boot = process_boot,
	.kill = process_kill,
};

extern struct apw_module apw_sandbox_process_module;

struct apw_module apw_sandbox_process_module = {
	.name = "sandbox_process",
	.block = "SANDBOX_PROCESS",
	.help = "Each engine is isolated by the kernel; code steps may use "
	    "npm packages.",
	.kind = APW_MODULE_SANDBOX,
	.ops.sandbox = &process_ops,
};
