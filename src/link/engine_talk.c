/*
 * Engine link: what the admitted engine says.  Room: link.
 *
 * Everything in here is hostile: user code ran in the process at the other
 * end.  What is not understood is dropped with a line at debug level.
 */
#include <string.h>

#include "core/apw_log.h"
#include "link/engine_link_priv.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"

/* a console text larger than this gives its buffer back */
#define KEEP_BYTES	16384

static void
take_output(struct apw_engine_link *l, struct apw_str method,
    struct apw_str payload)
{
	struct apw_buf	text = l->scratch;
	int		fd;

	if (apw_str_is(method, "stdout"))
		fd = 1;
	else if (apw_str_is(method, "stderr"))
		fd = 2;
	else {
		apw_debug("unknown notification of the engine",
		    APW_SN("method", method));
		return;
	}
	apw_buf_reset(&text);
	if (apw_rpc_message(payload, &text) == -1)
		apw_debug("console notification without a text");
	else {
		/* the owner may free us: keep the buffer out of our hands */
		l->scratch = (struct apw_buf){ .max = text.max };
		l->ev.on_output(l->arg, fd, apw_buf_view(&text));
		if (l->dead || text.cap > KEEP_BYTES ||
		    l->scratch.data != NULL) {
			apw_buf_free(&text);
			return;
		}
	}
	l->scratch = text;
}

static void
take_result(struct apw_engine_link *l, struct apw_str response)
{
	l->busy = false;
	engine_call_settle(l);
	l->ev.on_result(l->arg, response);
}

void
engine_talk_ack(struct apw_engine_link *l, const struct apw_sio_packet *pkt)
{
	if (!l->busy || l->dialect->commands || pkt->id != l->operation_id) {
		apw_debug("unexpected acknowledgement of the engine",
		    APW_I("id", pkt->id));
		return;
	}
	take_result(l, apw_rpc_first(pkt->args));
}

/* Dialect A: everything is a "command". */
static void
take_command(struct apw_engine_link *l, const struct apw_sio_packet *pkt)
{
	const struct engine_command	*cmd;
	struct apw_str			 name, payload, ack = APW_STR("[]");

	if (apw_rpc_parse(pkt->args, "event", &name, &payload) == -1 ||
	    (cmd = engine_command_find(name)) == NULL) {
		apw_debug("unknown command of the engine");
		return;
	}
	switch (cmd->kind) {
	case ENGINE_COMMAND_OUTPUT:
		if (pkt->has_id)
			apw_sio_socket_ack(l->sock, pkt->id, &ack, 1, NULL,
			    0);
		take_output(l, apw_str_c(cmd->method), payload);
		break;
	case ENGINE_COMMAND_RESULT:
		/* it is repeated until acknowledged: only the first counts */
		if (pkt->has_id)
			apw_sio_socket_ack(l->sock, pkt->id, &ack, 1, NULL,
			    0);
		if (l->busy)
			take_result(l, payload);
		break;
	case ENGINE_COMMAND_CALL:
		if (l->busy && pkt->has_id)
			engine_call_begin(l, apw_str_c(cmd->method), payload,
			    pkt->id, pkt->data.n);
		break;
	}
}

void
engine_talk_event(struct apw_engine_link *l, const struct apw_sio_packet *pkt)
{
	struct apw_str	args = pkt->args, method, payload;

	if (apw_raw_equals(pkt->name, "rpc-notify")) {
		if (apw_rpc_parse(args, "method", &method, &payload) == 0)
			take_output(l, method, payload);
	} else if (apw_raw_equals(pkt->name, "rpc")) {
		if (!pkt->has_id)
			apw_debug("call of the engine without an id");
		else if (apw_rpc_parse(args, "method", &method, &payload) == -1)
			engine_call_refuse(l, pkt->id, "no such method");
		else
			engine_call_begin(l, method, payload, pkt->id,
			    pkt->data.n);
	} else if (l->dialect->commands &&
	    apw_raw_equals(pkt->name, "command"))
		take_command(l, pkt);
	else
		apw_debug("unknown event of the engine",
		    APW_SN("event", pkt->name));
}
