/* Complaints about the configuration: collected while reading, printed all at
 * once and in the order of the files.  Room: core.  They never hold a
 * secret. */
#include "core/apw_conf_priv.h"
#include "core/apw_fit.h"

#include <stdlib.h>
#include <string.h>

struct apw_complaint {
	struct apw_complaint	*next;
	struct apw_conf_place	 place;
	unsigned		 serial;
	bool			 warning;
	const char		*text;
};

void
apw_conf_verror(struct apw_conf *conf, struct apw_conf_place place,
    bool warning, const char *fmt, va_list ap)
{
	struct apw_complaint	*c;
	char			 text[2048];

	if (warning)
		conf->warnings++;
	else
		conf->errors++;
	if (conf->errors + conf->warnings > APW_CONF_ERRORS_MAX)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	c = apw_arena_alloc(conf->arena, sizeof(*c));
	if (c == NULL || (c->text = apw_arena_strdup(conf->arena,
	    text)) == NULL) {
		conf->no_memory = true;
		return;
	}
	c->place = place;
	c->warning = warning;
	c->serial = conf->errors + conf->warnings;
	*conf->complaints_tail = c;
	conf->complaints_tail = &c->next;
}

void
apw_conf_error(struct apw_conf *conf, struct apw_conf_place place,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	apw_conf_verror(conf, place, false, fmt, ap);
	va_end(ap);
}

void
apw_conf_warning(struct apw_conf *conf, struct apw_conf_place place,
    const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	apw_conf_verror(conf, place, true, fmt, ap);
	va_end(ap);
}

const char *
apw_conf_quote(struct apw_conf *conf, const char *s)
{
	char	 text[80];
	size_t	 n = 0;

	for (; *s != '\0' && n < 64; s++)
		text[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s;
	if (*s != '\0') {
		/* not in the middle of a character */
		while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
			n--;
		if (n > 0 && ((unsigned char)text[n - 1] & 0x80) != 0)
			n--;
		memcpy(text + n, "...", 3);
		n += 3;
	}
	s = apw_arena_str(conf->arena, (struct apw_str){ text, n });
	return s == NULL ? "?" : s;
}

const char *
apw_conf_place_text(struct apw_conf *conf, struct apw_conf_place place)
{
	const char	*s;

	if (place.text == NULL)
		return "the defaults";
	if (place.line == 0)
		return place.text->name;
	s = apw_arena_printf(conf->arena, "%s:%u", place.text->name,
	    place.line);
	return s == NULL ? place.text->name : s;
}

static int
by_place(const void *a, const void *b)
{
	const struct apw_complaint	*x = *(struct apw_complaint *const *)a;
	const struct apw_complaint	*y = *(struct apw_complaint *const *)b;
	bool				 px = x->place.line != 0;
	bool				 py = y->place.line != 0;

	/* what speaks of no line comes after what does */
	if (px != py)
		return px ? -1 : 1;
	if (px && x->place.text->rank != y->place.text->rank)
		return x->place.text->rank < y->place.text->rank ? -1 : 1;
	if (px && x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	if (px && x->place.column != y->place.column)
		return x->place.column < y->place.column ? -1 : 1;
	return x->serial < y->serial ? -1 : 1;
}

static void
print_one(const struct apw_conf *conf, const struct apw_complaint *c, FILE *f)
{
	if (c->place.text != NULL)
		fprintf(f, "%s:", c->place.text->name);
	else
		fprintf(f, "%s:", conf->options->file != NULL ?
		    conf->options->file : "apworkerd");
	if (c->place.text != NULL && c->place.line != 0)
		fprintf(f, "%u:%u:", c->place.line, c->place.column);
	fprintf(f, " %s: %s\n", c->warning ? "warning" : "error", c->text);
}

void
apw_conf_print_complaints(struct apw_conf *conf, FILE *f)
{
	struct apw_complaint	*c, *all[APW_CONF_ERRORS_MAX];
	size_t			 n = 0, i;

	for (c = conf->complaints; c != NULL && n < APW_CONF_ERRORS_MAX;
	    c = c->next)
		all[n++] = c;
	qsort(all, n, sizeof(all[0]), by_place);
	for (i = 0; i < n; i++)
		print_one(conf, all[i], f);
	if (conf->no_memory)
		fprintf(f, "apworkerd: error: out of memory\n");
	if (conf->errors + conf->warnings > APW_CONF_ERRORS_MAX)
		fprintf(f, "apworkerd: too many complaints; the first %d "
		    "are shown\n", APW_CONF_ERRORS_MAX);
	if (conf->errors == 0 && !conf->no_memory)
		return;
	fprintf(f, "apworkerd: %s: %u error%s%s\n",
	    conf->options->file != NULL ? conf->options->file :
	    "configuration", conf->errors, conf->errors == 1 ? "" : "s",
	    conf->options->cycle > 1 ?
	    "; the running configuration is unchanged" : "");
}

/* What speaks later of what was read. */
static const struct apw_conf_context *
where_context(const struct apw_cycle *cycle, const char *block)
{
	size_t	i;

	if (block == NULL)
		return cycle->contexts;
	for (i = 0; i < cycle->ncontexts; i++)
		if (strcmp(block, "source") == 0 ?
		    cycle->contexts[i].module != NULL &&
		    cycle->contexts[i].module == cycle->source :
		    strcmp(cycle->contexts[i].label, block) == 0)
			return &cycle->contexts[i];
	return cycle->contexts;
}

void
apw_conf_where(const struct apw_cycle *cycle, const char *block,
    const char *directive, char *buf, size_t size)
{
	const struct apw_conf_context	*context = where_context(cycle, block);
	const struct apw_directive	*d = directive == NULL ? NULL :
	    apw_conf_find_directive(context->directives, directive);
	const struct apw_conf_origin	*o = d == NULL ? NULL :
	    apw_conf_find_origin(cycle, context, d);
	struct apw_conf_place		 place = context->place;

	if (o != NULL && o->from == APW_FROM_ENVIRONMENT) {
		snprintf(buf, size, "environment %s", o->note);
		return;
	}
	if (o != NULL && o->from != APW_FROM_DEFAULT)
		place = o->place;
	if (place.text != NULL && place.line != 0)
		snprintf(buf, size, "%s:%u:%u", place.text->name, place.line,
		    place.column);
	else
		snprintf(buf, size, "%s", cycle->file != NULL ? cycle->file :
		    "environment");
}
