'use strict';

/*
 * Hostile code of a code step: everything it would do to get out of its V8
 * isolate and into the engine.  A line for each try, "OPEN name" or
 * "refused name: error".  The same file in a plain process succeeds.
 */
exports.code = async () => {
	const out = [];
	/* got: something that only the engine's realm has */
	const is_node = (p) => {
		if (p === undefined || p === null
		    || typeof p.version !== 'string' || p.pid === undefined)
			throw new Error('not there');
	};
	const door = async (name, f) => {
		try {
			await f();
			out.push(`OPEN ${name}`);
		} catch (err) {
			out.push(`refused ${name}: ${String(err).split('\n')[0]}`);
		}
	};
	const realm = (f) => is_node(f.constructor('return process')());

	await door('process', () => is_node(process));
	await door('process by this', () => is_node(
	    new Function('return this')().process));
	await door('process by a constructor', () => is_node(
	    ({}).constructor.constructor('return process')()));
	await door('process.binding', () =>
	    process.binding('fs').internalModuleStat);
	await door('process.env', () => process.env.PATH.length);
	await door('process.kill', () => process.kill(process.pid, 0));
	await door('a native addon', () => {
		for (const path of __ADDONS__)
			try {
				const m = { exports: {} };
				process.dlopen(m, path);
				return m;
			} catch (err) {
				if (!/^Error: /.test(String(err)))
					throw err;
			}
		throw new Error('none');
	});
	await door('require', () => require('fs').readFileSync(
	    '/proc/self/status'));
	await door('child_process', () => require('child_process').execFileSync(
	    '/bin/true'));
	await door('a worker thread', () => require('worker_threads').Worker
	    .name.length);
	await door('import()', () => import('node:fs'));
	await door('fetch', () => fetch.name.length);
	await door('timers', () => setTimeout.name.length);

	/* what the engine put into the isolate is the way back out */
	const given = Object.getOwnPropertyNames(globalThis).filter(
	    (n) => /^_|ivm|isolate|\$|console/i.test(n));
	for (const name of given) {
		const v = globalThis[name];
		const all = typeof v === 'function' ? { [name]: v }
		    : { ...v };
		for (const [n, f] of Object.entries(all)) {
			if (typeof f !== 'function')
				continue;
			await door(`realm of ${name}.${n}`, () => realm(f));
			await door(`prototype of ${name}.${n}`, () => realm(
			    Object.getPrototypeOf(f).constructor));
			for (const bad of [Symbol('x'), { get a() {
				throw 1; } }, new Proxy({}, {}), () => 1])
				await door(`error of ${name}.${n}`, () => {
					let got;
					try {
						f(bad, bad);
					} catch (err) {
						got = err;
					}
					if (got === undefined)
						throw new Error('no error');
					realm(got.constructor);
				});
		}
	}
	await door('frames of the engine', () => {
		Error.prepareStackTrace = (e, frames) => frames;
		const frames = new Error('x').stack;
		Error.prepareStackTrace = undefined;
		for (const f of frames) {
			const t = f.getThis() || f.getFunction();
			if (t && t.process)
				return is_node(t.process);
		}
		throw new Error('none');
	});
	await door('a debugger', () => require('inspector').url);
	await door('memory that is shared with the engine', () => {
		if (typeof Buffer === 'undefined')
			throw new Error('no pool');
		return new Uint8Array(Buffer.from('x').buffer).length > 1;
	});
	return out;
};
