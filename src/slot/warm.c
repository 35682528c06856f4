/* Piece warm-up; see warm.h.  Room: slot.
 *
 *	wait ─ getUsedPieces ─┬─ chunk: archives, order ─┬─ end
 *			      └──────────────────────────┘
 *
 * Nobody waits for it, and a failure of it is a line in the log. */
#include "slot/warm.h"

#include <stdlib.h>
#include <string.h>

#include "core/apw_arena.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "proto/apw_raw.h"

#define WARM_MAGIC	0x5741524d
#define WARM_DELAY_MS	3000	/* of idleness; the jobs that wait come first */
#define WARM_CHUNK	4	/* pieces at a time */
#define WARM_PIECES_MAX	4096
#define WARM_TEXT_MAX	512
#define WARM_CALL_MS	60000
#define WARM_TRIES	3	/* of a chunk that others interrupt */

struct apw_warmer {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed, as the next three */
	struct apw_stock	*stock;
	const struct apw_source_ops *ops;
	struct apw_source	*source;
	const struct apw_settings *settings;	/* borrowed while idle */
	struct event		*timer;		/* owned */
	struct apw_arena	*arena;		/* owned; the pieces */
	struct apw_stock_piece	*pieces;	/* NULL: not asked yet */
	size_t			 n, next, failed;
	unsigned		 tries;
	struct apw_stock_order	 order;
	struct apw_stock_ticket	*ticket;	/* NULL: none under way */
	uint32_t		 call;		/* 0: none under way */
	bool			 per_platform;
	bool			 done;
	int64_t			 from_ms;
};

static void warm_on(struct apw_warmer *);

static void
warm_arm(struct apw_warmer *w, int64_t ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(w->timer, &tv);
}

static void
warm_end(struct apw_warmer *w)
{
	w->done = true;
	if (w->n > 0)
		apw_info("pieces in use are installed", APW_I("count", w->n),
		    APW_I("failed", w->failed), APW_I("took_ms",
		    apw_now_ms() - w->from_ms));
	w->pieces = NULL;
	apw_arena_free(w->arena);
	w->arena = NULL;
}

