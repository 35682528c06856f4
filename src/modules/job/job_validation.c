/* EXECUTE_VALIDATION: does a connection work?  Somebody waits for the answer.
 * Room: modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/of_piece.h"
#include "modules/job/trigger.h"

static const char *const validation_types[] = { "EXECUTE_VALIDATION", NULL };

static const char *
validation_operation(struct apw_job *job, struct apw_job_parts *p)
{
	connection_operation(job, p);
	return "EXECUTE_VALIDATE_AUTH";
}

static const struct apw_job_ops validation_ops = {
	.types = validation_types,
	.family = APW_FAMILY_VALIDATION,
	.fields = connection_table,
	.fields_size = sizeof(struct connection_fields),
	.provision = connection_provision,
	.operation = validation_operation,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_validation_module;

struct apw_module apw_job_validation_module = {
	.name = "job_validation",
	.kind = APW_MODULE_JOB,
	.ops.job = &validation_ops,
};
