/*
 * Socket.IO protocol 5: packets; see apw_sio.h.  Room: proto.
 *
 * Must never let a packet pass that the reference parser would refuse: the
 * rooms above trust name, args and id.
 */
#include "config.h"

#include "proto/apw_sio.h"

#include <string.h>

#include "proto/apw_raw.h"

#define ID_MAX	((UINT64_C(1) << 53) - 1)

static const char *const type_names[] = {
	"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR",
	"BINARY_EVENT", "BINARY_ACK"
};

const char *
apw_sio_type_name(enum apw_sio_type type)
{
	return type_names[type];
}

/*
 * Names an event must not have: the client library gives them a meaning of
 * its own, so a peer could fake its state.
 */
static bool
is_reserved(struct apw_str name)
{
	static const char *const	reserved[] = { "connect",
	    "connect_error", "disconnect", "disconnecting", "newListener",
	    "removeListener" };
	size_t				i;

	/* escapes only make a literal longer */
	if (name.n < sizeof("\"connect\"") - 1)
		return false;
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (apw_raw_equals(name, reserved[i]))
			return true;
	return false;
}

/* Digits at *p into *v, 16 at most; number of digits, -1 for too many. */
static int
take_digits(const char **p, const char *end, uint64_t *v)
{
	int	n = 0;

	for (*v = 0; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		if (++n > 16)
			return -1;
		*v = *v * 10 + (uint64_t)(**p - '0');
	}
	return n;
}

static int
take_attachments(const char **p, const char *end, struct apw_sio_packet *pkt,
    struct apw_err *err)
{
	uint64_t	n;
	int		digits;

	digits = take_digits(p, end, &n);
	if (digits < 1 || *p == end || **p != '-')
		return apw_err_set(err, 0, "%s without a number of "
		    "attachments", type_names[pkt->type]);
	if (n < 1 || n > APW_SIO_ATTACHMENTS_MAX)
		return apw_err_set(err, 0, "%s with %llu attachments",
		    type_names[pkt->type], (unsigned long long)n);
	pkt->attachments = (unsigned)n;
	(*p)++;
	return 0;
}

static void
take_namespace(const char **p, const char *end, struct apw_sio_packet *pkt)
{
	const char	*at, *query;

	pkt->nsp = APW_STR("/");
	if (*p == end || **p != '/')
		return;
	at = memchr(*p, ',', end - *p);
	pkt->nsp = (struct apw_str){ *p, (at == NULL ? end : at) - *p };
	*p = at == NULL ? end : at + 1;
	query = memchr(pkt->nsp.p, '?', pkt->nsp.n);
	if (query != NULL)
		pkt->nsp.n = query - pkt->nsp.p;
}

/* Split the array of an event or ack into name and args. */
static int
split_array(struct apw_sio_packet *pkt, bool event, struct apw_err *err)
{
	struct apw_raw_iter	 it;
	struct apw_str		 name, inside;
	enum apw_raw_type	 type;
	const char		*end;

	inside = (struct apw_str){ pkt->data.p + 1, pkt->data.n - 2 };
	if (!event) {
		pkt->args = apw_raw_trim(inside);
		return 0;
	}
	if (apw_raw_iter(&it, pkt->data) == -1 ||
	    apw_raw_next(&it, NULL, &name) != 1)
		return apw_err_set(err, 0, "event without a name");
	type = apw_raw_type(name);
	if (type != APW_RAW_STRING && type != APW_RAW_NUMBER)
		return apw_err_set(err, 0, "event name is not a string");
	if (type == APW_RAW_STRING && is_reserved(name))
		return apw_err_set(err, 0, "event name is reserved");
	pkt->name = name;
	end = inside.p + inside.n;
	inside.p = name.p + name.n;
	inside.n = end - inside.p;
	inside = apw_raw_trim(inside);
	if (inside.n > 0) {		/* the comma behind the name */
		inside.p++;
		inside.n--;
	}
	pkt->args = apw_raw_trim(inside);
	return 0;
}

