/* Whose fault is a failed install: the user's (no such package, no such
 * version: trying again changes nothing) or ours (registry, network, disk,
 * memory, time)?  Room: stock.  Ours wins when both are named: a retry that
 * was not needed costs less than a run that failed for nothing.
 *
 * The tools are taken at the words that they begin a line with.  What stands
 * behind these is partly the user's: a version may be called "ENOSPC". */
#include "stock/stock_priv.h"

#include <ctype.h>

#include "core/apw_auto.h"

/* What a line says. */
enum says { SAYS_NOTHING, SAYS_USER, SAYS_OURS };

/* bun's lines, behind "error: ". */
static const struct {
	const char	*begin, *has;	/* has: NULL, or further on */
	enum says	 says;
} bun_lines[] = {
	{ "No version matching ", NULL, SAYS_USER },
	{ "Package \"", "\" not found", SAYS_USER },
	{ "Workspace dependency \"", "\" not found", SAYS_USER },
	{ "package.json not found for ", NULL, SAYS_USER },
	{ "git failed", NULL, SAYS_USER },	/* there is none, on purpose */
	{ "\"git clone\" ", NULL, SAYS_USER },
	{ "\"git checkout\" ", NULL, SAYS_USER },
	{ "InvalidPackageName", NULL, SAYS_USER },
	{ "FileTooBig", NULL, SAYS_USER },
	{ "EFBIG", NULL, SAYS_USER },
};

/* npm's codes.  All others are ours. */
static const char *const npm_users[] = { "E404", "E410", "E451", "ETARGET",
    "ENOVERSIONS", "EINVALIDPACKAGENAME", "EINVALIDTAGNAME", "EBADPLATFORM",
    "EBADENGINE", "ERESOLVE", "EOVERRIDE", "EUNSUPPORTEDPROTOCOL", "EFBIG",
    "128" /* git */ };

/* Answers of a registry that asking again does not change. */
static const long status_users[] = { 404, 410, 451 };

/* In a line that is none of these. */
static const char *const ours[] = {
	"ConnectionRefused", "ConnectionClosed", "ConnectionReset",
	"FailedToOpenSocket", "UnableToConnect", "Timeout", "DNSLookup",
	"DNSResolveFailed", "UnknownHostName", "CertificateHasExpired",
	"CERT_", "UNABLE_TO_GET_ISSUER", "UNABLE_TO_VERIFY", "SELF_SIGNED",
	"NoSpaceLeft", "ENOSPC", "No space left", "ReadOnlyFileSystem",
	"EROFS", "Read-only file system", "EDQUOT", "OutOfMemory", "ENOMEM",
	"AccessDenied", "EACCES", "EPERM", "PermissionDenied",
	"ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT",
	"EHOSTUNREACH", "ENETUNREACH", "EPIPE", "ERR_SOCKET",
	"IntegrityCheckFailed", "cannot run ", "cannot enter ",
	"cannot lock down",
};

static bool
begins(struct apw_str line, const char *with)
{
	size_t	n = strlen(with);

	return line.n >= n && memcmp(line.p, with, n) == 0;
}

static struct apw_str
behind(struct apw_str line, const char *with)
{
	size_t	n = strlen(with);

	return (struct apw_str){ line.p + n, line.n - n };
}

static bool
has(struct apw_str line, const char *text)
{
	return memmem(line.p, line.n, text, strlen(text)) != NULL;
}

static bool
ends(struct apw_str line, const char *with)
{
	size_t	n = strlen(with);

	return line.n >= n && memcmp(line.p + line.n - n, with, n) == 0;
}

/* "GET https://registry/name - 404"; 0: it is none. */
static long
bun_status(struct apw_str line)
{
	size_t	n = line.n;
	long	status = 0;

	if (!begins(line, "GET ") || n < 8 || !isdigit((unsigned char)
	    line.p[n - 1]) || memcmp(line.p + n - 6, " - ", 3) != 0)
		return 0;
	for (n -= 3; n < line.n; n++)
		status = status * 10 + (line.p[n] - '0');
	return status;
}

static enum says
of_status(long status)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(status_users); i++)
		if (status == status_users[i])
			return SAYS_USER;
	return SAYS_OURS;
}

/* "ConnectionRefused downloading tarball x@http://host/x.tgz": a package that
 * asks for what lies in no registry. */
static bool
bun_elsewhere(struct apw_str line)
{
	static const char	words[] = " downloading tarball ";
	const char		*p = memmem(line.p, line.n, words,
				    sizeof(words) - 1);
	const char		*end = line.p + line.n, *at;

	if (p == NULL)
		return false;
	p += sizeof(words) - 1;
	at = end - p > 1 ? memchr(p + 1, '@', end - p - 1) : NULL;
	return at != NULL && memchr(at, ':', end - at) != NULL;
}

static enum says
of_ours(struct apw_str line)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(ours); i++)
		if (has(line, ours[i]))
			return SAYS_OURS;
	return SAYS_NOTHING;
}

static enum says
of_bun(struct apw_str line)
{
	long	status = bun_status(line);
	size_t	i;

	if (status != 0)
		return of_status(status);
	if (ends(line, " failed to resolve"))
		return SAYS_NOTHING;
	for (i = 0; i < APW_COUNT(bun_lines); i++)
		if (begins(line, bun_lines[i].begin) &&
		    (bun_lines[i].has == NULL || has(line, bun_lines[i].has)))
			return bun_lines[i].says;
	return bun_elsewhere(line) ? SAYS_USER : of_ours(line);
}

static enum says
of_npm(struct apw_str code)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(npm_users); i++)
		if (code.n == strlen(npm_users[i]) && begins(code,
		    npm_users[i]))
			return SAYS_USER;
	return SAYS_OURS;
}

/* npm says its code first; what follows explains it. */
static enum says
of_line(struct apw_str line, bool *npm)
{
	static const char *const codes[] = { "npm error code ",
	    "npm ERR! code " };
	size_t	i;

	while (line.n > 0 && isspace((unsigned char)line.p[line.n - 1]))
		line.n--;
	if (begins(line, "error: "))
		return of_bun(behind(line, "error: "));
	if (!begins(line, "npm "))
		return of_ours(line);
	for (i = 0; i < APW_COUNT(codes) && !*npm; i++)
		if (begins(line, codes[i])) {
			*npm = true;
			return of_npm(behind(line, codes[i]));
		}
	return SAYS_NOTHING;
}

enum apw_stock_fault
stock_fault_text(struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n, *line_end;
	bool		 npm = false, user = false;

	for (; p != NULL && p < end; p = line_end + 1) {
		line_end = memchr(p, '\n', end - p);
		if (line_end == NULL)
			line_end = end;
		switch (of_line((struct apw_str){ p, line_end - p }, &npm)) {
		case SAYS_OURS:
			return APW_STOCK_OURS;
		case SAYS_USER:
			user = true;
			break;
		default:
			break;
		}
	}
	return user ? APW_STOCK_USER : APW_STOCK_OURS;
}

const char *
stock_fault_advice(struct apw_str text)
{
	if (text.p == NULL)
		return NULL;
	if (!has(text, " - 401\n") && !has(text, " - 403\n") &&
	    !has(text, "npm error code E401\n") &&
	    !has(text, "npm error code E403\n"))
		return NULL;
	return "the registry wants other credentials; they come from the file "
	    "that npmrc of stock names";
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
	apw_buf_puts(&text, "\n");
	apw_buf_str(&text, apw_buf_view(&o->err));
	fault = stock_fault_text(apw_buf_view(&text));
	apw_buf_free(&text);
	return fault;
}
