/* The network of a slot's engines, as one snapshot: the mode, what holds
 * engines to it on this host, and the rules of its proxy.  Room: slot.
 *
 * Environment, listeners and rules of an engine are made from the same
 * snapshot; another snapshot means another engine.  What nothing can hold
 * leads to no engine at all. */
#include "slot/slot_priv.h"

#include <stdio.h>

#include "core/apw_log.h"

/* The rules in force, as the status shows them. */
static void
network_score(struct apw_slot *s, const struct apw_engine_net *net)
{
	const struct apw_settings	*set = s->settings;
	struct apw_score_slot		*score = s->score;

	apw_score_begin(&score->seq);
	snprintf(score->network, sizeof(score->network), "%s",
	    apw_network_name(set->network));
	snprintf(score->network_from, sizeof(score->network_from), "%s",
	    set->network_from);
	snprintf(score->fence, sizeof(score->fence), "%s",
	    apw_fence_name(net->fence));
	snprintf(score->network_rules, sizeof(score->network_rules), "%s",
	    net->rules == NULL ? "" : apw_egress_rules_text(net->rules));
	apw_score_end(&score->seq);
}

static int
network_rules(struct apw_slot *s, struct apw_err *err)
{
	const struct apw_egress_rules_conf	conf = {
		.network = &s->cycle->network,
		.app_allow = &s->settings->ssrf_allow,
		.api_url = s->ops->internal_api_url(s->source),
		/* else the app or a spool's files on this host would be out of
		 * reach of engines that have a network of their own */
		.app_only = s->settings->network == APW_NETWORK_PRIVATE,
	};

	if (conf.app_only && conf.api_url == NULL)
		return 0;
	s->rules = apw_egress_rules_new(&conf, err);
	return s->rules == NULL ? -1 : 0;
}

/* What holds engines to it here? */
static int
network_fence(const struct apw_settings *set,
    const struct apw_sandbox_ops *ops, const void *conf,
    enum apw_fence *fence, struct apw_err *err)
{
	if (set->network == APW_NETWORK_UNRESTRICTED)
		return 0;
	if (ops->fence == NULL)
		return apw_err_set(err, 0, "nothing keeps engines of %s to it",
		    set->mode);
	return ops->fence(conf, set->network, fence, err);
}

int
slot_fit_network(struct apw_slot *s, const struct apw_sandbox_ops *ops,
    const void *conf, struct apw_engine_net *net, struct apw_err *err)
{
	const struct apw_settings	*set = s->settings;
	int				 rc;

	*net = (struct apw_engine_net){ .fence = APW_FENCE_NONE };
	apw_egress_rules_unref(s->rules);
	s->rules = NULL;
	rc = network_fence(set, ops, conf, &net->fence, err);
	if (rc == 0 && set->network != APW_NETWORK_UNRESTRICTED)
		rc = network_rules(s, err);
	net->rules = s->rules;
	network_score(s, net);
	return rc == 0 ? 0 : apw_err_wrap(err, "network %s (%s)",
	    apw_network_name(set->network), set->network_from);
}
