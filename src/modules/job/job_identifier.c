/* EXECUTE_RESOLVE_CONNECTION_IDENTIFIER: whose connection is it?  From 0.87 on,
 * after each new connection.  An answer that does not come in time is none.
 * Room: modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/of_piece.h"
#include "modules/job/trigger.h"

#define AT(member)	offsetof(struct connection_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field identifier_table[] = {
	MUST("platformId", STRING, platform_id),
	MUST("piece", OBJECT, piece),
	MUST("connectionValue", OBJECT, value),
	MUST("connectionType", STRING, type),
	MAY("projectId", STRING, project_id),
	{ NULL }
};

static const char *const identifier_types[] = {
	"EXECUTE_RESOLVE_CONNECTION_IDENTIFIER", NULL };

static const char *
identifier_operation(struct apw_job *job, struct apw_job_parts *p)
{
	connection_operation(job, p);
	return "EXECUTE_RESOLVE_CONNECTION_IDENTIFIER";
}

static const struct apw_job_ops identifier_ops = {
	.types = identifier_types,
	.family = APW_FAMILY_IDENTIFIER,
	.fields = identifier_table,
	.fields_size = sizeof(struct connection_fields),
	.provision = connection_provision,
	.operation = identifier_operation,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_identifier_module;

struct apw_module apw_job_identifier_module = {
	.name = "job_identifier",
	.kind = APW_MODULE_JOB,
	.ops.job = &identifier_ops,
};
