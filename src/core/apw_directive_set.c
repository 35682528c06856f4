/* The setters: text of a directive's arguments becomes a bounded value in a
 * struct, or a sentence about what was found and what was expected.
 * Room: core.  They neither look at other directives nor at the system,
 * except apw_set_secret_file, which reads its file. */
#include "core/apw_directive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_conf_priv.h"

struct unit {
	const char	*name;
	int64_t		 factor;
};

static const struct unit ms_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 }, { NULL, 0 }
};
static const struct unit byte_units[] = {
	{ "t", INT64_C(1) << 40 }, { "g", 1 << 30 }, { "m", 1 << 20 },
	{ "k", 1 << 10 }, { "", 1 }, { NULL, 0 }
};

#define FIELD(conf, d, type)	((type *)(void *)((char *)(conf) + (d)->offset))

/* The value in the largest unit that keeps it whole: "10m", "512k". */
static void
put_units(char *buf, size_t size, int64_t value, const struct unit *u)
{
	while (u[1].name != NULL && (value == 0 || value % u->factor != 0))
		u++;
	snprintf(buf, size, "%lld%s", (long long)(value / u->factor), u->name);
}

/* Digits and a unit; -1: not a number of that kind, -2: too large. */
static int
get_units(const char *s, const struct unit *u, int64_t *value)
{
	int64_t	n = 0;
	size_t	i;

	if (s[0] < '0' || s[0] > '9')
		return -1;
	for (i = 0; s[i] >= '0' && s[i] <= '9'; i++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, s[i] - '0', &n))
			return -2;
	}
	for (; u->name != NULL; u++) {
		if (strcasecmp(s + i, u->name) == 0) {
			*value = n;
			return __builtin_mul_overflow(n, u->factor, value) ?
			    -2 : 0;
		}
	}
	/* 0 is 0 in every unit */
	*value = 0;
	return n == 0 && s[i] == '\0' ? 0 : -1;
}

static int
set_units(struct apw_conf *conf, const struct apw_directive *d,
    const char *arg, const struct unit *units, const char *kind,
    int64_t *value, struct apw_err *err)
{
	const struct apw_bounds	*b = d->limits;
	char			 lo[32], hi[32];
	int			 rc = get_units(arg, units, value);

	if (rc == -1 && b == NULL)
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected %s",
		    d->name, apw_conf_quote(conf, arg), kind);
	if (b == NULL && rc == 0)
		return 0;
	if (rc == 0 && *value >= b->min && *value <= b->max)
		return 0;
	put_units(lo, sizeof(lo), b != NULL ? b->min : 0, units);
	put_units(hi, sizeof(hi), b != NULL ? b->max : INT64_MAX, units);
	return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected %s from %s "
	    "to %s", d->name, apw_conf_quote(conf, arg), kind, lo, hi);
}

int
apw_set_ms(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	(void)nargs;
	(void)bad;
	return set_units(conf, d, args[0], ms_units,
	    "a time with its unit (ms, s, m, h, d)", FIELD(p, d, int64_t),
	    err);
}

int
apw_set_bytes(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	int64_t	value;

	(void)nargs;
	(void)bad;
	if (set_units(conf, d, args[0], byte_units,
	    "a size (bytes, or with k, m, g, t)", &value, err) == -1)
		return -1;
	*FIELD(p, d, uint64_t) = (uint64_t)value;
	return 0;
}

int
apw_set_unsigned(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad,
    struct apw_err *err)
{
	static const struct apw_bounds	 any = { 0, UINT_MAX };
	static const struct unit	 none[] = { { "", 1 }, { NULL, 0 } };
	const struct apw_bounds		*b = d->limits != NULL ?
					    d->limits : &any;
	int64_t				 value;

	(void)nargs;
	(void)bad;
	if (get_units(args[0], none, &value) != 0 || value < b->min ||
	    value > b->max || value > UINT_MAX)
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected a "
		    "number from %lld to %lld", d->name,
		    apw_conf_quote(conf, args[0]), (long long)b->min,
		    (long long)b->max);
	*FIELD(p, d, unsigned) = (unsigned)value;
	return 0;
}

int
apw_set_flag(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	static const char *const yes[] = { "yes", "true", "1", "enable",
	    "enabled", "ON", "On", NULL };
	static const char *const no[] = { "no", "false", "0", "disable",
	    "disabled", "OFF", "Off", NULL };
	const char	*hint = "";
	size_t		 i;

	(void)nargs;
	(void)bad;
	if (strcmp(args[0], "on") == 0 || strcmp(args[0], "off") == 0) {
		*FIELD(p, d, bool) = args[0][1] == 'n';
		return 0;
	}
	for (i = 0; yes[i] != NULL; i++)
		if (strcmp(args[0], yes[i]) == 0)
			hint = "; did you mean \"on\"?";
	for (i = 0; no[i] != NULL; i++)
		if (strcmp(args[0], no[i]) == 0)
			hint = "; did you mean \"off\"?";
	return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected on or off%s",
	    d->name, apw_conf_quote(conf, args[0]), hint);
}

