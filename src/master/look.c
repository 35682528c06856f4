/* A last look at a process that makes no progress, before it is killed: what
 * the kernel says of it, in one line.  Room: master.  Nothing here waits, and
 * what cannot be read is left out. */
#include "master/procs_priv.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"

#define LOOK_FRAMES	6

/* The text of /proc/PID/NAME, one line of printable characters. */
static const char *
look_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char		path[64];
	apw_autofd int	fd = -1;
	ssize_t		n;
	char		*p;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || (n = read(fd, buf, size - 1)) <= 0)
		return NULL;
	buf[n] = '\0';
	if (n > 0 && buf[n - 1] == '\n')
		buf[n - 1] = '\0';
	for (p = buf; *p != '\0'; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	return buf;
}

/* "S", "D", "T" ...: what stands behind the name in stat. */
static void
look_state(pid_t pid, char state[2])
{
	char		text[512];
	const char	*p = look_file(pid, "stat", text, sizeof(text));

	strcpy(state, "-");
	if (p != NULL && (p = strrchr(p, ')')) != NULL && p[1] == ' ')
		state[0] = p[2];
}

/* Kernel functions, innermost first: "a < b < c".  Root only. */
static const char *
look_stack(pid_t pid, char *out, size_t size)
{
	char	 path[64], line[256], name[128];
	FILE	*f;
	size_t	 n = 0, frames = 0;

	snprintf(path, sizeof(path), "/proc/%d/stack", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return NULL;
	while (frames < LOOK_FRAMES && n < size &&
	    fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "[<%*[^>]>] %127[^+ \n]", name) == 1)
			n += (size_t)snprintf(out + n, size - n, "%s%s",
			    frames++ == 0 ? "" : " < ", name);
	fclose(f);
	return frames == 0 ? NULL : out;
}

void
master_look(const struct mproc *p, const char *why)
{
	char	name[32], state[2], wchan[64], syscall[160], stack[512],
		phase[32] = "", job[64] = "";

	master_proc_name(p, name, sizeof(name));
	look_state(p->pid, state);
	if (p->score != NULL) {
		apw_score_text(&p->score->seq, phase, sizeof(phase),
		    p->score->phase, sizeof(p->score->phase));
		apw_score_text(&p->score->seq, job, sizeof(job),
		    p->score->job_id, sizeof(p->score->job_id));
	}
	apw_error("no progress: killing it", APW_K("process", name),
	    APW_I("pid", p->pid), APW_S("why", why),
	    APW_S("job", job[0] == '\0' ? NULL : job),
	    APW_S("phase", phase[0] == '\0' ? NULL : phase),
	    APW_S("state", state),
	    APW_S("wchan", look_file(p->pid, "wchan", wchan, sizeof(wchan))),
	    APW_S("syscall", look_file(p->pid, "syscall", syscall,
	    sizeof(syscall))),
	    APW_S("stack", look_stack(p->pid, stack, sizeof(stack))));
}
