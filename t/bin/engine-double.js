'use strict';

/*
 * An engine that does what it is told, on the real socket.io client: stands in
 * for the engine bundle (main.js) and speaks dialect B1 (AP_SANDBOX_WS_TOKEN,
 * rpc, rpc-notify).
 *
 * The daemon composes an engine's environment, so orders come on two ways:
 *
 * starts.json beside the bundle, a list, one entry for each start and the last
 * one for all that follow:
 *	connect: 'never'	stays alone
 *	connect_delay_ms	connects late
 *	transports, upgrade	as in socket.io-client; default polling, then
 *				upgrade
 *	hold_upgrade		upgrades only at the step `upgrade`
 *	token: TEXT | null	another token, or none
 *	sandbox_id: TEXT	another id
 *	second			opens a second connection once it is in
 *	lost: 'stay'		does not exit with 6 when the link is lost
 *	watchdog_ms		exit 5 without a connection, default 60000
 *	before: [steps]		done before connecting
 *	connected: [steps]	done when the link is up
 *	operations: [[steps]]	for operations that bring none, in order
 *
 * In the operation: flowVersion.trigger.settings.input.double (or input.double)
 * or step.settings.input.double is a list of steps, done one after the other;
 * see `steps` below.  Without
 * one the run is reported as RUNNING, then SUCCEEDED, and the answer is OK.
 *
 * What happens is written to records.jsonl beside the bundle.
 */

/* newer Nodes warn of what socket.io-client does: not our doing, not our log */
process.noDeprecation = true;

const fs = require('fs');
const net = require('net');
const path = require('path');
const child_process = require('child_process');
const { io } = require('socket.io-client');

const place = globalThis.APW_DOUBLE || { dir: __dirname, testdir: __dirname };
const file = (name) => path.join(place.dir, name);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/* Our pid says little without it: records are read outside. */
const pidns = (() => {
	try {
		return fs.readlinkSync('/proc/self/ns/pid');
	} catch {
		return null;
	}
})();

let socket, start = {}, op, op_ack, answered, operations = 0;
let second_ended;
const second_end = new Promise((done) => { second_ended = done; });

function record(what, entry)
{
	const line = JSON.stringify({ what, pid: process.pid, pidns,
	    t: Date.now(), ...entry });

	try {
		fs.appendFileSync(file('records.jsonl'), line + '\n');
	} catch {
		/* in a box the directory is read-only: it is in the logs */
		if (socket !== undefined)
			notify('stderr', `record ${line}\n`);
	}
}

function read_json(name, dflt)
{
	try {
		return JSON.parse(fs.readFileSync(file(name), 'utf8'));
	} catch {
		return dflt;
	}
}

function own_fds()
{
	const list = {};

	for (const fd of fs.readdirSync('/proc/self/fd')) {
		try {
			list[fd] = fs.readlinkSync(`/proc/self/fd/${fd}`);
		} catch {
			/* the one of readdir itself */
		}
	}
	return list;
}

/* ------------------------------------------------------------------ steps */

function fill(method, payload)
{
	const p = { ...payload };

	if (op && /^(uploadRunLog)$/.test(method)) {
		p.runId ??= op.flowRunId;
		p.projectId ??= op.projectId;
		p.logsFileId ??= op.logsFileId;
		p.streamStepProgress ??= op.streamStepProgress;
	}
	if (op && method === 'sendFlowResponse') {
		p.workerHandlerId ??= op.workerHandlerId;
		p.httpRequestId ??= op.httpRequestId;
	}
	return p;
}

async function call(method, payload, ms, exact)
{
	let value;

	try {
		value = await socket.timeout(ms || 60000).emitWithAck('rpc',
		    { method, payload: exact ? payload : fill(method, payload) });
	} catch (err) {
		value = { local_error: err.message };
	}
	record('reply', { method, value });
	return value;
}

function notify(method, message)
{
	socket.emit('rpc-notify', { method, payload: { message } });
}

function answer(value)
{
	answered = true;
	record('answer', { value, transport: socket.io.engine.transport.name });
	op_ack(value);
}