static const char *
warm_text(struct apw_warmer *w, struct apw_str package, const char *key)
{
	struct apw_buf	b = APW_BUF_INIT(WARM_TEXT_MAX);
	struct apw_str	v;
	char		*text = NULL;

	if (apw_raw_member(package, key, &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_STRING &&
	    apw_raw_decode(&b, apw_raw_trim(v)) == 0 && b.len > 0 &&
	    strlen(b.data) == b.len)
		text = apw_arena_str(w->arena, apw_buf_view(&b));
	apw_buf_free(&b);
	return text;
}

/* What cannot be a piece is left out: the stock would refuse the order. */
static void
warm_take_piece(struct apw_warmer *w, struct apw_str package)
{
	struct apw_stock_piece	p = {
		.package_type = warm_text(w, package, "packageType"),
		.piece_type = warm_text(w, package, "pieceType"),
		.name = warm_text(w, package, "pieceName"),
		.version = warm_text(w, package, "pieceVersion"),
		.archive_id = warm_text(w, package, "archiveId"),
		.platform_id = warm_text(w, package, "platformId"),
	};

	if (p.package_type == NULL || p.piece_type == NULL ||
	    !apw_stock_piece_ok(&p, w->per_platform) ||
	    apw_settings_dev_piece(w->settings, p.name))
		return;
	if (strcmp(p.package_type, "ARCHIVE") != 0)
		p.archive_id = NULL;
	w->pieces[w->n++] = p;
}

static void
warm_on_list(void *arg, const struct apw_reply *reply)
{
	struct apw_raw_iter	 it;
	struct apw_str		 package;
	struct apw_warmer	*w;

	APW_CAST(w, arg, WARM_MAGIC);
	w->call = 0;
	w->arena = apw_arena_new();
	w->pieces = w->arena == NULL ? NULL : apw_arena_alloc(w->arena,
	    WARM_PIECES_MAX * sizeof(*w->pieces));
	if (reply->kind == APW_REPLY_UNKNOWN ||
	    reply->kind == APW_REPLY_UNSENT) {
		apw_arena_free(w->arena);	/* after the reconnect */
		w->arena = NULL;
		w->pieces = NULL;
		return;
	}
	if (reply->kind != APW_REPLY_OK || w->pieces == NULL ||
	    apw_raw_type(reply->result) != APW_RAW_ARRAY ||
	    apw_raw_iter(&it, reply->result) == -1) {
		apw_notice("the pieces in use are not known", APW_S("error",
		    reply->kind != APW_REPLY_OK ? reply->error :
		    "the answer is no list"));
		warm_end(w);
		return;
	}
	while (w->n < WARM_PIECES_MAX &&
	    apw_raw_next(&it, NULL, &package) == 1)
		if (apw_raw_type(package) == APW_RAW_OBJECT)
			warm_take_piece(w, package);
	warm_on(w);
}

static void
warm_ask(struct apw_warmer *w)
{
	struct apw_str	payload = APW_STR("{}");
	struct apw_err	err = APW_ERR_NONE;

	w->from_ms = apw_now_ms();
	w->call = w->ops->call(w->source, "getUsedPieces", &payload, 1,
	    WARM_CALL_MS, warm_on_list, w, &err);
	if (w->call == 0)
		warm_end(w);
}

static void
warm_on_stocked(void *arg, enum apw_stock_fault fault,
    const struct apw_err *err)
{
	struct apw_warmer	*w;

	APW_CAST(w, arg, WARM_MAGIC);
	w->ticket = NULL;
	if (fault == APW_STOCK_YIELDED && ++w->tries < WARM_TRIES) {
		warm_arm(w, WARM_DELAY_MS);
		return;
	}
	if (fault != APW_STOCK_OK) {
		w->failed++;
		apw_notice("pieces in use could not be installed",
		    APW_E(err));
	}
	w->tries = 0;
	w->next += w->order.npieces;
	warm_arm(w, 0);
}

static void
warm_on_archive(void *arg, const struct apw_reply *reply)
{
	struct apw_warmer	*w;
	struct apw_err		 err = APW_ERR_NONE;

	APW_CAST(w, arg, WARM_MAGIC);
	w->call = 0;
	if (reply->kind != APW_REPLY_OK || reply->nbinary != 1 ||
	    apw_stock_archive_put(w->stock, &w->pieces[w->next],
	    w->per_platform, reply->binary[0], &err) == -1) {
		w->failed++;
		w->next++;		/* not this one */
	}
	warm_arm(w, 0);
}

/* True: the archive of the next piece is missing, and was asked for. */
static bool
warm_archive(struct apw_warmer *w)
{
	const struct apw_stock_piece	*p = &w->pieces[w->next];
	struct apw_buf			 b = APW_BUF_INIT(4096);
	struct apw_str			 payload;
	struct apw_err			 err = APW_ERR_NONE;

	if (p->archive_id == NULL ||
	    apw_stock_archive_has(w->stock, p, w->per_platform))
		return false;
	apw_buf_puts(&b, "{\"archiveId\":");
	apw_buf_json_c(&b, p->archive_id);
	apw_buf_puts(&b, "}");
	payload = apw_buf_view(&b);
	w->call = w->ops->call(w->source, "getPieceArchive", &payload, 1,
	    WARM_CALL_MS, warm_on_archive, w, &err);
	apw_buf_free(&b);
	if (w->call == 0) {
		w->next++;
		warm_arm(w, 0);
	}
	return true;
}

/* The next chunk: a piece with an archive goes alone. */
static void
warm_on(struct apw_warmer *w)
{
	size_t	n = 1;

	if (w->next >= w->n) {
		warm_end(w);
		return;
	}
	if (warm_archive(w))
		return;
	while (n < WARM_CHUNK && w->next + n < w->n &&
	    w->pieces[w->next].archive_id == NULL &&
	    w->pieces[w->next + n].archive_id == NULL)
		n++;
	w->order = (struct apw_stock_order){ .pieces = &w->pieces[w->next],
	    .npieces = n, .per_platform = w->per_platform,
	    .background = true };
	w->ticket = apw_stock_order(w->stock, &w->order, warm_on_stocked, w);
	if (w->ticket == NULL)
		warm_end(w);
}

static void
warm_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_warmer	*w;

	(void)fd;
	(void)what;
	APW_CAST(w, arg, WARM_MAGIC);
	if (w->pieces == NULL)
		warm_ask(w);
	else
		warm_on(w);
}

void
apw_warmer_go(struct apw_warmer *w, const struct apw_settings *settings,
    bool per_platform)
{
	w->settings = settings;
	if (w->done || settings->release >= APW_RELEASE(0, 86, 0) ||
	    w->call != 0 || w->ticket != NULL)
		return;
	w->per_platform = per_platform;
	warm_arm(w, WARM_DELAY_MS);
}

void
apw_warmer_pause(struct apw_warmer *w)
{
	event_del(w->timer);
	if (w->call != 0)
		w->ops->cancel(w->source, w->call);
	w->call = 0;
	apw_stock_cancel(w->ticket);
	w->ticket = NULL;
}

struct apw_warmer *
apw_warmer_new(struct event_base *base, struct apw_stock *stock,
    const struct apw_source_ops *ops, struct apw_source *source)
{
	struct apw_warmer	*w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->magic = WARM_MAGIC;
	w->base = base;
	w->stock = stock;
	w->ops = ops;
	w->source = source;
	w->timer = evtimer_new(base, warm_on_timer, w);
	if (w->timer == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void
apw_warmer_free(struct apw_warmer *w)
{
	if (w == NULL)
		return;
	apw_warmer_pause(w);
	event_free(w->timer);
	apw_arena_free(w->arena);
	w->magic = 0;
	free(w);
}
