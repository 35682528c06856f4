/* The table of network { } and the setters that only it has.  Room: core.
 * What the values mean is the egress room's matter (egress/rules.h); here
 * they are only found to be well formed. */
#include "core/apw_conf_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define KB	INT64_C(1024)
#define GB	(1024 * 1024 * KB)

#define NETWORK(field)	offsetof(struct apw_network_conf, field)

static apw_set_fn set_allow, set_ports, set_resolver, set_upstream;

static const struct apw_enum networks[] = {
	{ "auto", APW_NETWORK_AUTO },
	{ "unrestricted", APW_NETWORK_UNRESTRICTED },
	{ "private", APW_NETWORK_PRIVATE },
	{ "strict", APW_NETWORK_STRICT }, { NULL, 0 }
};

const struct apw_directive apw_conf_network_head[] = {
	{ .name = "network", .args = { 1, 1 }, .set = apw_set_enum,
	  .offset = NETWORK(mode), .limits = networks, .dflt = "auto",
	  .reload = APW_NEW_SLOTS,
	  .arg_help = "auto | unrestricted | private | strict",
	  .help = "What engines can reach. unrestricted: the host's network, "
	      "its loopback too. private: a network of their own, led to the "
	      "outside by pasta, without the host's loopback. strict: nothing "
	      "but a proxy of their slot, which lets them to public addresses "
	      "and to those that are allowed. auto: what the app's "
	      "NETWORK_MODE says. A slot takes no job under a rule that this "
	      "host cannot enforce." },
	{ .name = NULL }
};

const struct apw_directive apw_conf_network_directives[] = {
	{ .name = "allow", .args = { 1, 255 }, .set = set_allow,
	  .offset = NETWORK(allow), .many = true,
	  .env = "AP_SSRF_ALLOW_LIST", .reload = APW_NEW_SLOTS,
	  .arg_help = "ADDRESS | NETWORK | NAME | *.DOMAIN ...",
	  .help = "What strict would block (private addresses) and flows may "
	      "reach all the same, beside what the app's settings name. A "
	      "name opens the private addresses that it stands for; loopback, "
	      "link-local and multicast ones have to be given as addresses. "
	      "In every mode, events and the on-call page are posted to "
	      "public addresses and to these only." },
	{ .name = "ports", .args = { 1, 64 }, .set = set_ports,
	  .offset = NETWORK(ports), .many = true, .reload = APW_NEW_SLOTS,
	  .arg_help = "PORT | FIRST-LAST ...",
	  .help = "The ports that flows may connect to under strict, and that "
	      "events and the on-call page may be posted to in every mode. "
	      "Without it all of them. The app's own port is always open." },
	{ .name = "http_proxy", .args = { 1, 1 }, .set = apw_set_flag,
	  .offset = NETWORK(http_proxy), .dflt = "off",
	  .reload = APW_NEW_SLOTS, .arg_help = "on | off",
	  .help = "Whether engines under strict get the usual variables "
	      "(HTTP_PROXY, HTTPS_PROXY and in lower case), too. For code and "
	      "programs that know nothing of the engine's own proxy setting; "
	      "HTTP libraries that send https requests to a proxy without "
	      "CONNECT fail with it." },
	{ .name = "upstream", .args = { 1, 2 }, .set = set_upstream,
	  .offset = NETWORK(upstream), .dflt = "auto",
	  .reload = APW_NEW_SLOTS, .arg_help = "auto | off | URL [names]",
	  .help = "An HTTP proxy through which strict reaches the outside, "
	      "with CONNECT to the address that was checked. https: the "
	      "proxy itself is spoken to in TLS. auto: what "
	      "HTTPS_PROXY and NO_PROXY of the daemon's environment say. "
	      "names: where a name cannot be looked up here, the proxy gets "
	      "the name, and what it stands for is the proxy's to check." },
	{ .name = "resolver", .args = { 1, 8 }, .set = set_resolver,
	  .offset = NETWORK(resolver), .many = true, .reload = APW_NEW_SLOTS,
	  .arg_help = "ADDRESS | ADDRESS:PORT ...",
	  .help = "The name servers that names of flows, events and the "
	      "on-call page are looked up with. Without it those of the "
	      "system, and its hosts file." },
	{ .name = "connections", .args = { 1, 1 }, .set = apw_set_unsigned,
	  .offset = NETWORK(connections), .limits = APW_BOUNDS(1, 4096),
	  .dflt = "512", .reload = APW_NEW_SLOTS, .arg_help = "NUMBER",
	  .help = "How many connections one engine may have through strict at "
	      "the same time." },
	{ .name = "bytes", .args = { 1, 1 }, .set = apw_set_bytes,
	  .offset = NETWORK(bytes), .limits = APW_BOUNDS(0, 1024 * GB),
	  .dflt = "0", .reload = APW_NEW_SLOTS, .arg_help = "SIZE",
	  .help = "How much one run may send and receive through strict, both "
	      "counted together. 0: no limit." },
	{ .name = "idle_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = NETWORK(idle_timeout_ms),
	  .limits = APW_BOUNDS(100, DAY), .dflt = "10m",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "A connection through strict that carries nothing for so "
	      "long is closed." },
	{ .name = "head_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = NETWORK(head_timeout_ms),
	  .limits = APW_BOUNDS(100, HOUR), .dflt = "10s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long a client of strict's proxy may take to say what "
	      "it wants." },
	{ .name = "connect_timeout", .args = { 1, 1 }, .set = apw_set_ms,
	  .offset = NETWORK(connect_timeout_ms),
	  .limits = APW_BOUNDS(100, HOUR), .dflt = "30s",
	  .reload = APW_NEW_SLOTS, .arg_help = "TIME",
	  .help = "How long looking up a name and connecting to one of its "
	      "addresses may take together." },
	{ .name = NULL }
};

