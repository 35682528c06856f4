/* Setters of the core's own directives: those that take more than one word,
 * or words with a grammar of their own.  Room: core. */
#include "core/apw_conf_priv.h"
#include "core/apw_auto.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* user NAME [GROUP]: looked up by the check */
int
apw_conf_set_user(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	struct apw_directive	 group = *d;

	if (apw_set_string(conf, d, p, args, 1, bad, err) == -1)
		return -1;
	if (nargs == 1)
		return 0;
	*bad = 1;
	group.offset = offsetof(struct apw_main_conf, group);
	return apw_set_string(conf, &group, p, args + 1, 1, bad, err);
}

/* Words that other programs take for a log, and that are no paths. */
static bool
is_log_word(const char *s)
{
	static const char *const	words[] = { "journal", "journald", "off",
					    "none", "-", "syslog", "console" };
	size_t				i;

	for (i = 0; i < APW_COUNT(words); i++)
		if (strcmp(s, words[i]) == 0)
			return true;
	return strncmp(s, "syslog:", 7) == 0 || strncmp(s, "memory:", 7) == 0 ||
	    strncmp(s, "fd:", 3) == 0;
}

/* log PATH|stderr|stdout [LEVEL] */
int
apw_conf_set_log(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	struct apw_main_conf		*m = p;
	struct apw_directive		 level = { .name = "log",
					     .limits = apw_conf_log_levels };
	enum apw_log_level		 ignored;

	if (apw_log_std(args[0]) != -1)
		m->log_path = args[0];
	else if (is_log_word(args[0]))
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected a path, "
		    "stderr or stdout: under systemd stderr goes to the "
		    "journal, and from there to syslog; elsewhere lead it to "
		    "a program (2>&1 | logger)", d->name,
		    apw_conf_quote(conf, args[0]));
	else if (apw_set_path(conf, d, p, args, 1, bad, err) == -1)
		return -1;
	if (nargs == 1)
		return 0;
	*bad = 1;
	if (apw_set_enum(conf, &level, &ignored, args + 1, 1, bad, err) == -1) {
		*bad = 1;
		return -1;
	}
	/* from now on it is log_level's; a complaint is the reader's */
	apw_conf_show(conf, 1, NULL);
	(void)apw_conf_set_other(conf, "log_level", args[1], err);
	return 0;
}

/* A size, or "auto": 0 */
int
apw_conf_set_bytes_auto(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	if (strcmp(args[0], "auto") == 0) {
		*(uint64_t *)(void *)((char *)p + d->offset) = 0;
		return 0;
	}
	return apw_set_bytes(conf, d, p, args, nargs, bad, err);
}

bool
apw_conf_is_address(const char *s, size_t n)
{
	unsigned char	bin[16];
	char		text[64];

	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(AF_INET, text, bin) == 1 ||
	    inet_pton(AF_INET6, text, bin) == 1;
}

static bool
is_listen(const char *s)
{
	const char	*port = strrchr(s, ':');
	size_t		 n;
	long		 value;
	char		*end;

	if (port == NULL || strspn(port + 1, "0123456789") !=
	    strlen(port + 1) || port[1] == '\0')
		return false;
	value = strtol(port + 1, &end, 10);
	if (value < 1 || value > 65535)
		return false;
	n = (size_t)(port - s);
	if (n > 2 && s[0] == '[' && s[n - 1] == ']')
		return memchr(s, ':', n) != NULL && apw_conf_is_address(s + 1, n - 2);
	return memchr(s, ':', n) == NULL && apw_conf_is_address(s, n);
}

/* listen ADDR:PORT | [V6]:PORT | unix:PATH */
int
apw_conf_set_listen(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	struct sockaddr_un	 sun;
	char			*one[1];

	(void)nargs;
	one[0] = args[0];
	if (strncmp(args[0], "unix:", 5) == 0 && args[0][5] != '\0') {
		one[0] = apw_conf_absolute(conf, args[0] + 5);
		if (one[0] != NULL && strlen(one[0]) >= sizeof(sun.sun_path))
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "a path of at most %zu bytes", d->name,
			    apw_conf_quote(conf, args[0]),
			    sizeof(sun.sun_path) - 1);
		if (one[0] != NULL)
			one[0] = apw_arena_printf(apw_conf_arena(conf),
			    "unix:%s", one[0]);
		if (one[0] == NULL)
			return apw_err_set(err, 0, "out of memory");
		apw_conf_show(conf, 0, one[0]);
	} else if (!is_listen(args[0])) {
		return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
		    "ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH", d->name,
		    apw_conf_quote(conf, args[0]));
	}
	return apw_set_list(conf, d, p, one, 1, bad, err);
}

/* Names of variables; ours and those that steer Node stay ours. */
int
apw_conf_set_propagate(struct apw_conf *conf, const struct apw_directive *d,
    void *p, char *const *args, size_t nargs, size_t *bad, struct apw_err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz_0123456789";
	size_t	i;

	for (i = 0; i < nargs; i++) {
		*bad = i;
		if (args[i][0] == '\0' || strspn(args[i], letters) !=
		    strlen(args[i]) || strchr("0123456789", args[i][0]) != NULL)
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "the name of an environment variable", d->name,
			    apw_conf_quote(conf, args[i]));
		if (apw_conf_engine_owns(args[i]) ||
		    strncmp(args[i], "LD_", 3) == 0)
			return apw_err_set(err, 0, "\"%s\" is \"%s\"; expected "
			    "a variable that apworkerd has no say in (not "
			    "NODE_*, LD_*, SANDBOX_ID, or an AP_* of its own)",
			    d->name, apw_conf_quote(conf, args[i]));
	}
	return apw_set_list(conf, d, p, args, nargs, bad, err);
}