/* "text or json", "a, b or c" */
static void
put_names(char *buf, size_t size, const struct apw_enum *e)
{
	size_t	i, n = 0;

	buf[0] = '\0';
	for (i = 0; e[i].name != NULL; i++) {
		snprintf(buf + n, size - n, "%s%s", i == 0 ? "" :
		    e[i + 1].name == NULL ? " or " : ", ", e[i].name);
		n += strlen(buf + n);
	}
}

int
apw_set_enum(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	const struct apw_enum	*e;
	const char		*names[64], *near;
	char			 list[512];
	size_t			 n = 0;

	(void)nargs;
	(void)bad;
	for (e = d->limits; e->name != NULL; e++) {
		if (strcmp(e->name, args[0]) == 0) {
			*FIELD(p, d, int) = e->value;
			return 0;
		}
		if (n < APW_COUNT(names) - 1)
			names[n++] = e->name;
	}
	names[n] = NULL;
	put_names(list, sizeof(list), d->limits);
	near = apw_str_nearest(args[0], names);
	return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected %s%s%s%s",
	    d->name, apw_conf_quote(conf, args[0]), list,
	    near != NULL ? "; did you mean \"" : "",
	    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

/* Names, addresses and paths are one line. */
static int
check_text(struct apw_conf *conf, const struct apw_directive *d,
    const char *arg, struct apw_err *err)
{
	if (arg[0] == '\0')
		return apw_err_set(err, 0, "\"%s\" is \"\"; expected %s",
		    d->name, d->arg_help != NULL ? d->arg_help : "a text");
	if (strpbrk(arg, "\r\n\t") != NULL)
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected a text "
		    "of one line", d->name, apw_conf_quote(conf, arg));
	return 0;
}

int
apw_set_string(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	(void)nargs;
	(void)bad;
	if (check_text(conf, d, args[0], err) == -1)
		return -1;
	*FIELD(p, d, char *) = args[0];	/* in the cycle's arena */
	return 0;
}

int
apw_set_path(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	char	*path;

	(void)nargs;
	(void)bad;
	if (check_text(conf, d, args[0], err) == -1)
		return -1;
	path = apw_conf_absolute(conf, args[0]);
	if (path == NULL)
		return apw_err_set(err, ENOMEM, "\"%s\"", d->name);
	if (strlen(path) >= PATH_MAX)
		return apw_err_set(err, ENAMETOOLONG, "\"%s\" is \"%s\"",
		    d->name, apw_conf_quote(conf, path));
	*FIELD(p, d, char *) = path;
	apw_conf_show(conf, 0, path);
	return 0;
}

int
apw_set_list(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	struct apw_strlist	*list = FIELD(p, d, struct apw_strlist);
	char			**v;
	size_t			 i;

	for (i = 0; i < nargs; i++) {
		if (check_text(conf, d, args[i], err) == -1) {
			*bad = i;
			return -1;
		}
	}
	v = apw_arena_alloc(conf->arena, (list->n + nargs + 1) * sizeof(*v));
	if (v == NULL)
		return apw_err_set(err, ENOMEM, "\"%s\"", d->name);
	if (list->n != 0)
		memcpy(v, list->v, list->n * sizeof(*v));
	memcpy(v + list->n, args, nargs * sizeof(*v));
	list->v = v;
	list->n += nargs;
	return 0;
}

