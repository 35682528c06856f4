/*
 * Engine link: how the generations of engines speak.  Room: link.
 * A table, so that a new generation is a line and not a branch.
 */
#include <string.h>

#include "core/apw_auto.h"
#include "link/engine_link_priv.h"

static const struct engine_dialect dialects[] = {
	[APW_ENGINE_DIALECT_A] = { .name = "A", .commands = true,
	    .form = { .old_names = true, .plain_payloads = true,
	    .plain_webhooks = true, .logs_url = true, .state = true,
	    .app_events = true } },
	[APW_ENGINE_DIALECT_B0] = { .name = "B0",
	    .form = { .plain_webhooks = true, .logs_url = true } },
	[APW_ENGINE_DIALECT_B1] = { .name = "B1", .token = true },
	[APW_ENGINE_DIALECT_B2] = { .name = "B2", .token = true,
	    .no_proxy = true },
	[APW_ENGINE_DIALECT_B3] = { .name = "B3", .token = true,
	    .no_proxy = true },
};

/* Commands of dialect A, and what the later ones call the same. */
static const struct engine_command commands[] = {
	{ "engine-stdout", ENGINE_COMMAND_OUTPUT, "stdout" },
	{ "engine-stderr", ENGINE_COMMAND_OUTPUT, "stderr" },
	{ "engine-response", ENGINE_COMMAND_RESULT, NULL },
	{ "upload-run-log", ENGINE_COMMAND_CALL, "uploadRunLog" },
	{ "update-run-progress", ENGINE_COMMAND_CALL, "updateRunProgress" },
	{ "update-step-progress", ENGINE_COMMAND_CALL, "updateStepProgress" },
	{ "send-flow-response", ENGINE_COMMAND_CALL, "sendFlowResponse" },
};

const struct engine_dialect *
engine_dialect_get(enum apw_engine_dialect d)
{
	return &dialects[d];
}

const struct apw_engine_form *
apw_engine_link_form(const struct apw_engine_link *l)
{
	return &l->dialect->form;
}

const struct engine_command *
engine_command_find(struct apw_str name)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(commands); i++)
		if (apw_str_is(name, commands[i].name))
			return &commands[i];
	return NULL;
}

bool
apw_engine_dialect_knows_proxy(enum apw_engine_dialect d)
{
	return !dialects[d].no_proxy;
}

const char *
apw_engine_dialect_name(enum apw_engine_dialect d)
{
	return dialects[d].name;
}

int
apw_engine_dialect_parse(const char *name, enum apw_engine_dialect *out)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(dialects); i++) {
		if (strcmp(dialects[i].name, name) == 0) {
			*out = (enum apw_engine_dialect)i;
			return 0;
		}
	}
	return -1;
}