static bool
is_network(const char *s)
{
	const char	*slash = strchr(s, '/');
	size_t		 n = slash != NULL ? (size_t)(slash - s) : strlen(s);

	if (!apw_conf_is_address(s, n))
		return false;
	return slash == NULL || (slash[1] != '\0' &&
	    strspn(slash + 1, "0123456789") == strlen(slash + 1) &&
	    strlen(slash + 1) <= 3 &&
	    atoi(slash + 1) <= (memchr(s, ':', n) != NULL ? 128 : 32));
}

/* "db.internal", "*.corp.example".  What ends in a number is an address that
 * somebody got wrong. */
static bool
is_name(const char *s)
{
	static const char	 letters[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char		*last = s;
	size_t			 n;

	if (strncmp(s, "*.", 2) == 0)
		s += 2;
	if (strlen(s) > 253)
		return false;
	for (;; s += n + 1) {
		n = strspn(s, letters);
		if (n == 0 || n > 63)
			return false;
		last = s;
		if (s[n] == '\0')
			break;
		if (s[n] != '.')
			return false;
	}
	return strspn(last, "0123456789") != strlen(last) &&
	    strncasecmp(last, "0x", 2) != 0;
}

/* allow ADDRESS | NETWORK/BITS | NAME | *.DOMAIN ... */
static int
set_allow(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	size_t	i;

	for (i = 0; i < nargs; i++)
		if (!is_network(args[i]) && !is_name(args[i])) {
			*bad = i;
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "an IP address, a network such as "
			    "192.168.10.0/24, or a host name", d->name,
			    apw_conf_quote(conf, args[i]));
		}
	return apw_set_list(conf, d, p, args, nargs, bad, err);
}

/* A port, digits up to what follows; 0: none. */
static unsigned
port_of(const char *s, const char **end)
{
	size_t	n = strspn(s, "0123456789");
	long	value = n == 0 || n > 5 ? 0 : strtol(s, NULL, 10);

	*end = s + n;
	return value > 65535 ? 0 : (unsigned)value;
}

/* ports PORT | FIRST-LAST ... */
static int
set_ports(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	const char	*end;
	unsigned	 first, last;
	size_t		 i;

	for (i = 0; i < nargs; i++) {
		first = last = port_of(args[i], &end);
		if (*end == '-')
			last = port_of(end + 1, &end);
		if (first == 0 || last < first || *end != '\0') {
			*bad = i;
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "a port from 1 to 65535, or FIRST-LAST", d->name,
			    apw_conf_quote(conf, args[i]));
		}
	}
	return apw_set_list(conf, d, p, args, nargs, bad, err);
}

static bool
is_resolver(const char *s)
{
	const char	*close = strchr(s, ']'), *colon = strchr(s, ':');
	const char	*end;

	if (apw_conf_is_address(s, strlen(s)))
		return true;
	if (*s == '[' && close != NULL && close[1] == ':')
		return apw_conf_is_address(s + 1, (size_t)(close - s - 1)) &&
		    port_of(close + 2, &end) != 0 && *end == '\0';
	return colon != NULL && apw_conf_is_address(s, (size_t)(colon - s)) &&
	    port_of(colon + 1, &end) != 0 && *end == '\0';
}

/* resolver ADDRESS | ADDRESS:PORT | [V6]:PORT ... */
static int
set_resolver(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	size_t	i;

	for (i = 0; i < nargs; i++)
		if (!is_resolver(args[i])) {
			*bad = i;
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "the address of a name server, or ADDRESS:PORT",
			    d->name, apw_conf_quote(conf, args[i]));
		}
	return apw_set_list(conf, d, p, args, nargs, bad, err);
}

/* upstream auto | off | URL [names] */
static int
set_upstream(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	struct apw_network_conf	*n = p;
	bool			 word = strcmp(args[0], "auto") == 0 ||
				    strcmp(args[0], "off") == 0;

	if (strchr(args[0], '@') != NULL)
		return apw_err_set(err, 0, "found a password in \"%s\"; "
		    "expected it in HTTPS_PROXY", d->name);
	if (!word && ((strncasecmp(args[0], "http://", 7) != 0 &&
	    strncasecmp(args[0], "https://", 8) != 0) ||
	    strchr(args[0], '/')[2] == '\0' ||
	    strpbrk(args[0], " \t\r\n") != NULL))
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected auto, "
		    "off or an http:// or https:// URL", d->name,
		    apw_conf_quote(conf, args[0]));
	if (nargs == 2 && (word || strcmp(args[1], "names") != 0)) {
		*bad = 1;
		return apw_err_set(err, 0, "\"%s\" has \"%s\"; expected %s",
		    d->name, apw_conf_quote(conf, args[1]), word ?
		    "nothing behind auto or off" : "names, or nothing");
	}
	n->upstream_names = nargs == 2;
	return apw_set_string(conf, d, p, args, 1, bad, err);
}
