/* The log: lines that are one line and one JSON value whatever comes, keys
 * that occur once, repeats that become a count, writes that never wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log_priv.h"

static const char *
line_of(enum apw_log_format format, const char *job, const char *text,
    const struct apw_field *f)
{
	static struct log_line	l;
	const struct log_head	h = { 1896091261204, APW_LOG_WARN, format,
				    "slot/3", job };

	log_line_compose(&l, &h, text, f);
	assert_int_equal(l.text[l.len - 1], '\n');
	assert_true(l.len <= LOG_LINE_BYTES);
	assert_null(memchr(l.text, '\n', l.len - 1));
	l.text[l.len - 1] = '\0';
	assert_int_equal(strlen(l.text), l.len - 1);
	return l.text;
}

#define LINE(format, job, text, ...) line_of((format), (job), (text),	\
	(const struct apw_field[]){ __VA_ARGS__ __VA_OPT__(,) { .key = NULL } })

/* One value, no key twice. */
static json_t *
parsed(const char *line)
{
	json_error_t	error;
	json_t		*o = json_loads(line, JSON_REJECT_DUPLICATES |
	    JSON_ALLOW_NUL, &error);

	if (o == NULL)
		print_error("%s: %s\n", error.text, line);
	assert_non_null(o);
	return o;
}

static void
test_text(void **state)
{
	(void)state;
	assert_string_equal(LINE(APW_LOG_TEXT, "Jx12", "engine exited",
	    APW_I("signal", 9), APW_S("why", "two words"), APW_S("to", "a=b"),
	    APW_S("empty", ""), APW_S("name", "Zo\xc3\xab")),
	    "2030-01-31T12:01:01.204Z warn slot/3 job=Jx12 engine exited "
	    "signal=9 why=\"two words\" to=\"a=b\" empty=\"\" "
	    "name=Zo\xc3\xab");
}

/* What ends lines, moves cursors, turns directions; what is no UTF-8. */
static void
test_hostile_bytes(void **state)
{
	const char	*bad = "a\n\r\t\x1b[2J\x7f\xc2\x9b\x9b\xff\xc0\xaf"
			    "\xed\xa0\x80\xe2\x80\xae\xe2\x80\xa8\"\\\xe2\x82";
	const char	*line;
	json_t		*o;
	size_t		 i;

	(void)state;
	line = LINE(APW_LOG_TEXT, "", "x", APW_S("v", bad));
	for (i = 0; line[i] != '\0'; i++)
		assert_true((unsigned char)line[i] >= 0x20 &&
		    (unsigned char)line[i] < 0x7f);
	assert_non_null(strstr(line, "\\n\\u000d\\u0009\\u001b[2J\\u007f"
	    "\\u009b\\x9b\\xff\\xc0\\xaf\\xed\\xa0\\x80\\u202e\\u2028"
	    "\\\"\\\\\\xe2\\x82"));
	o = parsed(LINE(APW_LOG_JSON, "", "x", APW_S("v", bad)));
	assert_non_null(strstr(json_string_value(json_object_get(o, "v")),
	    "\xef\xbf\xbd"));
	json_decref(o);
	json_decref(parsed(LINE(APW_LOG_JSON, "\xff\"\n", "e\n\"\xff",
	    APW_S("k\"\n\xff", "v"), APW_SN("n", ((struct apw_str){
	    "a\0b", 3 })))));
	line_of(APW_LOG_TEXT, "", "e\n\x1b", (const struct apw_field[]){
	    { .key = NULL } });
}

