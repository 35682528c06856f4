/* What a reload changes: two cycles beside each other, directive by
 * directive.  Room: core.  Values are compared as they were given; secrets by
 * their bytes, so that a new token in the same file is seen. */
#include "core/apw_conf_priv.h"

#include <string.h>


static bool
same_args(const struct apw_conf_origin *a, const struct apw_conf_origin *b)
{
	size_t	i;

	if (a == NULL || b == NULL)
		return a == b;
	if (a->nargs != b->nargs)
		return false;
	for (i = 0; i < a->nargs; i++)
		if (strcmp(a->args[i], b->args[i]) != 0)
			return false;
	return true;
}

static const struct apw_conf_origin *
next_of(const struct apw_conf_origin *o, const struct apw_conf_context *context,
    const struct apw_directive *d)
{
	while (o != NULL && (o->context != context || o->directive != d))
		o = o->next;
	return o;
}

static bool
same_value(const struct apw_cycle *a, const struct apw_cycle *b, size_t context,
    const struct apw_directive *d)
{
	const struct apw_conf_context	*ca = &a->contexts[context];
	const struct apw_conf_context	*cb = &b->contexts[context];
	const struct apw_conf_origin	*x = next_of(a->origins, ca, d);
	const struct apw_conf_origin	*y = next_of(b->origins, cb, d);

	while (same_args(x, y)) {
		if (x == NULL)
			return true;
		x = next_of(x->next, ca, d);
		y = next_of(y->next, cb, d);
	}
	return false;
}

unsigned
apw_conf_restart_only(const struct apw_cycle *now,
    const struct apw_cycle *next, FILE *out)
{
	const struct apw_conf_context	*context;
	const struct apw_directive	*d;
	unsigned			 n = 0;
	size_t				 i;

	for (i = 0; i < next->ncontexts && i < now->ncontexts; i++) {
		context = &next->contexts[i];
		for (d = context->directives; d != NULL && d->name != NULL;
		    d++) {
			if (d->reload != APW_RESTART ||
			    (!context->in_use && !now->contexts[i].in_use) ||
			    same_value(now, next, i, d))
				continue;
			n++;
			fprintf(out, "\"%s\" in \"%s\" changed: it needs a "
			    "restart, the old value stays\n", d->name,
			    context->label);
		}
	}
	return n;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Who has to start anew when this directive changes? */
static unsigned
concerns(const struct apw_cycle *cycle, const struct apw_conf_context *context,
    const struct apw_directive *d)
{
	if (d->reload == APW_RESTART)
		return 0;
	if (context->conf == &cycle->monitor)
		return APW_CHANGES_MONITOR;
	if (context->conf != &cycle->main || d->reload != APW_NOW)
		return APW_CHANGES_SLOTS;
	if (strncmp(d->name, "log", 3) == 0)
		return APW_CHANGES_SLOTS | APW_CHANGES_MONITOR;
	return APW_CHANGES_MASTER;
}

unsigned
apw_conf_changes(const struct apw_cycle *now, const struct apw_cycle *next)
{
	const struct apw_conf_context	*a, *b;
	const struct apw_directive	*d;
	unsigned			 changes = 0;
	size_t				 i;

	if (now->ncontexts != next->ncontexts ||
	    now->source != next->source || now->sandbox != next->sandbox ||
	    !same_text(now->mode, next->mode) ||
	    !same_text(now->engine.node, next->engine.node) ||
	    !apw_conf_same_secrets(now, next))
		changes |= APW_CHANGES_SLOTS;
	for (i = 0; i < next->ncontexts && i < now->ncontexts; i++) {
		a = &now->contexts[i];
		b = &next->contexts[i];
		if (!a->in_use && !b->in_use)
			continue;
		for (d = b->directives; d != NULL && d->name != NULL; d++)
			if (a->in_use != b->in_use ||
			    !same_value(now, next, i, d))
				changes |= concerns(next, b, d);
	}
	return changes;
}
