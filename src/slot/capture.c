/* Capturing an engine's output; see capture.h.  Room: slot.
 *
 * Memory is bounded whatever the engine writes; nothing here blocks. */
#include "slot/capture.h"

#include <stdlib.h>
#include <string.h>

#define CAPTURE_KEEP_BYTES	(64 * 1024)	/* of idle memory, per stream */
#define CAPTURE_LINES_MAX	65536		/* told lines that are remembered */

void
apw_stream_init(struct apw_stream *s, size_t cap)
{
	memset(s, 0, sizeof(*s));
	s->cap = cap < 2 ? 2 : cap;
}

/* The beginning grows with its text; the ring is made only when the
 * beginning is full. */
static size_t
stream_add_head(struct apw_stream *s, struct apw_str text)
{
	size_t	 half = s->cap / 2, n, size;
	char	*more;

	n = half - s->head_len < text.n ? half - s->head_len : text.n;
	if (n == 0)
		return 0;
	if (s->head_len + n > s->head_size) {
		for (size = 1024; size < s->head_len + n; size *= 2)
			;
		if ((more = realloc(s->head, size)) == NULL)
			return 0;
		s->head = more;
		s->head_size = size;
	}
	memcpy(s->head + s->head_len, text.p, n);
	s->head_len += n;
	return n;
}

static void
stream_add_tail(struct apw_stream *s, struct apw_str text)
{
	size_t	size = s->cap - s->cap / 2, n;

	if (s->tail == NULL && (s->tail = malloc(size)) == NULL)
		return;
	if (text.n > size) {			/* only its end survives */
		text.p += text.n - size;
		text.n = size;
	}
	n = size - s->tail_at < text.n ? size - s->tail_at : text.n;
	memcpy(s->tail + s->tail_at, text.p, n);
	memcpy(s->tail, text.p + n, text.n - n);
	s->tail_at = (s->tail_at + text.n) % size;
	s->tail_len = s->tail_len + text.n < size ? s->tail_len + text.n : size;
}

void
apw_stream_add(struct apw_stream *s, struct apw_str text)
{
	size_t	n;

	if (text.n == 0)
		return;
	s->seen += text.n;
	n = stream_add_head(s, text);
	text.p += n;
	text.n -= n;
	if (text.n != 0)
		stream_add_tail(s, text);
}

void
apw_stream_free(struct apw_stream *s)
{
	free(s->head);
	free(s->tail);
	apw_stream_init(s, s->cap);
}

void
apw_stream_reset(struct apw_stream *s)
{
	if (s->head_size > CAPTURE_KEEP_BYTES || s->tail != NULL) {
		apw_stream_free(s);
		return;
	}
	s->head_len = 0;
	s->seen = 0;
}

static bool
stream_continues(char c)			/* an UTF-8 character */
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The length without a character that is cut in two at its end. */
static size_t
stream_whole(const char *p, size_t n)
{
	size_t	at = n, want;

	while (at > 0 && n - at < 3 && stream_continues(p[at - 1]))
		at--;
	if (at == 0 || (unsigned char)p[at - 1] < 0xc0)
		return n;
	want = (unsigned char)p[at - 1] >= 0xf0 ? 4 :
	    (unsigned char)p[at - 1] >= 0xe0 ? 3 : 2;
	return n - (at - 1) < want ? at - 1 : n;
}

void
apw_stream_text(const struct apw_stream *s, struct apw_buf *out)
{
	size_t		size = s->cap - s->cap / 2, from, n = s->head_len;
	uint64_t	lost = s->seen - s->head_len - s->tail_len;

	if (lost != 0)
		n = stream_whole(s->head, n);
	apw_buf_put(out, s->head, n);
	if (s->tail_len == 0)
		return;
	from = (s->tail_at + size - s->tail_len) % size;
	n = s->tail_len;
	if (lost != 0) {
		while (n > 0 && s->tail_len - n < 3 &&
		    stream_continues(s->tail[from])) {
			from = (from + 1) % size;
			n--;
		}
		apw_buf_printf(out, "\n[... %llu bytes left out ...]\n",
		    (unsigned long long)lost);
	}
	if (from + n > size) {
		apw_buf_put(out, s->tail + from, size - from);
		n -= size - from;
		from = 0;
	}
	apw_buf_put(out, s->tail + from, n);
}

bool
apw_stream_has(const struct apw_stream *s, const char *words)
{
	struct apw_buf	 buf = APW_BUF_INIT(0);
	bool		 has;

	if (s->seen == 0)
		return false;
	apw_stream_text(s, &buf);
	has = buf.data != NULL &&
	    memmem(buf.data, buf.len, words, strlen(words)) != NULL;
	apw_buf_free(&buf);
	return has;
}