/* The logger's own keys, the caller's, twice and thrice. */
static void
test_keys_once(void **state)
{
	static const char *const own[] = { "time", "level", "room", "event",
	    "job", "cut" };
	json_t	*o;
	size_t	 i;

	(void)state;
	for (i = 0; i < APW_COUNT(own); i++) {
		o = parsed(LINE(APW_LOG_JSON, "J", "x", APW_S(own[i], "mine"),
		    APW_S(own[i], "other"), APW_I("n", 1)));
		assert_string_equal(json_string_value(json_object_get(o,
		    "room")), "slot/3");
		assert_string_equal(json_string_value(json_object_get(o,
		    "job")), "J");
		assert_int_equal(json_object_size(o), 8);
		json_decref(o);
	}
	o = parsed(LINE(APW_LOG_JSON, "J", "x", APW_S("error", "a"),
	    APW_S("error_2", "b"), APW_S("error", "c"), APW_S("error", "d")));
	assert_string_equal(json_string_value(json_object_get(o, "error")),
	    "a");
	assert_string_equal(json_string_value(json_object_get(o, "error_2")),
	    "b");
	assert_string_equal(json_string_value(json_object_get(o, "error_3")),
	    "c");
	assert_string_equal(json_string_value(json_object_get(o, "error_4")),
	    "d");
	json_decref(o);
	/* the line's job told once more is not told twice; another one is */
	assert_string_equal(LINE(APW_LOG_TEXT, "J", "x", APW_S("job", "J"),
	    APW_I("n", 1)), "2030-01-31T12:01:01.204Z warn slot/3 job=J x n=1");
	assert_string_equal(LINE(APW_LOG_TEXT, "J", "x", APW_S("job", "K")),
	    "2030-01-31T12:01:01.204Z warn slot/3 job=J x job_2=K");
	assert_string_equal(LINE(APW_LOG_TEXT, "", "x", APW_S("job", "K")),
	    "2030-01-31T12:01:01.204Z warn slot/3 x job=K");
}

/* As long as it may be, and longer: still one value. */
static void
test_long(void **state)
{
	struct apw_field	 f[60] = { 0 };
	static char		 big[20000], key[200];
	json_t			*o;
	size_t			 n, i;
	static const char *const fill[] = { "a", "\x01", "\xff", "\"",
	    "\xf0\x9f\x98\x80" };

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	for (i = 0; i < APW_COUNT(fill); i++) {
		for (n = 0; n + strlen(fill[i]) < sizeof(big) - 1;
		    n += strlen(fill[i]))
			memcpy(big + n, fill[i], strlen(fill[i]));
		big[n] = '\0';
		for (n = 0; n < 59; n++) {
			f[n] = (struct apw_field)APW_S(n % 2 ? key : "k", big);
			f[n + 1] = (struct apw_field){ .key = NULL };
			o = parsed(line_of(APW_LOG_JSON, "J", "x", f));
			json_decref(o);
			o = parsed(line_of(APW_LOG_JSON, "J", big, f));
			json_decref(o);
			line_of(APW_LOG_TEXT, "J", "x", f);
			line_of(APW_LOG_TEXT, "J", big, f);
		}
		assert_true(json_integer_value(json_object_get(o = parsed(
		    line_of(APW_LOG_JSON, "J", "x", f)), "cut")) > 50);
		json_decref(o);
	}
}

/* --- repeats --- */

static char	said[4000];
static unsigned	nsaid;

static void
say(enum apw_log_level level, const char *job, const char *text,
    const struct apw_field *f)
{
	(void)level;
	nsaid++;
	snprintf(said, sizeof(said), "%s|%s|%s=%.*s", job, text,
	    f->key == NULL ? "" : f->key, f->key == NULL || f->s == NULL ? 0 :
	    (int)(f->n == SIZE_MAX ? strlen(f->s) : f->n),
	    f->key == NULL || f->s == NULL ? "" : f->s);
}

static bool
pass(unsigned burst, const char *job, const char *text,
    const struct apw_field *f, int64_t now)
{
	return log_repeat_pass(APW_LOG_WARN, burst, job, text, f, now, say);
}

