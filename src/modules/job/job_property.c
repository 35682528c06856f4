/* EXECUTE_PROPERTY: options of a property that a piece computes, for somebody
 * in the builder who waits.  Room: modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/of_piece.h"
#include "modules/job/trigger.h"

struct property_fields {		/* raw; empty when absent or null */
	struct apw_str	project_id, platform_id, flow_version, piece;
	struct apw_str	property_name, action_name, input, sample_data;
	struct apw_str	search_value;
};

#define AT(member)	offsetof(struct property_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field property_table[] = {
	MUST("projectId", STRING, project_id),
	MUST("platformId", STRING, platform_id),
	MUST("piece", OBJECT, piece),
	MUST("propertyName", STRING, property_name),
	MUST("actionOrTriggerName", STRING, action_name),
	MUST("input", OBJECT, input),
	MAY("flowVersion", OBJECT, flow_version),
	MAY("sampleData", OBJECT, sample_data),
	MAY("searchValue", ANY, search_value),
	{ NULL }
};

static const char *const property_types[] = { "EXECUTE_PROPERTY", NULL };

static int
property_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct property_fields	*f = apw_job_fields(job);

	return of_piece_ids(job, f->platform_id, f->project_id, f->piece, ids,
	    err);
}

static const char *
property_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct property_fields	*f = apw_job_fields(job);

	apw_parts_lit(p, "{\"piece\":");
	apw_parts_raw(p, apw_job_package(job));
	apw_parts_member(p, "\"propertyName\"", f->property_name);
	apw_parts_member(p, "\"actionOrTriggerName\"", f->action_name);
	apw_parts_member(p, "\"flowVersion\"", f->flow_version);
	apw_parts_member(p, "\"input\"", f->input);
	apw_parts_member(p, "\"sampleData\"", f->sample_data);
	apw_parts_member(p, "\"searchValue\"", f->search_value);
	apw_parts_member(p, "\"projectId\"", f->project_id);
	apw_parts_member(p, "\"platformId\"", f->platform_id);
	apw_job_base(job, p);
	apw_parts_lit(p, "}");
	return "EXECUTE_PROPERTY";
}

static const struct apw_job_ops property_ops = {
	.types = property_types,
	.family = APW_FAMILY_PROPERTY,
	.fields = property_table,
	.fields_size = sizeof(struct property_fields),
	.provision = property_provision,
	.operation = property_operation,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_property_module;

struct apw_module apw_job_property_module = {
	.name = "job_property",
	.kind = APW_MODULE_JOB,
	.ops.job = &property_ops,
};
