'use strict';

/*
 * The ledger of a run of chaos: every hand-out, beat of an engine, completion
 * and blow (kill, drop, reload, upgrade), each with its time; and what must
 * not be in it.  Times are of the host's monotonic clock, in ms.
 *
 * An engine's beats carry the time at which it sent them.  From its first to its
 * last beat an engine surely worked for the job: what is found here is never
 * found wrongly, however late a message comes.
 *
 *	kind		fields
 *	handed		job slot token		slot: the connection's number
 *	beat		job slot engine what	what: start, beat or end
 *	completed	job slot how status	how: settled, repeated, late,
 *						unknown
 *	blow		what slot		kill KIND, drop, reload, upgrade
 */

const entries = [];
const clock = () => Number(process.hrtime.bigint()) / 1e6;

function enter(kind, e)
{
	entries.push({ t_ms: clock(), kind, ...e });
}

/* Is there a blow that explains what happened between these two times? */
function excused(from, to, what)
{
	return entries.some((e) => e.kind === 'blow' && what.test(e.what)
	    && e.t_ms >= from && e.t_ms <= to);
}

/* What an engine did for the job, from its first to its last beat. */
function intervals(mine)
{
	const all = new Map();

	for (const e of mine.filter((x) => x.kind === 'beat')) {
		const i = all.get(e.engine) || { engine: e.engine,
		    slot: e.slot, from: e.at_ms, to: e.at_ms };

		i.from = Math.min(i.from, e.at_ms);
		i.to = Math.max(i.to, e.at_ms);
		all.set(e.engine, i);
	}
	return [...all.values()].sort((a, b) => a.from - b.from);
}

/* A blow shows within so many ms: a slot that was killed or cut off may leave a
 * message on its way, a job may be handed out for an engine that has just died. */
const LATE_MS = 1000;

/* A slot leaves with its broker. */
const ENDS_A_SLOT = /^(kill slot|kill broker|drop|upgrade)/;
const ENDS_AN_ENGINE = /^kill (engine|init|broker)/;

/* Each rule gives the words of what is wrong with the job; "" if nothing. */
const rules = {
	lost: (j) => j.settled.length === 0 ? 'was never settled' : '',
	settled_twice: (j) => j.settled.length > 1
	    ? `was settled ${j.settled.length} times` : '',
	/* told again without anything having happened that explains it */
	repeated(j) {
		const again = j.completed.slice(1).find((e, i) =>
		    !excused(j.completed[i].t_ms - LATE_MS, e.t_ms, ENDS_A_SLOT));

		return again ? `was completed again (${again.how}) by slot ${
		    again.slot}` : '';
	},
	/* given to a second slot while the first may still have it */
	handed_twice(j) {
		const again = j.handed.slice(1).find((e, i) => !excused(
		    j.handed[i].t_ms - LATE_MS, e.t_ms, ENDS_A_SLOT));

		return again ? `was handed to slot ${again.slot}, too` : '';
	},
	overlap(j) {
		const i = j.intervals.findIndex((x, n) => n > 0
		    && x.from < j.intervals[n - 1].to);

		return i < 1 ? '' : `ran in slots ${j.intervals[i - 1].slot
		    } and ${j.intervals[i].slot} at the same time`;
	},
	after_settled(j) {
		const i = j.settled.length > 0 && j.intervals.find((x) =>
		    x.from > j.settled[0].t_ms);

		return i ? `was begun in slot ${i.slot} after it was settled`
		    : '';
	},
	/* ended badly although nobody killed what ran it */
	failed(j) {
		const s = j.settled[0];

		return !s || s.status === 'OK' || excused(
		    j.handed[0].t_ms - LATE_MS, s.t_ms, ENDS_AN_ENGINE) ? '' :
		    `ended with ${s.status}`;
	},
	/* an account of a job that nobody has given out */
	unknown: (j) => j.handed.length === 0 && j.completed.length > 0
	    ? 'was completed and is not known' : '',
};

/* {rule: [text]} of these jobs, by all that stands in the ledger. */
function violations(ids)
{
	const found = Object.fromEntries(Object.keys(rules).map((r) => [r, []]));
	const byJob = new Map(ids.map((id) => [id, []]));

	for (const e of entries.filter((x) => x.job !== undefined)) {
		if (!byJob.has(e.job) && e.how === 'unknown')
			byJob.set(e.job, []);
		if (byJob.has(e.job))
			byJob.get(e.job).push(e);
	}
	for (const [id, mine] of byJob) {
		const completed = mine.filter((e) => e.kind === 'completed');
		const j = {
			handed: mine.filter((e) => e.kind === 'handed'),
			completed, intervals: intervals(mine),
			settled: completed.filter((e) => e.how === 'settled'),
		};

		for (const [rule, look] of Object.entries(rules)) {
			const text = look(j);

			if (text !== '')
				found[rule].push(`${id} ${text}`);
		}
	}
	return found;
}

/* How long after each death of a slot its job ran again. */
function again_ms()
{
	return entries.filter((e) => e.what === 'kill slot' && e.job_then)
	    .map((d) => entries.filter((e) => e.kind === 'beat'
	        && e.job === d.job_then && e.what === 'start'
	        && e.at_ms > d.t_ms).map((e) => e.at_ms - d.t_ms)
	        .sort((a, b) => a - b)[0])
	    .filter((ms) => ms !== undefined);
}

module.exports = { clock, enter, violations, again_ms,
    of: (id) => entries.filter((e) => e.job === id) };
