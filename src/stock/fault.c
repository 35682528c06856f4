/* Whose fault is a failed install: the user's (no such package, no such
 * version: trying again changes nothing) or ours (registry, network, disk,
 * memory, time)?  Room: stock.  Ours wins when both are named: a retry that
 * was not needed costs less than a run that failed for nothing. */
#include "stock/stock_priv.h"

/* bun prints the name of the error, npm a code. */
static const char *const ours[] = {
	"ConnectionRefused", "ConnectionClosed", "ConnectionReset",
	"FailedToOpenSocket", "UnableToConnect", "Timeout", "DNSLookup",
	"UnknownHostName", "CertificateHasExpired", "CERT_",
	"UNABLE_TO_GET_ISSUER", "UNABLE_TO_VERIFY", "SELF_SIGNED",
	"NoSpaceLeft", "ENOSPC", "No space left", "ReadOnlyFileSystem",
	"EROFS", "Read-only file system", "EDQUOT", "OutOfMemory", "ENOMEM",
	"AccessDenied", "EACCES", "EPERM", "PermissionDenied",
	"ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT",
	"EHOSTUNREACH", "ENETUNREACH", "EPIPE", "ERR_SOCKET", "E401", "E403",
	"E429", "E500", "E502", "E503", "E504", " - 401", " - 403", " - 429",
	" - 500", " - 502", " - 503", " - 504", "IntegrityCheckFailed",
	"EINTEGRITY", "cannot run ", "cannot enter ", "cannot lock down",
};
static const char *const users[] = {
	" - 404", "No version matching", "E404", "ETARGET",
	"No matching version", "notarget", "EINVALIDPACKAGENAME",
	"EINVALIDTAGNAME", "Invalid package name", "InvalidPackageName",
	"EBADPLATFORM", "ERESOLVE", "FileTooBig", "EFBIG",
};

static bool
names_one(struct apw_str text, const char *const *list, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (memmem(text.p, text.n, list[i], strlen(list[i])) != NULL)
			return true;
	return false;
}

enum apw_stock_fault
stock_fault_text(struct apw_str text)
{
	if (text.p == NULL || names_one(text, ours,
	    sizeof(ours) / sizeof(ours[0])))
		return APW_STOCK_OURS;
	return names_one(text, users, sizeof(users) / sizeof(users[0])) ?
	    APW_STOCK_USER : APW_STOCK_OURS;
}

enum apw_stock_fault
stock_fault_of(const struct stock_outcome *o)
{
	struct apw_buf		text = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	enum apw_stock_fault	fault;

	if (stock_outcome_ok(o))
		return APW_STOCK_OK;
	if (o->over_disk)
		return APW_STOCK_USER;
	if (o->timed_out || o->cancelled || o->over != NULL || o->signal != 0 ||
	    o->exit_code == 127)
		return APW_STOCK_OURS;
	apw_buf_str(&text, apw_buf_view(&o->out));
	apw_buf_str(&text, apw_buf_view(&o->err));
	fault = stock_fault_text(apw_buf_view(&text));
	apw_buf_free(&text);
	return fault;
}
