/* Errors as values; see apw_err.h.  Room: any. */
#include "core/apw_err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
apw_err_set(struct apw_err *err, int code, const char *fmt, ...)
{
	va_list	 ap;
	size_t	 n;

	if (err == NULL)
		return -1;
	err->code = code;
	err->fault = APW_FAULT_UNKNOWN;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (code != 0) {
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, ": %s",
		    strerror(code));
	}
	return -1;
}

int
apw_err_wrap(struct apw_err *err, const char *fmt, ...)
{
	char	 cause[sizeof(err->text)];
	va_list	 ap;
	size_t	 n;

	if (err == NULL)
		return -1;
	memcpy(cause, err->text, sizeof(cause));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", cause);
	return -1;
}

int
apw_err_blame(struct apw_err *err, enum apw_fault fault)
{
	if (err != NULL)
		err->fault = fault;
	return -1;
}