/* What is wrong with the URL, or NULL. */
static const char *
url_fault(const char *url)
{
	const char	*host, *end, *port, *p;
	unsigned long	 n;

	if (strncasecmp(url, "http://", 7) == 0)
		host = url + 7;
	else if (strncasecmp(url, "https://", 8) == 0)
		host = url + 8;
	else
		return "expected a URL that starts with http:// or https://";
	for (p = url; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
		    strchr("\"<>\\^`{|}", *p) != NULL)
			return "expected a URL without blanks and special "
			    "characters";
	if (strpbrk(host, "?#") != NULL)
		return "expected a URL without a query and fragment";
	end = host + strcspn(host, "/");
	if (memchr(host, '@', (size_t)(end - host)) != NULL)
		return "expected a URL without a user name and password";
	port = memchr(host, ':', (size_t)(end - host));
	if (*host == '[') {
		p = memchr(host, ']', (size_t)(end - host));
		if (p == NULL || p == host + 1)
			return "expected \"]\" after the address";
		if (p + 1 != end && p[1] != ':')
			return "expected a port after \"]\"";
		port = p + 1 == end ? NULL : p + 1;
	}
	if (host == end || port == host)
		return "expected a host name after the scheme";
	if (port == NULL)
		return NULL;
	n = 0;
	for (p = port + 1; p < end && *p >= '0' && *p <= '9' && n <= 65535; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	if (p != end || n < 1 || n > 65535)
		return "expected a port from 1 to 65535 after the host";
	return NULL;
}

int
apw_set_url(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	const char	*fault = url_fault(args[0]);
	bool		 hide;

	(void)nargs;
	(void)bad;
	if (fault != NULL) {
		/* what could be a password is not repeated */
		hide = strchr(args[0], '@') != NULL;
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; %s", d->name,
		    hide ? "***" : apw_conf_quote(conf, args[0]), fault);
	}
	*FIELD(p, d, char *) = args[0];	/* in the cycle's arena */
	return 0;
}

/* Tokens and passwords travel in headers: visible ASCII, one line. */
static int
keep_secret(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *from, size_t n, const char *where, struct apw_err *err)
{
	size_t	i;

	while (n > 0 && (from[n - 1] == '\n' || from[n - 1] == '\r' ||
	    from[n - 1] == ' ' || from[n - 1] == '\t'))
		n--;
	if (n == 0)
		return apw_err_set(err, 0, "\"%s\"%s is empty; expected a "
		    "secret", d->name, where);
	for (i = 0; i < n; i++)
		if ((unsigned char)from[i] <= 0x20 ||
		    (unsigned char)from[i] >= 0x7f)
			return apw_err_set(err, 0, "\"%s\"%s has a blank or "
			    "special character in it; expected a secret of "
			    "one line", d->name, where);
	return apw_conf_keep_secret(conf, FIELD(p, d, struct apw_secret),
	    from, n, err);
}

int
apw_set_secret(struct apw_conf *conf, const struct apw_directive *d, void *p,
    char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	int	rc;

	(void)nargs;
	(void)bad;
	if (strcmp(args[0], "***") == 0)
		apw_conf_warn(conf, "\"%s\" is ***, which stands for a "
		    "secret that is not shown", d->name);
	rc = keep_secret(conf, d, p, args[0], strlen(args[0]), "", err);
	explicit_bzero(args[0], strlen(args[0]));
	apw_conf_show(conf, 0, "***");
	return rc;
}

static int
open_secret(const char *path, const struct apw_directive *d,
    struct stat *st, struct apw_err *err)
{
	/* a FIFO would stop the master */
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY);

	if (fd == -1 || fstat(fd, st) == -1)
		return apw_err_set(err, errno, "\"%s\": cannot open \"%s\"",
		    d->name, path);
	if (!S_ISREG(st->st_mode))
		return apw_err_set(err, 0, "\"%s\" is \"%s\", which is not a "
		    "file", d->name, path);
	if (st->st_size > APW_CONF_SECRET_MAX)
		return apw_err_set(err, 0, "\"%s\" is \"%s\", which is larger "
		    "than %d bytes; expected a secret", d->name, path,
		    APW_CONF_SECRET_MAX);
	return apw_take_fd(&fd);
}

int
apw_set_secret_file(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad,
    struct apw_err *err)
{
	char		*path, where[512];
	char		 buf[APW_CONF_SECRET_MAX];
	struct stat	 st;
	ssize_t		 n;
	int		 rc;

	(void)nargs;
	(void)bad;
	if (check_text(conf, d, args[0], err) == -1)
		return -1;
	path = apw_conf_absolute(conf, args[0]);
	if (path == NULL)
		return apw_err_set(err, ENOMEM, "\"%s\"", d->name);
	apw_conf_show(conf, 0, path);
	apw_autofd int	fd = open_secret(path, d, &st, err);
	if (fd == -1)
		return -1;
	if ((st.st_mode & S_IROTH) != 0)
		apw_conf_warn(conf, "\"%s\": everybody can read \"%s\"; "
		    "expected mode 0600 or 0640", d->name, path);
	n = read(fd, buf, sizeof(buf));
	if (n == -1)
		return apw_err_set(err, errno, "\"%s\": cannot read \"%s\"",
		    d->name, path);
	snprintf(where, sizeof(where), ": \"%s\"", path);
	rc = keep_secret(conf, d, p, buf, (size_t)n, where, err);
	explicit_bzero(buf, sizeof(buf));
	return rc;
}
