/* Lines that say the same again; see apw_log_priv.h.  Room: any.  Who outside,
 * or which fault, makes them is no matter: so many of a phrase are written in
 * a window, the others are counted, and one line tells the count when the
 * window is over, with the fields of the last one.  The memory is fixed; when
 * there are more phrases than it holds, the one longest unheard makes room. */
#include "core/apw_log_priv.h"

#include <stdio.h>
#include <string.h>

#define REPEAT_WINDOW_MS	60000
#define REPEAT_PHRASES		64
#define REPEAT_FIELDS		12
#define REPEAT_TEXT_BYTES	200
#define REPEAT_JOB_BYTES	64
#define REPEAT_KEY_BYTES	64
#define REPEAT_POOL_BYTES	700	/* values of the last one */

struct phrase {
	bool		 used;
	enum apw_log_level level;
	char		 text[REPEAT_TEXT_BYTES];
	char		 job[REPEAT_JOB_BYTES];
	char		 key[REPEAT_KEY_BYTES];	/* values marked APW_K */
	int64_t		 from_ms, last_ms;
	unsigned	 written;
	uint64_t	 counted;
	struct apw_field field[REPEAT_FIELDS + 1];
	char		 pool[REPEAT_POOL_BYTES];
};

static struct phrase	phrases[REPEAT_PHRASES];

static size_t
value_len(const struct apw_field *f)
{
	return f->n == SIZE_MAX ? strlen(f->s) : f->n;
}

/* What tells this one from others of its phrase. */
static void
key_make(char key[REPEAT_KEY_BYTES], const struct apw_field *f)
{
	size_t	len = 0, n;

	for (; f->key != NULL && len < REPEAT_KEY_BYTES - 24; f++) {
		if (!f->tells_apart)
			continue;
		if (f->s == NULL) {
			len += (size_t)snprintf(key + len,
			    REPEAT_KEY_BYTES - len, "%" PRId64 ",", f->i);
			continue;
		}
		n = value_len(f);
		if (n > REPEAT_KEY_BYTES - 2 - len)
			n = REPEAT_KEY_BYTES - 2 - len;
		memcpy(key + len, f->s, n);
		len += n;
		key[len++] = ',';
	}
	key[len] = '\0';
}

static bool
phrase_is(const struct phrase *p, enum apw_log_level level, const char *job,
    const char *text, const char *key)
{
	return p->used && p->level == level && strcmp(p->job, job) == 0 &&
	    strncmp(p->text, text, sizeof(p->text) - 1) == 0 &&
	    strcmp(p->key, key) == 0;
}

/* The fields of the last line; a text that finds no room is cut. */
static void
phrase_keep(struct phrase *p, const struct apw_field *f)
{
	size_t	i, n, used = 0;

	for (i = 0; i < REPEAT_FIELDS && f[i].key != NULL; i++) {
		p->field[i] = f[i];
		if (f[i].s == NULL)
			continue;
		n = value_len(&f[i]);
		if (n > sizeof(p->pool) - used)
			n = sizeof(p->pool) - used;
		memcpy(p->pool + used, f[i].s, n);
		p->field[i].s = p->pool + used;
		p->field[i].n = n;
		used += n;
	}
	p->field[i] = (struct apw_field){ .key = NULL };
}

/* 4211 as "4,211". */
static const char *
number_text(uint64_t n, char buf[32])
{
	char	digits[24];
	size_t	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t	i, at = 0;

	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}

/* The end of a window: a phrase that was not heard again is forgotten, one
 * that was begins its next window with what it has told. */
static void
phrase_tell(struct phrase *p, int64_t now_ms, log_say_fn *say)
{
	char	text[REPEAT_TEXT_BYTES + 128], number[32];
	int64_t	s = (now_ms - p->from_ms + 500) / 1000;

	if (p->counted == 0) {
		p->used = false;
		return;
	}
	snprintf(text, sizeof(text), "%s: %s more in the last %" PRId64 " s",
	    p->text, number_text(p->counted, number), s < 1 ? 1 : s);
	p->counted = 0;
	p->from_ms = now_ms;
	p->written = UINT32_MAX;
	say(p->level, p->job, text, p->field);
}

void
log_repeat_flush(int64_t now_ms, bool all, log_say_fn *say)
{
	size_t	i;

	for (i = 0; i < REPEAT_PHRASES; i++)
		if (phrases[i].used && (all ||
		    now_ms - phrases[i].from_ms >= REPEAT_WINDOW_MS))
			phrase_tell(&phrases[i], now_ms, say);
}

/* A free cell, or the one that was heard of longest ago: before all one that
 * has nothing to tell. */
static struct phrase *
phrase_room(int64_t now_ms, log_say_fn *say)
{
	struct phrase	*p, *old = NULL;

	for (p = phrases; p < phrases + REPEAT_PHRASES; p++) {
		if (!p->used)
			return p;
		if (old == NULL || (p->counted == 0) > (old->counted == 0) ||
		    ((p->counted == 0) == (old->counted == 0) &&
		    p->last_ms < old->last_ms))
			old = p;
	}
	phrase_tell(old, now_ms, say);
	return old;
}

bool
log_repeat_pass(enum apw_log_level level, unsigned burst, const char *job,
    const char *text, const struct apw_field *f, int64_t now_ms,
    log_say_fn *say)
{
	char		 key[REPEAT_KEY_BYTES];
	struct phrase	*p;

	log_repeat_flush(now_ms, false, say);
	key_make(key, f);
	for (p = phrases; p < phrases + REPEAT_PHRASES; p++)
		if (phrase_is(p, level, job, text, key))
			break;
	if (p == phrases + REPEAT_PHRASES) {
		p = phrase_room(now_ms, say);
		*p = (struct phrase){ .used = true, .level = level,
		    .from_ms = now_ms };
		snprintf(p->text, sizeof(p->text), "%s", text);
		snprintf(p->job, sizeof(p->job), "%s", job);
		memcpy(p->key, key, sizeof(key));
	}
	p->last_ms = now_ms;
	if (p->written < burst) {
		p->written++;
		return true;
	}
	p->counted++;
	phrase_keep(p, f);
	return false;
}

void
log_repeat_forget(void)
{
	size_t	i;

	for (i = 0; i < REPEAT_PHRASES; i++)
		phrases[i].used = false;
}