function grandchild(s)
{
	const argv = s.argv || ['/bin/sh', '-c',
	    `sleep ${s.seconds || 300}; : ${place.testdir}`];
	const c = child_process.spawn(argv[0], argv.slice(1), {
		detached: s.setsid !== false, stdio: s.stdio || 'ignore',
		cwd: place.testdir,
	});

	c.on('error', (err) => record('fork', { error: err.message }));
	c.unref();
	record('fork', { child: c.pid });
}

function connect_to(s)
{
	return new Promise((done) => {
		const c = net.connect(s.path ? { path: s.path }
		    : { host: s.host, port: s.port });
		const end = (result) => {
			record('tcp', { host: s.host, port: s.port, result });
			c.destroy();
			done();
		};

		c.setTimeout(s.ms || 2000, () => end('timeout'));
		c.on('connect', () => end('connected'));
		c.on('error', (err) => end(err.code));
	});
}

/* Each step is {do: NAME, ...}. */
const steps = {
	/* calls and output */
	/* exact: the payload as it is, nothing filled in from the job */
	rpc: (s) => call(s.method, s.payload, s.ms, s.exact),
	parallel: (s) => Promise.all(s.calls.map(
	    (c) => call(c.method, c.payload, c.ms))),
	/* works for ms, and says so to the app again and again */
	async work(s) {
		const engine = crypto.randomUUID();
		const beat = (what) => call('uploadRunLog', { status: 'RUNNING',
		    beat: { what, engine, at_ms:
		    Number(process.hrtime.bigint()) / 1e6 } });
		const end = Date.now() + s.ms;

		await beat('start');
		while (Date.now() < end) {
			await sleep(Math.min(10, s.ms));
			await beat('beat');
		}
		void beat('end');
	},
	rpc_nowait: (s) => void call(s.method, s.payload, s.ms),
	stdout: (s) => notify('stdout', s.text),
	stderr: (s) => notify('stderr', s.text),
	notify: (s) => notify(s.method, s.text),
	real_stdout: (s) => fs.writeSync(1, s.text),
	real_stderr: (s) => fs.writeSync(2, s.text),
	async flood(s) {	/* bytes of output in notifications */
		const text = 'x'.repeat((s.chunk || 65536) - 1) + '\n';

		for (let n = 0; n < s.bytes; n += text.length) {
			notify(s.stream || 'stdout', text);
			if (s.pace)
				await sleep(0);
		}
	},
	async real_flood(s) {	/* the same on the real descriptor */
		const text = Buffer.alloc(65536, 'y');
		let n = 0;

		while (n < s.bytes) {
			try {
				n += fs.writeSync(s.fd || 2, text);
			} catch (err) {
				if (err.code !== 'EAGAIN')
					throw err;
				await sleep(1);
			}
		}
	},

	/* results */
	answer: (s) => answer(s.value === undefined ? { status: 'OK' }
	    : s.value),
	answer_twice(s) {
		for (const value of [s.value || { status: 'OK' },
		    s.second || s.value || { status: 'INTERNAL_ERROR' }])
			socket.packet({ type: 3, id: op_ack.id, data: [value] });
		answered = true;
		record('answer', { value: s.value, twice: true });
	},
	rpc_error: (s) => answer({ __rpcError: s.message || 'no' }),
	never: () => { answered = true; },

	/* ends */
	exit: (s) => process.exit(s.code),
	abort: () => process.abort(),
	kill: (s) => process.kill(process.pid, s.signal || 'SIGKILL'),
	throw: (s) => void setImmediate(() => { throw new Error(s.text); }),
	oom() {
		const keep = [];

		for (;;)
			keep.push(new Array(1000).fill({}).map((x, i) => [i]));
	},

	hog() {			/* memory that is no heap, so V8 cannot say so */
		const keep = [];

		for (;;)
			keep.push(Buffer.alloc(1 << 20, 1));
	},

	/* the link */
	close: () => void socket.io.engine.close(),
	disconnect: () => void socket.disconnect(),
	upgrade() {		/* ends when the transport is WebSocket */
		const e = socket.io.engine;

		if (e.transport.name === 'websocket')
			return undefined;
		return new Promise((done) => {
			e.once('upgrade', done);
			e._probe('websocket');
		});
	},
	upgraded: () => new Promise((done) => {
		const e = socket.io.engine;
		if (e.transport.name === 'websocket')
			done();
		else
			e.once('upgrade', done);
	}),
	second: () => second_end,	/* until the second connection has ended */
	raw: (s) => void socket.io.engine.write(s.text),
	raw_event: (s) => void socket.emit(s.event, ...(s.args || [])),

	/* time */
	sleep: (s) => sleep(s.ms),
	async wait(s) {		/* for $t->engine()->release(NAME) */
		while (!fs.existsSync(file(`go-${s.name}`)))
			await sleep(5);
	},
	spin(s) {		/* the event loop stands still */
		const end = Date.now() + s.ms;

		while (Date.now() < end)
			;
	},

	/* what an engine can reach */
	fork: grandchild,
	connect: connect_to,
	exec(s) {		/* a program (./NAME: beside the bundle), and what it wrote */
		const r = child_process.spawnSync(s.argv[0].replace(/^\./,
		    path.dirname(process.argv[1])), s.argv.slice(1),
		    { input: s.input, timeout: s.ms || 60000,
		      env: { ...process.env, PATH: '/usr/bin:/bin',
			API_URL: op?.internalApiUrl || '',
			ENGINE_TOKEN: op?.engineToken || '' } });

		record('exec', { name: s.name, code: r.status,
		    out: String(r.stdout), err: String(r.stderr),
		    error: r.error?.code });
	},
	async http(s) {		/* a call of the engine's own, to the app's origin */
		const keep = ['authorization', 'content-type'];
		let status;

		try {
			const r = await fetch(new URL(s.path, op.internalApiUrl), {
				method: s.method, redirect: 'manual',
				headers: keep.filter((k) => s.headers?.[k])
				    .map((k) => [k, s.headers[k]]),
				body: s.body ?? (s.bytes
				    ? Buffer.alloc(s.bytes, ' ') : undefined) });
			status = r.status;
			await r.arrayBuffer();
		} catch (err) {
			status = String(err.cause?.code || err);
		}
		record('http', { method: s.method, path: s.path, status,
		    expected: s.status });
	},
	note: (s) => record('note', { text: s.text }),
	env: () => record('env', { env: { ...process.env } }),
	fds: () => record('fds', { fds: own_fds() }),
	read(s) {
		try {
			const b = fs.readFileSync(s.path);
			record('read', { path: s.path, bytes: b.length,
			    text: b.toString('utf8', 0, 4096) });
		} catch (err) {
			record('read', { path: s.path, error: err.code });
		}
	},
	write(s) {
		try {
			fs.writeFileSync(s.path, s.text || '');
			record('write', { path: s.path });
		} catch (err) {
			record('write', { path: s.path, error: err.code });
		}
	},
	/* A code step as the stock built it, or left it: then what its first
	 * line exports, in plain JavaScript. */
	async code(s) {
		const at = path.join(process.env.AP_BASE_CODE_DIRECTORY,
		    op.flowVersion.id, s.step || 'step_1');
		const f = path.join(at, 'index.js');
		/* not as a literal: the daemon looks for it in engines */
		const source = path.join(at, ['index', 'ts'].join('.'));

		try {
			const m = fs.existsSync(f) || !fs.existsSync(source) ?
			    require(f) : { exports: {} };
			if (m.exports)
				new Function('exports', 'require', fs.readFileSync(
				    source, 'utf8').replace(
				    /^\s*export\s+const\s+(\w+)/mg, 'exports.$1'))(
				    m.exports, require);
			Object.assign(m, m.exports);
			record('code', { step: s.step, output:
			    await m.code(s.input || {}) });
		} catch (err) {
			record('code', { step: s.step, error: err.message });
		}
	},
	piece(s) {		/* a piece as the stock installed it */
		const f = path.join(path.dirname(process.argv[1]), 'pieces',
		    `${s.name}-${s.version}`, 'node_modules', s.name,
		    s.entry || 'src/index.js');

		try {
			record('piece', { keys: Object.keys(require(f)) });
		} catch (err) {
			record('piece', { error: err.message });
		}
	},
};