static void
test_repeats(void **state)
{
	struct apw_field	 f[] = { APW_S("why", "first"), { 0 } };
	char			 why[32];
	int			 i;

	(void)state;
	log_repeat_forget();
	nsaid = 0;
	assert_true(pass(1, "", "refused", f, 1000));
	for (i = 0; i < 4211; i++) {
		snprintf(why, sizeof(why), "no. %d", i);
		f[0] = (struct apw_field)APW_S("why", why);
		assert_false(pass(1, "", "refused", f, 1000 + i));
	}
	assert_int_equal(nsaid, 0);
	log_repeat_flush(60999, false, say);
	assert_int_equal(nsaid, 0);
	why[0] = '\0';		/* it has kept its own copy */
	log_repeat_flush(61000, false, say);
	assert_int_equal(nsaid, 1);
	assert_string_equal(said, "|refused: 4,211 more in the last 60 s|"
	    "why=no. 4210");
	/* a fault that lasts is one line a minute, nothing in between */
	assert_false(pass(1, "", "refused", f, 70000));
	log_repeat_flush(121000, false, say);
	assert_int_equal(nsaid, 2);
	/* a quiet minute, and the next is a first one again */
	log_repeat_flush(181000, false, say);
	assert_int_equal(nsaid, 2);
	assert_true(pass(1, "", "refused", f, 181001));
	log_repeat_flush(181002, true, say);
	assert_int_equal(nsaid, 2);
}

static void
test_repeats_apart(void **state)
{
	const struct apw_field	 none[] = { { 0 } };
	const struct apw_field	 a[] = { APW_K("why", "a"), { 0 } };
	const struct apw_field	 b[] = { APW_K("why", "b"), { 0 } };
	const struct apw_field	 s1[] = { APW_KI("slot", 1), { 0 } };
	const struct apw_field	 s2[] = { APW_KI("slot", 2), { 0 } };
	int			 i;

	(void)state;
	log_repeat_forget();
	nsaid = 0;
	assert_true(pass(1, "", "x", a, 1));
	assert_true(pass(1, "", "x", b, 1));
	assert_false(pass(1, "", "x", a, 1));
	assert_true(pass(1, "", "x", s1, 1));
	assert_true(pass(1, "", "x", s2, 1));
	assert_true(pass(1, "J1", "x", none, 1));
	assert_true(pass(1, "J2", "x", none, 1));
	for (i = 0; i < 40; i++)
		assert_true(pass(40, "", "y", none, 1));
	assert_false(pass(40, "", "y", none, 1));
	log_repeat_flush(500, true, say);
	assert_int_equal(nsaid, 2);
}

/* More phrases than there is memory for: none is lost without a word. */
static void
test_repeats_many(void **state)
{
	const struct apw_field	none[] = { { 0 } };
	unsigned		passed = 0, counted = 0, more;
	char			text[32];
	int			i;

	(void)state;
	log_repeat_forget();
	nsaid = 0;
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "phrase %d", i % 500);
		said[0] = '\0';
		passed += pass(1, "", text, none, i);
		if (sscanf(said, "|phrase %*d: %u more", &more) == 1)
			counted += more;
	}
	assert_int_equal(passed + counted, 1000);
}

/* --- writing --- */

