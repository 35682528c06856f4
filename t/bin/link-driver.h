/*
 * What the two link test drivers share: commands are lines on standard
 * input, events are lines on standard output.
 */
#ifndef LINK_DRIVER_H
#define LINK_DRIVER_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "proto/apw_raw.h"

static struct event_base *base;

/* One line out; text behind it as it is. */
static void __attribute__((format(printf, 2, 3)))
say(struct apw_str text, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	fwrite(text.p, 1, text.n, stdout);
	putchar('\n');
	fflush(stdout);
}

#define NOTHING ((struct apw_str){ "", 0 })

/* The next word of the line, NUL-terminated; "" at its end. */
static char *
word(char **line)
{
	char	*w = *line, *end = strchr(w, ' ');

	if (end == NULL)
		*line = w + strlen(w);
	else {
		*end = '\0';
		*line = end + 1;
	}
	return w;
}

static void	command(char *name, char *rest);

static void
on_input(struct bufferevent *bev, void *arg)
{
	char	*line, *rest;
	char	*name;

	(void)arg;
	while ((line = evbuffer_readln(bufferevent_get_input(bev), NULL,
	    EVBUFFER_EOL_LF)) != NULL) {
		rest = line;
		name = word(&rest);
		command(name, rest);
		free(line);
	}
}

static void
on_input_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

static void
driver_run(void)
{
	struct bufferevent	*in;
	struct event		*term;

	in = bufferevent_socket_new(base, 0, 0);
	bufferevent_setcb(in, on_input, NULL, on_input_end, NULL);
	bufferevent_set_max_single_read(in, 1 << 20);
	bufferevent_enable(in, EV_READ);
	term = evsignal_new(base, SIGTERM, on_signal, NULL);
	event_add(term, NULL);
	event_base_dispatch(base);
	event_free(term);
	bufferevent_free(in);
}

#endif
