/* The text of an answer; see httpd.h.  Room: http. */
#include "http/httpd_priv.h"

#include <inttypes.h>

static const char *
status_text(int status)
{
	static const struct { int status; const char *text; } texts[] = {
		{ 200, "OK" }, { 201, "Created" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" },
		{ 417, "Expectation Failed" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 507, "Insufficient Storage" }, { 0, NULL }
	};
	size_t	i;

	for (i = 0; texts[i].text != NULL; i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Internal Server Error";
}

void
httpd_answer_put(struct apw_buf *out, struct apw_httpd_answer *a,
    bool with_body, bool keep)
{
	uint64_t	n = a->fd != -1 ? a->fd_bytes : a->body.len;

	if (a->body.failed) {
		a->status = 500;
		n = 0;
		apw_buf_reset(&a->body);
	}
	apw_buf_printf(out, "HTTP/1.1 %d %s\r\n", a->status,
	    status_text(a->status));
	if (a->type != NULL)
		apw_buf_printf(out, "Content-Type: %s\r\n", a->type);
	if (a->status == 405 && a->allow != NULL)
		apw_buf_printf(out, "Allow: %s\r\n", a->allow);
	apw_buf_printf(out, "Content-Length: %" PRIu64 "\r\n"
	    "Cache-Control: no-store\r\nConnection: %s\r\n\r\n", n,
	    keep ? "keep-alive" : "close");
	if (with_body && a->fd == -1)
		apw_buf_str(out, apw_buf_view(&a->body));
	apw_buf_free(&a->body);
}