static int
check_data(struct apw_sio_packet *pkt, struct apw_err *err)
{
	enum apw_raw_type	type = APW_RAW_BAD;

	if (pkt->data.n > 0) {
		if (apw_raw_check(pkt->data, 0) == -1)
			return apw_err_set(err, 0, "%s with broken JSON",
			    type_names[pkt->type]);
		type = apw_raw_type(pkt->data);
	}
	switch (pkt->type) {
	case APW_SIO_CONNECT:
		if (pkt->data.n == 0 || type == APW_RAW_OBJECT)
			return 0;
		break;
	case APW_SIO_DISCONNECT:
		if (pkt->data.n == 0)
			return 0;
		break;
	case APW_SIO_CONNECT_ERROR:
		if (type == APW_RAW_OBJECT || type == APW_RAW_STRING)
			return 0;
		break;
	case APW_SIO_EVENT:
	case APW_SIO_BINARY_EVENT:
		if (type == APW_RAW_ARRAY)
			return split_array(pkt, true, err);
		break;
	case APW_SIO_ACK:
	case APW_SIO_BINARY_ACK:
		if (type == APW_RAW_ARRAY)
			return split_array(pkt, false, err);
		break;
	}
	return apw_err_set(err, 0, "%s with a wrong payload",
	    type_names[pkt->type]);
}

int
apw_sio_parse(struct apw_str text, struct apw_sio_packet *pkt,
    struct apw_err *err)
{
	const char	*p = text.p, *end = text.p + text.n;
	int		 digits;

	*pkt = (struct apw_sio_packet){ .name = { "", 0 }, .args = { "", 0 } };
	if (text.n == 0 || *p < '0' || *p > '6')
		return apw_err_set(err, 0, "unknown packet type");
	pkt->type = (enum apw_sio_type)(*p++ - '0');
	if ((pkt->type == APW_SIO_BINARY_EVENT ||
	    pkt->type == APW_SIO_BINARY_ACK) &&
	    take_attachments(&p, end, pkt, err) == -1)
		return -1;
	take_namespace(&p, end, pkt);
	digits = take_digits(&p, end, &pkt->id);
	if (digits == -1 || pkt->id > ID_MAX)
		return apw_err_set(err, 0, "acknowledgement id too large");
	pkt->has_id = digits > 0;
	if (pkt->has_id && (pkt->type == APW_SIO_CONNECT ||
	    pkt->type == APW_SIO_DISCONNECT ||
	    pkt->type == APW_SIO_CONNECT_ERROR))
		return apw_err_set(err, 0, "%s with an id",
		    type_names[pkt->type]);
	if (!pkt->has_id && (pkt->type == APW_SIO_ACK ||
	    pkt->type == APW_SIO_BINARY_ACK))
		return apw_err_set(err, 0, "ACK without an id");
	pkt->data = apw_raw_trim((struct apw_str){ p, end - p });
	if (check_data(pkt, err) == -1)
		return -1;
	if (pkt->attachments > 0 &&
	    !apw_sio_placeholders_ok(pkt->data, pkt->attachments))
		return apw_err_set(err, 0, "placeholder without attachment");
	return 0;
}

/* In front of every message: not worth a format. */
static void
put_number(struct apw_buf *out, uint64_t n)
{
	char	digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	apw_buf_put(out, p, (size_t)(digits + sizeof(digits) - p));
}

int
apw_sio_head(struct apw_buf *out, const struct apw_sio_packet *pkt)
{
	char	type = (char)('0' + pkt->type);

	apw_buf_put(out, &type, 1);
	if (pkt->attachments > 0) {
		put_number(out, pkt->attachments);
		apw_buf_put(out, "-", 1);
	}
	if (pkt->nsp.n > 1) {
		apw_buf_str(out, pkt->nsp);
		apw_buf_put(out, ",", 1);
	}
	if (pkt->has_id)
		put_number(out, pkt->id);
	return out->failed ? -1 : 0;
}

int
apw_sio_placeholder(struct apw_str value)
{
	struct apw_str	v;
	int64_t		num;

	if (apw_raw_member(value, "_placeholder", &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_TRUE ||
	    apw_raw_member(value, "num", &v) != 1 ||
	    apw_raw_int(v, &num) == -1 || num < 0 ||
	    num >= APW_SIO_ATTACHMENTS_MAX)
		return -1;
	return (int)num;
}

bool
apw_sio_placeholders_ok(struct apw_str json, unsigned attachments)
{
	static const char	 mark[] = "{\"_placeholder\":true,\"num\":";
	const char		*p = json.p, *end = json.p + json.n;
	uint64_t		 num;
	int			 digits;

	/*
	 * Found as text: every known encoder writes a placeholder so, and
	 * inside a string literal the quotes would be escaped.  One that is
	 * written in another way is not taken for an attachment by
	 * apw_sio_placeholder()'s callers unless its number is in range.
	 */
	while ((p = memmem(p, end - p, mark, sizeof(mark) - 1)) != NULL) {
		p += sizeof(mark) - 1;
		digits = take_digits(&p, end, &num);
		if (digits < 1 || num >= attachments)
			return false;
	}
	return true;
}
