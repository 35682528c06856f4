/* What an engine said while it had one operation: two streams, each bounded,
 * keeping the beginning and the end of what was too much. */
#ifndef APW_SLOT_CAPTURE_H
#define APW_SLOT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_str.h"

struct apw_stream {
	size_t		 cap;		/* bytes kept at most */
	char		*head;		/* owned; the first cap/2 bytes */
	size_t		 head_len, head_size;
	char		*tail;		/* owned; ring of the last cap/2 bytes */
	size_t		 tail_at;	/* where the next byte goes */
	size_t		 tail_len;
	uint64_t	 seen;		/* bytes that came in all */
};

/* Nothing is allocated before the first byte comes. */
void	apw_stream_init(struct apw_stream *, size_t cap);
void	apw_stream_add(struct apw_stream *, struct apw_str);
void	apw_stream_reset(struct apw_stream *);	/* empty; memory kept if small */
void	apw_stream_free(struct apw_stream *);

/* Append the text; what was left out is marked "[... N bytes left out ...]".
 * Cuts fall between UTF-8 characters. */
void	apw_stream_text(const struct apw_stream *, struct apw_buf *);

/* Does the kept text hold the words? */
bool	apw_stream_has(const struct apw_stream *, const char *words);

struct apw_capture {
	struct apw_stream	out, err;	/* told over the engine link */
	struct apw_stream	fd_out, fd_err;	/* written to the real 1 and 2 */
	bool			open;		/* an operation is being captured */
};

void	apw_capture_init(struct apw_capture *, size_t cap);
void	apw_capture_free(struct apw_capture *);
/* A new operation begins: forget what was.  Output while no operation is
 * open is dropped. */
void	apw_capture_begin(struct apw_capture *);
void	apw_capture_end(struct apw_capture *);
/* fd is 1 or 2; real: from the descriptor itself, not over the link. */
void	apw_capture_add(struct apw_capture *, int fd, bool real, struct apw_str);

/* The `logs` text: "stdout:\n…" and "stderr:\n…", empty parts omitted.  With
 * real, lines of the descriptors that the link did not tell are added (an
 * engine echoes on its descriptors what it tells; what a dying one writes is
 * only there). */
void	apw_capture_logs(const struct apw_capture *, bool real, struct apw_buf *);
/* One stream the same way, without its title. */
void	apw_capture_text(const struct apw_capture *, int fd, bool real,
	    struct apw_buf *);

#endif
