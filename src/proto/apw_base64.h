/* Base64 (RFC 4648, padded, nothing else accepted).  Room: proto. */
#ifndef APW_PROTO_BASE64_H
#define APW_PROTO_BASE64_H

#include <stddef.h>
#include <sys/types.h>

#include "core/apw_buf.h"
#include "core/apw_str.h"

size_t	apw_base64_bytes(size_t);		/* encoded size */
void	apw_base64_encode(char *out, const void *, size_t);
int	apw_base64_decode(struct apw_buf *out, struct apw_str);
/* The size of decoded text, -1 when it is not base64.  Looks at the length
 * and the padding only. */
ssize_t	apw_base64_plain(struct apw_str);

#endif