async function run(list)
{
	for (const s of list || []) {
		if (!steps[s.do])
			throw new Error(`engine double: no step ${s.do}`);
		await steps[s.do](s);
	}
}

/* ------------------------------------------------------------- operations */

function script_of(o)
{
	const input = o.flowVersion?.trigger?.settings?.input || o.input
	    || o.step?.settings?.input || o.auth || {};

	if (input.double)
		return input.double;
	if (start.operations)
		return start.operations[Math.min(operations++,
		    start.operations.length - 1)];
	if (o.flowRunId === undefined)
		return [{ do: 'answer', value: { status: 'OK',
		    response: { output: [] } } }];
	return [
		{ do: 'rpc', method: 'uploadRunLog',
		    payload: { status: 'RUNNING' } },
		{ do: 'rpc', method: 'uploadRunLog',
		    payload: { status: 'SUCCEEDED', stepsCount: 1,
			finishTime: new Date().toISOString() } },
		{ do: 'answer' },
	];
}

async function on_rpc(request, ack)
{
	if (request.method !== 'executeOperation')
		return ack({ __rpcError: `unknown method ${request.method}` });
	op = request.payload.operation;
	op_ack = ack;
	answered = false;
	record('operation', { type: request.payload.operationType,
	    transport: socket.io.engine.transport.name, operation: op });
	await run(script_of(op));
	if (!answered)
		answer({ status: 'OK' });
}

