/* Open files: how many the daemon needs, and the soft limit raised to that.
 * Room: master, for -t, the start and each reload; slots and all below them
 * inherit it.  The hard limit is who runs us's word, and stays. */
#include "master/master_priv.h"

#include <errno.h>
#include <sys/resource.h>

#define FILES_MASTER	64	/* listeners, log, loop, an upgrade */
#define FILES_A_PROC	8	/* old and new ones, in a reload */
#define FILES_SLOT	256	/* links, stock, journal, own requests */
#define FILES_AN_ENGINE	128	/* its link, broker, streams; its box's making */

static rlim_t
files_wanted(const struct apw_cycle *c)
{
	rlim_t	master = FILES_MASTER + FILES_A_PROC * (rlim_t)c->main.slots;
	rlim_t	slot = FILES_SLOT + FILES_AN_ENGINE *
		    (1 + (rlim_t)c->engine.standby);

	return master > slot ? master : slot;
}

int
master_files(const struct apw_cycle *c, struct apw_err *err)
{
	rlim_t		wanted = files_wanted(c);
	struct rlimit	r;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		return apw_err_set(err, errno, "RLIMIT_NOFILE");
	if (r.rlim_max != RLIM_INFINITY && r.rlim_max < wanted)
		return apw_err_set(err, 0, "%llu open files are needed (slots "
		    "%u, standby %u), and the hard limit is %llu: raise it "
		    "(\"ulimit -Hn\", LimitNOFILE= of systemd, the nofile "
		    "limit of the container)", (unsigned long long)wanted,
		    c->main.slots, c->engine.standby,
		    (unsigned long long)r.rlim_max);
	if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= wanted)
		return 0;
	r.rlim_cur = wanted;
	return setrlimit(RLIMIT_NOFILE, &r) == 0 ? 0 :
	    apw_err_set(err, errno, "cannot raise the limit of open files to "
	    "%llu", (unsigned long long)wanted);
}
