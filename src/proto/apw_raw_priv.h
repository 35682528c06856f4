/* Raw JSON text: what its two files share.  Room: proto. */
#ifndef APW_PROTO_RAW_PRIV_H
#define APW_PROTO_RAW_PRIV_H

/* The first byte a string literal cannot hold as it is, or end. */
const char *apw_raw_plain(const char *p, const char *end);

#endif
