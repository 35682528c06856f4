/* RPC envelopes as raw text; see apw_rpc.h.  Room: proto. */
#include "proto/apw_rpc.h"

#include <string.h>

#include "proto/apw_raw.h"

#define METHOD_MAX	64

int
apw_rpc_parse(struct apw_str arg, const char *method_key,
    struct apw_str *method, struct apw_str *payload)
{
	struct apw_raw_iter	it;
	struct apw_str		key, value;
	size_t			i;
	int			r;

	/* one walk for both: the payload may be large */
	*method = (struct apw_str){ "", 0 };
	*payload = APW_STR("null");
	if (apw_raw_type(arg) != APW_RAW_OBJECT ||
	    apw_raw_iter(&it, arg) == -1)
		return -1;
	while ((r = apw_raw_next(&it, &key, &value)) == 1) {
		if (apw_raw_equals(key, method_key))
			*method = value;
		else if (apw_raw_equals(key, "payload"))
			*payload = value;
	}
	if (r == -1 || method->n < 3 || method->n > METHOD_MAX + 2 ||
	    method->p[0] != '"')
		return -1;
	method->p++;
	method->n -= 2;
	for (i = 0; i < method->n; i++)
		if (method->p[i] <= ' ' || method->p[i] > '~' ||
		    method->p[i] == '\\' || method->p[i] == '"')
			return -1;
	return 0;
}

int
apw_rpc_message(struct apw_str payload, struct apw_buf *out)
{
	struct apw_str	text;

	if (apw_raw_member(payload, "message", &text) != 1 ||
	    apw_raw_type(text) != APW_RAW_STRING)
		return -1;
	return apw_raw_decode(out, text);
}

int
apw_rpc_error(struct apw_str reply, struct apw_buf *out)
{
	struct apw_str	text;

	if (apw_raw_type(reply) != APW_RAW_OBJECT ||
	    apw_raw_member(reply, "__rpcError", &text) != 1)
		return 0;
	if (apw_raw_type(text) == APW_RAW_STRING)
		apw_raw_decode(out, text);
	else
		apw_buf_str(out, text);
	return 1;
}

int
apw_rpc_error_put(struct apw_buf *out, const char *text)
{
	apw_buf_puts(out, "{\"__rpcError\":");
	apw_raw_quote(out, apw_str_c(text));
	apw_buf_puts(out, "}");
	return out->failed ? -1 : 0;
}

struct apw_str
apw_rpc_first(struct apw_str args)
{
	struct apw_raw_iter	it = { .p = args.p, .end = args.p + args.n,
	    .closer = ']', .first = true };
	struct apw_str		v;

	if (args.n == 0 || apw_raw_next(&it, NULL, &v) != 1)
		return APW_STR("null");
	return v;
}
