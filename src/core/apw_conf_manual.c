/* The directive tables as documentation: the middle of apworker.conf(5), and
 * apworker.conf.full.  Room: core; used at build time and by the tests. */
#include "core/apw_conf_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct manual {
	FILE	 *f;
	void	(*block)(FILE *, const struct apw_conf_block *,
		    const struct apw_module *);
	void	(*directive)(FILE *, const struct apw_directive *,
		    const char *indent);
	void	(*end)(FILE *, const char *indent);
};

static void
manual_modules(const struct manual *m, const struct apw_conf_block *b)
{
	const struct apw_module		*module;
	const struct apw_directive	*d;
	size_t				 i;

	for (i = 0; apw_modules[i] != NULL; i++) {
		module = apw_modules[i];
		if (module->block == NULL || module->kind !=
		    (b->kind == APW_BLOCK_SOURCE ? APW_MODULE_SOURCE :
		    APW_MODULE_SANDBOX))
			continue;
		m->block(m->f, b, module);
		for (d = module->directives; d != NULL && d->name != NULL; d++)
			m->directive(m->f, d, "\t");
		if (module->directives != NULL)
			m->end(m->f, "\t");
	}
}

static void
manual_all(const struct manual *m)
{
	const struct apw_conf_block	*b;
	const struct apw_directive	*d;

	m->block(m->f, NULL, NULL);
	for (d = apw_conf_main_directives; d->name != NULL; d++)
		m->directive(m->f, d, "");
	m->end(m->f, "");
	for (b = apw_conf_blocks; b->name != NULL; b++) {
		m->block(m->f, b, NULL);
		if (b->kind == APW_BLOCK_SOURCE ||
		    b->kind == APW_BLOCK_SANDBOX) {
			manual_modules(m, b);
			continue;
		}
		for (d = b->directives; d->name != NULL; d++)
			m->directive(m->f, d, "\t");
		m->end(m->f, "\t");
	}
}

/* ---- mdoc ---- */

/* Sentences on lines of their own, nothing that roff takes for itself. */
static void
mdoc_text(FILE *f, const char *s)
{
	bool	start = true;

	for (; s != NULL && *s != '\0'; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", f);
		start = false;
		if (*s == '\\')
			fputs("\\e", f);
		else
			putc(*s, f);
		if (*s == '.' && s[1] == ' ' && isupper((unsigned char)s[2])) {
			putc('\n', f);
			s++;
			start = true;
		}
	}
	putc('\n', f);
}

static const char *
effect(enum apw_reload reload)
{
	switch (reload) {
	case APW_NOW:
		return "A reload changes it at once.";
	case APW_NEW_SLOTS:
		return "A reload changes it for new slots.";
	default:
		return "A change needs a restart.";
	}
}

static void
mdoc_block(FILE *f, const struct apw_conf_block *b, const struct apw_module *m)
{
	if (b == NULL) {
		fputs(".Ss Main\n", f);
		fputs(".Bl -tag -width Ds\n", f);
		fputs(".It Ic include Ar PATTERN\n", f);
		mdoc_text(f, apw_conf_include_help);
		return;
	}
	if (m != NULL)
		fprintf(f, ".Ss %s %s\n", b->name, m->block);
	else
		fprintf(f, ".Ss %s%s%s\n", b->name,
		    b->kind == APW_BLOCK_PLAIN ? "" : " ",
		    b->kind == APW_BLOCK_PLAIN ? "" : b->arg_help);
	mdoc_text(f, m != NULL ? m->help : b->help);
	if (m != NULL ? m->directives != NULL :
	    b->kind == APW_BLOCK_PLAIN || b->kind == APW_BLOCK_HEAD)
		fputs(".Bl -tag -width Ds\n", f);
}

static void
mdoc_directive(FILE *f, const struct apw_directive *d, const char *indent)
{
	(void)indent;
	fprintf(f, ".It Ic %s Ar %s\n", d->name,
	    d->arg_help != NULL ? d->arg_help : "VALUE");
	mdoc_text(f, d->help);
	if (d->many)
		fputs("May be given more than once.\n", f);
	if (d->dflt != NULL)
		fprintf(f, "Default:\n.Li %s .\n", d->dflt);
	if (d->env != NULL)
		fprintf(f, "Environment:\n.Ev %s .\n", d->env);
	fprintf(f, "%s\n", effect(d->reload));
}

static void
mdoc_end(FILE *f, const char *indent)
{
	(void)indent;
	fputs(".El\n", f);
}

void
apw_conf_manual(FILE *f)
{
	static const struct manual mdoc = { .block = mdoc_block,
	    .directive = mdoc_directive, .end = mdoc_end };
	struct manual		   m = mdoc;

	apw_modules_init();
	m.f = f;
	manual_all(&m);
}

/* ---- apworker.conf.full ---- */

static void
full_text(FILE *f, const char *indent, const char *s)
{
	size_t	n, width = *indent == '\t' ? 68 : 76;

	while (s != NULL && *s != '\0') {
		n = strlen(s);
		if (n > width) {
			n = width;
			while (n > 0 && s[n] != ' ')
				n--;
			if (n == 0)
				n = strcspn(s, " ");
		}
		fprintf(f, "%s# %.*s\n", indent, (int)n, s);
		s += n;
		s += strspn(s, " ");
	}
}

static void
full_block(FILE *f, const struct apw_conf_block *b, const struct apw_module *m)
{
	if (b == NULL) {
		full_text(f, "", apw_conf_include_help);
		fputs("#include apworker.d/*.conf;\n", f);
		return;
	}
	if (m != NULL) {
		putc('\n', f);
		full_text(f, "", m->help);
		fprintf(f, "#%s %s%s\n", b->name, m->block,
		    m->directives != NULL ? " {" : ";");
		return;
	}
	putc('\n', f);
	full_text(f, "", b->help);
	if (b->kind == APW_BLOCK_SANDBOX)
		fputs("#sandbox auto;\n", f);
	else if (b->kind == APW_BLOCK_HEAD)
		fprintf(f, "#%s %s {\n", b->name, b->head->dflt);
	else if (b->kind == APW_BLOCK_PLAIN)
		fprintf(f, "#%s {\n", b->name);
}

static void
full_directive(FILE *f, const struct apw_directive *d, const char *indent)
{
	putc('\n', f);
	full_text(f, indent, d->help);
	fprintf(f, "%s# %s %s\n", indent, d->name,
	    d->arg_help != NULL ? d->arg_help : "VALUE");
	if (d->env != NULL)
		fprintf(f, "%s# environment: %s\n", indent, d->env);
	fprintf(f, "%s# %s\n", indent, effect(d->reload));
	if (d->dflt != NULL)
		fprintf(f, "#%s%s %s;\n", indent, d->name, d->dflt);
	else
		fprintf(f, "#%s%s ...;\n", indent, d->name);
}

static void
full_end(FILE *f, const char *indent)
{
	if (*indent != '\0')
		fputs("#}\n", f);
}

void
apw_conf_full(FILE *f)
{
	static const struct manual full = { .block = full_block,
	    .directive = full_directive, .end = full_end };
	struct manual		   m = full;

	apw_modules_init();
	m.f = f;
	fputs("# apworker.conf: every directive, its meaning and its default.\n"
	    "# Lines that start with \"#\" and a word are the defaults; "
	    "see apworker.conf(5).\n\n", f);
	manual_all(&m);
}
