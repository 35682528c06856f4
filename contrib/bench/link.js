'use strict';

/*
 * What a message and a connection cost in the link library, beside the npm
 * socket.io server, in one run on the same work; and what it costs to pass an
 * engine's call on to the app and the answer back, beside the same in Node:
 *
 *	node contrib/bench/link.js [PATH of sio-server [WORDS]]
 *
 * link-relay and link-bare are looked for beside it.  The build should be an
 * ordinary one, without sanitizers (make check_PROGRAMS of it makes them).
 *
 * WORDS are in the name of what is to be measured, all of it without.
 *
 * The servers take turns, ROUNDS each; cpu_us is the middle one of them (what
 * else runs on a machine adds to it, and to all of them), cpu_us_best the best
 * one.  Prints a JSON line for each measurement, one for each ratio (Node /
 * ours: above 1 is cheaper), and one for each figure that is promised. "bare"
 * waits, reads, unmasks and writes, no more: the ceiling of a ratio is what it
 * would get.
 */

const fs = require('fs');
const path = require('path');
const os = require('os');
const { execFileSync, spawn } = require('child_process');
const { Client, frame } = require('./link_client.js');

const top = path.resolve(__dirname, '../..');
const { io } = require(path.join(top, 't/node_modules/socket.io-client'));
const ours = process.argv[2] || path.join(top, 't/bin/sio-server');
const words = process.argv[3] || '';
const ROUNDS = 7;
const LARGE = (100 << 20) - 16;
const results = {};

function start(name, cmd, args)
{
	const child = spawn(cmd, args, { stdio: ['pipe', 'pipe', 'inherit'] });

	return new Promise((done) => child.stdout.once('data', (text) => {
		const [, sio, eio] = String(text).trim().split(' ');
		done({ name, child, sio, eio: eio || sio });
	}));
}

function start_node(name, ...args)
{
	return start(name, process.execPath, [
		path.join(__dirname, 'link_node.js'), ...args ]);
}

/* of all its threads */
function cpu_us({ child })
{
	const tasks = `/proc/${child.pid}/task`;

	return fs.readdirSync(tasks).reduce((sum, task) => sum + Number(
	    fs.readFileSync(`${tasks}/${task}/schedstat`, 'utf8')
	    .split(' ')[0]) / 1e3, 0);
}

function memory_kib({ child }, what)
{
	const m = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8')
	    .match(new RegExp(`^${what}:\\s+(\\d+)`, 'm'));
	return Number(m[1]);
}

function report(server, what, value)
{
	console.log(JSON.stringify({ bench: 'link', what, server: server.name,
	    ...value }));
	(results[what] ||= {})[server.name] = value;
}

async function open(server, kind)
{
	const ws = new Client(Number(kind === 'socket.io' ? server.sio :
	    server.eio), `/${kind}/?EIO=4&transport=websocket`);

	await ws.until('0');
	if (kind === 'socket.io') {
		ws.socket.write(frame('40'));
		await ws.until('42["auth');
	}
	return ws;
}

/* To the app and back, as an engine sees it. */
async function open_relay(server)
{
	const ws = new Client(Number(server.sio),
	    '/worker/ws/?EIO=4&transport=websocket');

	await ws.until('0');
	ws.socket.write(frame('40' + JSON.stringify({ sandboxId: 'sb1',
	    connectionToken: server.eio })));
	await ws.until('40');
	return ws;
}

const kinds = {
	'engine.io': { open: (s) => open(s, 'engine.io'), answer: '4x',
		text: (n) => '4' + 'x'.repeat(n) },
	'socket.io': { open: (s) => open(s, 'socket.io'), answer: '431["xxx',
		text: (n) => `421["message-with-ack","${'x'.repeat(n)}"]` },
	relay: { open: open_relay, answer: '431[null',
		text: (n) => '421["rpc",{"method":"uploadRunLog","payload":' +
		    JSON.stringify({ runId: 'r1', x: 'x'.repeat(n) }) + '}]' },
};