static void
test_full_pipe(void **state)
{
	struct log_out	o = { 0 };
	char		line[200], got[4096];
	int		fds[2], n = 0;
	ssize_t		r;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	o.fd = fds[1];
	while (log_out_write(&o, line, sizeof(line)) == 0)
		n++;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(n, 4096 / 200);
	/* the description is somebody else's, too */
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	r = read(fds[0], got, sizeof(got));
	assert_int_equal(r, n * 200);
	assert_int_equal(log_out_write(&o, line, sizeof(line)), 0);
	close(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(log_out_write(&o, line, sizeof(line)), -1);
	assert_int_equal(errno, EPIPE);
	close(fds[1]);
}

static void
test_full_socket(void **state)
{
	struct log_out	o = { 0 };
	char		line[4096];
	int		fds[2], n = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	o.fd = fds[1];
	while (log_out_write(&o, line, sizeof(line)) == 0)
		assert_true(++n < 100000);
	assert_int_equal(errno, EAGAIN);
	close(fds[0]);
	signal(SIGPIPE, SIG_DFL);	/* not even then */
	assert_int_equal(log_out_write(&o, line, sizeof(line)), -1);
	close(fds[1]);
}

/* ^S: nothing more goes, until ^Q. */
static void
test_stopped_terminal(void **state)
{
	char		name[200], path[32], line[100];
	struct log_out	o = { 0 };
	int		ours, theirs, n = 0, saved = dup(STDERR_FILENO);

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(openpty(&ours, &theirs, name, NULL, NULL), 0);
	assert_int_equal(tcflow(theirs, TCOOFF), 0);
	dup2(theirs, STDERR_FILENO);
	log_out_std(&o, STDERR_FILENO);
	while (log_out_write(&o, line, sizeof(line)) == 0 && n < 1000)
		n++;
	dup2(saved, STDERR_FILENO);
	assert_true(n < 1000);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", theirs);
	assert_int_equal(fcntl(theirs, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(tcflow(theirs, TCOON), 0);
	close(o.fd);
	close(ours);
	close(theirs);
	close(saved);
}

static void
test_fifo(void **state)
{
	char		 dir[] = "/tmp/apw-test-log-XXXXXX", path[64], got[64];
	struct log_out	 o = { 0 };
	struct apw_err	 err = APW_ERR_NONE;
	int		 n = 0, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(log_out_open(&o, path, &err), 0);
	while (log_out_write(&o, "0123456789abcde\n", 16) == 0)
		n++;
	assert_true(n > 200);
	/* who comes later reads what the FIFO has held */
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(read(fd, got, 16), 16);
	assert_memory_equal(got, "0123456789abcde\n", 16);
	close(fd);
	close(o.fd);
	unlink(path);
	rmdir(dir);
}

/* In a child: the limit stays with the process. */
static void
test_file_limit(void **state)
{
	struct rlimit	 limit = { 100, 100 };
	char		 path[] = "/tmp/apw-test-log-XXXXXX", got[400];
	struct log_out	 o = { .fd = mkstemp(path) };
	int		 status;
	ssize_t		 n;
	pid_t		 pid;

	(void)state;
	assert_true(o.fd >= 0);
	if ((pid = fork()) == 0) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		status = log_out_write(&o, "first\n", 6) == 0 &&
		    log_out_write(&o, memset(got, 'x', 200), 200) == -1 &&
		    errno == ENOSPC && o.torn &&
		    log_out_write(&o, "third\n", 6) == -1 && errno == EFBIG &&
		    ftruncate(o.fd, 50) == 0 && lseek(o.fd, 50, SEEK_SET) ==
		    50 && log_out_write(&o, "fourth\n", 7) == 0;
		_exit(status ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	n = pread(o.fd, got, sizeof(got), 0);
	/* half a line is ended before the next one begins */
	assert_int_equal(n, 58);
	assert_memory_equal(got + 48, "xx\nfourth\n", 10);
	close(o.fd);
	unlink(path);
}

/* The front: what was dropped is told in one line, once lines go again. */
static void
test_dropped(void **state)
{
	static _Atomic uint64_t	 counter;
	struct apw_err		 err = APW_ERR_NONE;
	char			 dir[] = "/tmp/apw-test-log-XXXXXX", path[64],
				 got[70000];
	int			 i, fd;
	ssize_t			 n, all = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(apw_log_open(path, APW_LOG_INFO, APW_LOG_JSON, &err),
	    0);
	apw_log_count_dropped(&counter);
	for (i = 0; i < 5000; i++)
		apw_log_each(APW_LOG_WARN, "a line of a flood", APW_I("i", i));
	assert_true(atomic_load(&counter) > 1000);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	while ((n = read(fd, got, sizeof(got))) > 0)
		all += n;
	assert_true(all > 60000);
	apw_log_tick(apw_now_ms());
	apw_info("goes again");
	n = read(fd, got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "\"event\":\"log lines were dropped: they "
	    "could not be written\",\"lines\":"));
	assert_non_null(strstr(got, "\"nobody read them\""));
	assert_non_null(strstr(got, "goes again"));
	assert_null(strstr(got, "flood"));
	apw_log_count_dropped(NULL);
	assert_int_equal(apw_log_open("stderr", APW_LOG_NOTICE, APW_LOG_TEXT,
	    &err), 0);
	close(fd);
	unlink(path);
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_keys_once),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_repeats_apart),
		cmocka_unit_test(test_repeats_many),
		cmocka_unit_test(test_full_pipe),
		cmocka_unit_test(test_full_socket),
		cmocka_unit_test(test_stopped_terminal),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_file_limit),
		cmocka_unit_test(test_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