void
apw_capture_init(struct apw_capture *c, size_t cap)
{
	memset(c, 0, sizeof(*c));
	apw_stream_init(&c->out, cap);
	apw_stream_init(&c->err, cap);
	apw_stream_init(&c->fd_out, CAPTURE_KEEP_BYTES);
	apw_stream_init(&c->fd_err, CAPTURE_KEEP_BYTES);
}

void
apw_capture_free(struct apw_capture *c)
{
	apw_stream_free(&c->out);
	apw_stream_free(&c->err);
	apw_stream_free(&c->fd_out);
	apw_stream_free(&c->fd_err);
}

void
apw_capture_begin(struct apw_capture *c)
{
	apw_stream_reset(&c->out);
	apw_stream_reset(&c->err);
	apw_stream_reset(&c->fd_out);
	apw_stream_reset(&c->fd_err);
	c->open = true;
}

void
apw_capture_end(struct apw_capture *c)
{
	c->open = false;
}

void
apw_capture_add(struct apw_capture *c, int fd, bool real, struct apw_str text)
{
	if (!c->open)
		return;
	if (real)
		apw_stream_add(fd == 2 ? &c->fd_err : &c->fd_out, text);
	else
		apw_stream_add(fd == 2 ? &c->err : &c->out, text);
}

/* A set of lines, by hash: enough to tell an echo from news. */
struct capture_lines {
	uint64_t	*hash;		/* owned; 0: free cell */
	size_t		 size;		/* power of two */
};

static struct apw_str
capture_line(struct apw_str *rest)
{
	const char	*nl = memchr(rest->p, '\n', rest->n);
	struct apw_str	 line = *rest;

	if (nl != NULL)
		line.n = (size_t)(nl - rest->p);
	rest->p += line.n + (nl != NULL);
	rest->n -= line.n + (nl != NULL);
	return line;
}

static uint64_t *
capture_cell(const struct capture_lines *l, struct apw_str line)
{
	uint64_t	h = 14695981039346656037u;
	size_t		i;

	for (i = 0; i < line.n; i++)
		h = (h ^ (unsigned char)line.p[i]) * 1099511628211u;
	h |= 1;					/* never the free cell's */
	for (i = (size_t)(h >> 16) & (l->size - 1);
	    l->hash[i] != 0 && l->hash[i] != h; i = (i + 1) & (l->size - 1))
		;
	if (l->hash[i] == 0) {			/* not there: for the caller */
		l->hash[i] = h;
		return NULL;
	}
	return &l->hash[i];
}

/* Append the lines of `real` that are not in `told`. */
static void
capture_news(struct apw_str told, struct apw_str real, struct apw_buf *out)
{
	struct capture_lines	l = { .size = CAPTURE_LINES_MAX * 2 };
	struct apw_str		line;
	size_t			n = 0;

	if ((l.hash = calloc(l.size, sizeof(*l.hash))) == NULL)
		return;
	while (told.n != 0 && n++ < CAPTURE_LINES_MAX / 2)
		capture_cell(&l, capture_line(&told));
	while (real.n != 0 && n++ < CAPTURE_LINES_MAX) {
		line = capture_line(&real);
		if (line.n == 0 || capture_cell(&l, line) != NULL)
			continue;
		apw_buf_str(out, line);
		apw_buf_puts(out, "\n");
	}
	free(l.hash);
}

void
apw_capture_text(const struct apw_capture *c, int fd, bool real,
    struct apw_buf *out)
{
	const struct apw_stream	*told = fd == 2 ? &c->err : &c->out;
	const struct apw_stream	*fds = fd == 2 ? &c->fd_err : &c->fd_out;
	struct apw_buf		 a = APW_BUF_INIT(0), b = APW_BUF_INIT(0);

	apw_stream_text(told, &a);
	apw_buf_str(out, apw_buf_view(&a));
	if (real && fds->seen != 0) {
		apw_stream_text(fds, &b);
		if (told->seen != 0 && a.len != 0 && a.data[a.len - 1] != '\n')
			apw_buf_puts(out, "\n");
		if (told->seen == 0)
			apw_buf_str(out, apw_buf_view(&b));
		else
			capture_news(apw_buf_view(&a), apw_buf_view(&b), out);
	}
	apw_buf_free(&a);
	apw_buf_free(&b);
}

void
apw_capture_logs(const struct apw_capture *c, bool real, struct apw_buf *out)
{
	size_t	before;
	int	fd;

	for (fd = 1; fd <= 2; fd++) {
		const struct apw_stream *told = fd == 2 ? &c->err : &c->out;
		const struct apw_stream *fds = fd == 2 ? &c->fd_err : &c->fd_out;

		if (told->seen == 0 && (!real || fds->seen == 0))
			continue;
		before = out->len;
		if (before != 0)
			apw_buf_puts(out, "\n");
		apw_buf_puts(out, fd == 2 ? "stderr:\n" : "stdout:\n");
		apw_capture_text(c, fd, real, out);
	}
}
