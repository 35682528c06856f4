/* The process that becomes the engine: no privileges are left; it reads its
 * command, gives up what any process may give up, and executes it.  Room:
 * broker, after clone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"

#define IOPRIO_PROCESS	1
#define IOPRIO_IDLE	(3 << 13)

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	(1U << 2)
#endif

/* Small ones take a page or two, which are nobody's until they are written. */
struct engine_command {
	char	 small[2048];
	char	*words[2 * (COMMAND_WORDS + 1)];	/* argv, envp */
	char	**envp;
	char	*cwd;
	char	*text;			/* all of the above: small, or malloc */
	size_t	 text_bytes;
};

static struct engine_command	engine_it;

/* Strings of the file, one after the other; NULL when it ends too early. */
static char *
engine_word(char **at, const char *end)
{
	char	*word = *at, *nul;

	nul = word < end ? memchr(word, '\0', (size_t)(end - word)) : NULL;
	if (nul == NULL)
		return NULL;
	*at = nul + 1;
	return word;
}

static int
engine_words(char **words, uint32_t n, char **at, const char *end)
{
	uint32_t	i;

	for (i = 0; i < n; i++)
		if ((words[i] = engine_word(at, end)) == NULL)
			return -1;
	words[n] = NULL;
	return 0;
}

/* A pipe or a file, of which all is there. */
static int
engine_read(int fd, void *buf, size_t n)
{
	return CALL(read, fd, buf, n) == (long)n ? 0 : -1;
}

/* The memory is init's, too, where that waits for our exec. */
static int
engine_command(int fd, struct engine_command *c)
{
	struct command_head	 head;
	char			*p, *at, *end;

	errno = EPROTO;
	if (engine_read(fd, &head, sizeof(head)) == -1 ||
	    head.magic != COMMAND_MAGIC || head.argc == 0 ||
	    head.argc > COMMAND_WORDS || head.envc > COMMAND_WORDS ||
	    head.text_bytes > COMMAND_BYTES)
		return -1;
	p = head.text_bytes <= sizeof(c->small) ? c->small :
	    malloc(head.text_bytes);
	if (p == NULL || engine_read(fd, p, head.text_bytes) == -1)
		return -1;
	c->text = at = p;
	c->text_bytes = head.text_bytes;
	c->envp = &c->words[head.argc + 1];
	end = p + head.text_bytes;
	errno = EPROTO;
	if (engine_words(c->words, head.argc, &at, end) == -1 ||
	    engine_words(c->envp, head.envc, &at, end) == -1 ||
	    (c->cwd = engine_word(&at, end)) == NULL || at != end)
		return -1;
	return 0;
}

static int
engine_stdio(const struct box_plan *plan)
{
	int	null = (int)CALL(openat, AT_FDCWD, "/dev/null",
		    O_RDONLY | O_CLOEXEC, 0);

	return null == -1 || call_dup(null, 0) == -1 ||
	    call_dup(plan->out_fd, 1) == -1 ||
	    call_dup(plan->err_fd, 2) == -1 ? -1 : 0;
}

/* With the host's files: its rules, and its own pid outside. */
static void
engine_host(const struct box_plan *plan)
{
	struct box_word	w = { .step = BOX_WORD_ENGINE };

	if (plan->rules_fd != -1) {
		/* another /proc than the one that is in the rules */
		landlock_allow(plan->rules_fd, "/proc", LANDLOCK_READ);
		if (landlock_enter(plan->rules_fd) == -1)
			inside_fail(plan, BOX_LANDLOCK);
	}
	if (message_send(plan->talk_fd, &w, sizeof(w), NULL, 0) == -1)
		inside_fail(plan, BOX_EXEC);
}

/* Nobody waits for what it does; not every host has groups for that. */
static void
engine_low(void)
{
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
}

void
engine_forget(void)
{
	volatile char	*p = engine_it.text;
	size_t		 n = p == NULL ? 0 : engine_it.text_bytes;

	/* as explicit_bzero() does, which is another page of the library */
	while (n-- > 0)
		*p++ = 0;
}

_Noreturn void
engine_main(const struct box_plan *plan)
{
	struct engine_command	*c = &engine_it;

	broker_signals_back();
	if (CALL(setsid, 0) == -1 || engine_stdio(plan) == -1)
		inside_fail(plan, BOX_STDIO);
	if (engine_command(plan->command_fd, c) == -1)
		inside_fail(plan, BOX_COMMAND);
	/* talk_fd must live until exec: all above 2 end there */
	if (CALL(close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		inside_fail(plan, BOX_CLOSE);
	/* what is built is read by engines, which have another uid */
	CALL(umask, plan->b->conf->builds ? 022 : 077);
	if (plan->b->conf->builds && (plan->flags & APW_BOX_AHEAD) != 0)
		engine_low();
	if (rlimits_set(plan) == -1)
		inside_fail(plan, BOX_LIMITS);
	if (CALL(chdir, c->cwd) == -1)
		inside_fail(plan, BOX_CWD);
	if ((plan->flags & APW_BOX_HOST_FILES) != 0)
		engine_host(plan);
	/* the host's network has the host's abstract sockets in it */
	else if ((plan->flags & APW_BOX_OWN_NET) == 0 &&
	    plan->b->scope_fd != -1 && landlock_enter(plan->b->scope_fd) == -1)
		inside_fail(plan, BOX_LANDLOCK);
	CALL(execve, c->words[0], c->words, c->envp);
	inside_fail(plan, BOX_EXEC);
}