async function round(server, kind, bytes, n, window, burst)
{
	const { answer, text } = kinds[kind];
	const ws = await kinds[kind].open(server);
	/* the JIT gets its warm-up */
	await ws.pump(text(bytes), answer, window * Math.ceil(n / 4 / window),
	    window, burst);
	const cpu = cpu_us(server), t = process.hrtime.bigint();
	await ws.pump(text(bytes), answer, n, window, burst);
	const seconds = Number(process.hrtime.bigint() - t) / 1e9;
	const cost = (cpu_us(server) - cpu) / n;
	await ws.end();
	/* the relay serves one engine at a time: let it see this one go */
	if (kind === 'relay')
		await new Promise((done) => setTimeout(done, 100));
	return { cost, per_second: n / seconds };
}

async function messages(servers, kind, windows, over = '',
    sizes = [ [ 1024, 6400 ], [ 16384, 1600 ] ])
{
	for (const [ bytes, base ] of sizes)
		for (const [ window, burst, times ] of windows) {
			const all = servers.map(() => []);
			const what = `${kind}${over} ${bytes} B, ${window === 1 ?
			    'one at a time' : `${window} ${burst ?
			    'at once' : 'under way'}`}`;

			if (!what.includes(words))
				continue;
			for (let i = 0; i < ROUNDS; i++)
				for (const [ k, s ] of servers.entries())
					all[k].push(await round(s, kind, bytes,
					    base * times, window, burst));
			for (const [ k, s ] of servers.entries()) {
				const by = (key) => all[k].map((r) => r[key])
				    .sort((x, y) => x - y);
				const cost = by('cost');

				report(s, what, {
	    cpu_us: Number(cost[ROUNDS >> 1].toFixed(2)),
	    cpu_us_best: Number(cost[0].toFixed(2)),
	    per_second: Math.round(by('per_second')[ROUNDS >> 1]) });
			}
		}
}

async function relays()
{
	const app = await start_node('app', 'app');
	const url = `http://127.0.0.1:${app.sio}`;
	const servers = [
		await start('apworkerd', path.join(path.dirname(ours),
		    'link-relay'), [ url ]),
		await start_node('node', 'relay', url),
	];

	await messages(servers, 'relay', [ [ 1, false, 0.5 ],
		[ 16, false, 0.5 ], [ 16, true, 0.5 ] ]);
	servers.concat(app).forEach((s) => s.child.stdin.end());
}

/* The same with an app of https. */
async function relays_tls()
{
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'link-'));
	const files = path.join(dir, 'app'), pem = `${files}.pem`;

	execFileSync('openssl', [ 'req', '-x509', '-nodes', '-newkey',
		'rsa:2048', '-days', '2', '-subj', '/CN=localhost', '-addext',
		'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout',
		`${files}.key`, '-out', pem ], { stdio: 'ignore' });
	const app = await start_node('app', 'app', files);
	const url = `https://127.0.0.1:${app.sio}`;
	const servers = [
		await start('apworkerd', path.join(path.dirname(ours),
		    'link-relay'), [ url, pem ]),
		await start_node('node', 'relay', url, pem),
	];

	fs.rmSync(dir, { recursive: true });
	await messages(servers, 'relay', [ [ 1, false, 0.5 ],
		[ 16, false, 0.5 ], [ 16, true, 0.5 ] ], ' over TLS',
		[ [ 1024, 6400 ], [ 1 << 20, 96 ] ]);
	servers.concat(app).forEach((s) => s.child.stdin.end());
}

