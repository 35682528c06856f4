/* How soon a process that died is started again.  Room: master.  The first
 * death in a window costs nothing; further ones wait 1, 2, 4 ... seconds;
 * one that dies `respawn_burst` times in `respawn_window` rests for a whole
 * window.  Each process has its own pace: the others go on. */
#include "master/procs_priv.h"

static unsigned
deaths_since(const struct mproc *p, int64_t since_ms)
{
	unsigned	i, n = 0, kept = p->deaths < MPROC_DEATHS ?
	    p->deaths : MPROC_DEATHS;

	for (i = 1; i <= kept; i++)
		n += p->death_ms[(p->deaths - i) % MPROC_DEATHS] >= since_ms;
	return n;
}

int64_t
master_pace(struct mproc *p, const struct apw_main_conf *conf, int64_t now_ms,
    bool *rests)
{
	unsigned	burst = conf->respawn_burst, n;
	int64_t		ms;

	if (burst == 0 || burst > MPROC_DEATHS)
		burst = MPROC_DEATHS;
	p->death_ms[p->deaths++ % MPROC_DEATHS] = now_ms;
	n = deaths_since(p, now_ms - conf->respawn_window_ms);
	*rests = n >= burst;
	if (*rests)
		return conf->respawn_window_ms;
	if (n == 1)
		return 0;
	ms = n - 2 < 20 ? (int64_t)1000 << (n - 2) : conf->respawn_max_ms;
	return ms < conf->respawn_max_ms ? ms : conf->respawn_max_ms;
}
