/* EXECUTE_TOKEN_REFRESH: a new token for a connection, from 0.86 on.  A
 * refresh that takes too long is told as skipped.  Room: modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/of_piece.h"
#include "modules/job/trigger.h"

static const char *const refresh_types[] = { "EXECUTE_TOKEN_REFRESH", NULL };

static const char *
refresh_operation(struct apw_job *job, struct apw_job_parts *p)
{
	connection_operation(job, p);
	return "EXECUTE_REFRESH_TOKEN_AUTH";
}

static const struct apw_job_ops refresh_ops = {
	.types = refresh_types,
	.family = APW_FAMILY_TOKEN_REFRESH,
	.fields = connection_table,
	.fields_size = sizeof(struct connection_fields),
	.provision = connection_provision,
	.operation = refresh_operation,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_token_refresh_module;

struct apw_module apw_job_token_refresh_module = {
	.name = "job_token_refresh",
	.kind = APW_MODULE_JOB,
	.ops.job = &refresh_ops,
};