async function connect(server, n)
{
	const t = process.hrtime.bigint(), cpu = cpu_us(server);
	const all = [];

	await Promise.all(Array.from({ length: n }, () => new Promise((done) => {
		const s = io(`http://127.0.0.1:${server.sio}`, {
			forceNew: true, reconnection: false });
		all.push(s);
		s.on('connect', () => s.io.engine.transport.name === 'websocket'
		    ? done() : s.io.engine.once('upgrade', done));
	})));
	report(server, `${n} clients by polling and upgrade`, {
	    ms: Math.round(Number(process.hrtime.bigint() - t) / 1e6),
	    cpu_ms: Math.round((cpu_us(server) - cpu) / 1e3) });
	all.forEach((s) => s.disconnect());
}

async function idle(server, n)
{
	/* what the first one brings with it is no matter of the others */
	const all = [ await open(server, 'socket.io') ];
	const before = memory_kib(server, 'VmRSS');

	for (let i = 0; i < n; i++)
		all.push(await open(server, 'socket.io'));
	report(server, 'memory of an idle connection', { kib: Number((
	    (memory_kib(server, 'VmRSS') - before) / n).toFixed(1)) });
	await Promise.all(all.map((ws) => ws.end()));
}

async function large(server)
{
	const before = memory_kib(server, 'VmRSS');
	const ws = await open(server, 'engine.io'), cpu = cpu_us(server);

	await ws.pump(kinds['engine.io'].text(LARGE), '4x', 1, 1, false);
	/* its answer is out, what was in its way may be a moment from gone */
	report(server, 'one echo of 100 MiB', {
	    peak_mib: Math.round((memory_kib(server, 'VmHWM') - before) / 1024),
	    cpu_ms: Math.round((cpu_us(server) - cpu) / 1e3) });
	await ws.end();
}

function ratios()
{
	for (const [ what, by ] of Object.entries(results))
		for (const key of Object.keys(by.node).filter((k) =>
		    k !== 'per_second'))
			console.log(JSON.stringify({ bench: 'link', what,
			    ratio: key, value: Number((by.node[key] /
			    by.apworkerd[key]).toFixed(2)),
			    ceiling: by.bare && Number((by.node[key] /
			    by.bare[key]).toFixed(2)) }));
}

function promise(what, value, holds)
{
	console.log(JSON.stringify({ bench: 'link', promise: what, value,
	    holds }));
}

function promises()
{
	for (const [ what, by ] of Object.entries(results).filter(([ w ]) =>
	    w.includes(' 1024 B'))) {
		const ratio = by.node.cpu_us / by.apworkerd.cpu_us;
		promise(`${what}: 5 times cheaper than Node`,
		    Number(ratio.toFixed(2)), ratio >= 5);
	}
	if (words !== '')
		return;
	const at = (what) => results[what].apworkerd;
	const many = results['200 clients by polling and upgrade'];
	const peak = at('one echo of 100 MiB').peak_mib;
	const { kib } = at('memory of an idle connection');
	promise('an idle connection: under 20 KiB', kib, kib < 20);
	promise('200 clients by polling: no longer than Node',
	    many.apworkerd.ms, many.apworkerd.ms <= many.node.ms);
	promise('a message of 100 MiB: peak under 2.5 times its size',
	    peak, peak < 250);
}

async function main()
{
	const node = await start_node('node', 'serve');
	const bare = await start('bare', path.join(path.dirname(ours),
	    'link-bare'), []);
	const us = await start('apworkerd', ours, [ '-p', '0', '-i', '25000',
		'-t', '20000', '-c', '45000', '-m', '200000000',
		'-o', '500000000' ]);
	const windows = [ [ 1, false, 1 ], [ 64, false, 1 ], [ 64, true, 2 ] ];

	for (const [ run, n ] of [ [ idle, 500 ], [ connect, 200 ],
		[ large ] ])
		for (const s of words === '' ? [ us, node ] : [])
			await run(s, n);
	await messages([ us, node, bare ], 'engine.io', windows);
	await messages([ us, node ], 'socket.io', windows);
	await relays();
	await relays_tls();
	ratios();
	promises();
	[ us, node ].forEach((s) => s.child.stdin.end());
	process.exit(0);
}

main();