/* ------------------------------------------------------------------ start */

function link(url, auth, more)
{
	const s = io(url, { path: '/worker/ws', auth, reconnection: false,
	    forceNew: true, transports: start.transports
	    || ['polling', 'websocket'],
	    upgrade: start.hold_upgrade ? false : start.upgrade !== false,
	    ...more });

	s.ack = function (id) {
		const f = Object.getPrototypeOf(s).ack.call(s, id);
		f.id = id;
		return f;
	};
	return s;
}

function second(url, auth)
{
	const s = link(url, auth);

	s.on('connect', () => record('second', { event: 'connect' }));
	s.on('connect_error', (err) => {
		record('second', { event: 'connect_error',
		    message: err.message });
		second_ended();
	});
	s.on('disconnect', (reason) => {
		record('second', { event: 'disconnect', reason });
		second_ended();
	});
}

async function main()
{
	const all = read_json('starts.json', [{}]);
	const n = (() => {
		try {
			return fs.readFileSync(file('records.jsonl'), 'utf8')
			    .split('\n').filter((l) =>
			    l.startsWith('{"what":"start"')).length;
		} catch {
			return 0;
		}
	})();

	start = all[Math.min(n, all.length - 1)] || {};
	record('start', { n: n + 1, env: { ...process.env },
	    argv: process.argv, execArgv: process.execArgv, ppid: process.ppid,
	    cwd: process.cwd(), fds: own_fds(), uid: process.getuid(),
	    status: fs.readFileSync('/proc/self/status', 'utf8'),
	    stat: fs.readFileSync('/proc/self/stat', 'utf8') });
	process.title = `sandbox-${process.env.SANDBOX_ID}`;

	/* As the engine: these do not end it. */
	process.on('SIGTERM', () => {});
	process.on('SIGINT', () => {});
	process.on('uncaughtException', (err) => {
		if (socket)
			notify('stderr', String(err.stack));
		setTimeout(() => process.exit(3), 20);
	});
	process.on('unhandledRejection', (err) => {
		if (socket)
			notify('stderr', String(err && err.stack));
		setTimeout(() => process.exit(4), 20);
	});
	setTimeout(() => socket && socket.connected || process.exit(5),
	    start.watchdog_ms || 60000);

	await run(start.before);
	if (start.connect_delay_ms)
		await sleep(start.connect_delay_ms);
	if (start.connect === 'never')
		return;

	const url = `ws://127.0.0.1:${process.env.AP_SANDBOX_WS_PORT || 12345}`;
	const auth = { sandboxId: start.sandbox_id || process.env.SANDBOX_ID };

	if (start.token === undefined)
		auth.connectionToken = process.env.AP_SANDBOX_WS_TOKEN;
	else if (start.token !== null)
		auth.connectionToken = start.token;

	socket = link(url, auth);
	socket.on('connect', async () => {
		record('connect', { transport: socket.io.engine.transport.name });
		if (start.second)
			second(url, auth);
		await run(start.connected);
	});
	socket.on('connect_error', (err) => record('connect_error',
	    { message: err.message, description: String(err.description) }));
	socket.on('disconnect', (reason) => {
		record('disconnect', { reason });
		if (start.lost !== 'stay' && reason !== 'io client disconnect')
			process.exit(6);
	});
	socket.on('rpc', on_rpc);
}

main();
