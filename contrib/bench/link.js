'use strict';

/*
 * What a message and a connection cost in the link library, beside the npm
 * socket.io server, in one run on the same work; and what it costs to pass an
 * engine's call on to the app and the answer back, beside the same in Node:
 *
 *	node contrib/bench/link.js [PATH of sio-server [PATH of link-relay]]
 *
 * The build should be an ordinary one, without sanitizers (make check_PROGRAMS
 * of it makes the two).  Prints a JSON line
 * for each measurement, and one for each ratio (Node / ours: above 1 is
 * cheaper).
 */

const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');

const top = path.resolve(__dirname, '../..');
const modules = path.join(top, 't/node_modules');

/* ------------------------------------------------ the Node server, a child */
if (process.argv[2] === 'serve') {
	const { Server } = require(`${modules}/socket.io`);
	const engine = require(`${modules}/engine.io`);
	const http = require('http');
	const a = http.createServer(), b = http.createServer();
	const io = new Server(a, { maxHttpBufferSize: 2e8 });
	const eio = new engine.Server({ maxHttpBufferSize: 2e8 });

	io.on('connection', (s) => {
		s.emit('auth', {});
		s.on('message-with-ack', (...args) => args.pop()(...args));
	});
	eio.on('connection', (s) => s.on('message', (d) => s.send(d)));
	eio.attach(b, { path: '/engine.io' });
	a.listen(0, '127.0.0.1', () => b.listen(0, '127.0.0.1', () =>
	    console.log('port', a.address().port, b.address().port)));
	process.stdin.resume().on('end', () => process.exit(0));
	return;
}

/* ---------------- the app, and Node between an engine and it, children too */
if (process.argv[2] === 'app') {
	const { Server } = require(`${modules}/socket.io`);
	const http = require('http').createServer();
	const io = new Server(http, { path: '/api/socket.io',
		transports: [ 'websocket' ], maxHttpBufferSize: 2e8 });

	io.on('connection', (s) => s.on('rpc', (request, ack) => ack(null)));
	http.listen(0, '127.0.0.1', () => console.log('port',
	    http.address().port));
	process.stdin.resume().on('end', () => process.exit(0));
	return;
}
if (process.argv[2] === 'relay') {
	const { Server } = require(`${modules}/socket.io`);
	const http = require('http').createServer();
	const io = new Server(http, { path: '/worker/ws',
		maxHttpBufferSize: 2e8 });
	const app = require(`${modules}/socket.io-client`).io(process.argv[3], {
		path: '/api/socket.io', transports: [ 'websocket' ] });

	io.on('connection', (s) => s.on('rpc', async (request, ack) =>
	    ack(await app.timeout(60000).emitWithAck('rpc', request))));
	app.on('connect', () => http.listen(0, '127.0.0.1', () => console.log(
	    'port', http.address().port, 'none')));
	process.stdin.resume().on('end', () => process.exit(0));
	return;
}

const WebSocket = require(`${modules}/ws`);
const { io } = require(`${modules}/socket.io-client`);
const results = {};

function start(name, cmd, args)
{
	const child = spawn(cmd, args, { stdio: ['pipe', 'pipe', 'inherit'] });

	return new Promise((done) => child.stdout.once('data', (text) => {
		const [, sio, eio] = String(text).trim().split(' ');
		done({ name, child, sio, eio: eio || sio });
	}));
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

function open(server, kind)
{
	const port = kind === 'socket.io' ? server.sio : server.eio;
	const ws = new WebSocket(`ws://127.0.0.1:${port}/${kind}/` +
	    '?EIO=4&transport=websocket', { perMessageDeflate: false });

	return new Promise((done) => ws.on('message', function ready(data) {
		const text = String(data);
		if (text[0] === '0' && kind === 'socket.io')
			ws.send('40');
		else if (text[0] === '0' || text.startsWith('42["auth"')) {
			ws.off('message', ready);
			ws.on('message', (d) => String(d) === '2' &&
			    ws.send('3'));
			done(ws);
		}
	}));
}

async function echo(server, kind, bytes, window, n, quiet)
{
	const ws = await open(server, kind);
	const body = 'x'.repeat(bytes);
	let sent = 0, got = 0;
	const pump = () => {
		for (; sent < n && sent - got < window; sent++)
			ws.send(kind === 'socket.io' ?
			    `42${sent}["message-with-ack","${body}"]`
			    : `4${body}`);
	};
	const cpu = cpu_us(server), t = process.hrtime.bigint();

	await new Promise((done) => {
		ws.on('message', (d) => {
			if (d.length < 3)
				return;
			pump(got++);
			if (got === n)
				done();
		});
		pump();
	});
	const seconds = Number(process.hrtime.bigint() - t) / 1e9;
	ws.terminate();
	if (!quiet)
		report(server, `echo ${kind} ${bytes} B window ${window}`, {
	    per_second: Math.round(n / seconds),
	    cpu_us: Number(((cpu_us(server) - cpu) / n).toFixed(2)) });
}

/* An engine calls, the app answers; the one between them is measured. */
async function relay(server, bytes, window, n, quiet)
{
	const ws = new WebSocket(`ws://127.0.0.1:${server.sio}/worker/ws/` +
	    '?EIO=4&transport=websocket', { perMessageDeflate: false });
	const payload = JSON.stringify({ runId: 'r1', x: 'x'.repeat(bytes) });
	let sent = 0, got = 0;
	const pump = () => {
		for (; sent < n && sent - got < window; sent++)
			ws.send(`42${sent}["rpc",{"method":"uploadRunLog",` +
			    `"payload":${payload}}]`);
	};
	let cpu, t;

	await new Promise((done, fail) => ws.on('message', (data) => {
		const text = String(data);

		if (text[0] === '0')
			ws.send('40' + JSON.stringify({ sandboxId: 'sb1',
			    connectionToken: server.eio }));
		else if (text[0] === '2')
			ws.send('3');
		else if (text.startsWith('40')) {
			cpu = cpu_us(server);
			t = process.hrtime.bigint();
			pump();
		} else if (text.startsWith('43')) {
			if (!text.endsWith('[null]'))
				fail(new Error(text));
			pump(got++);
			if (got === n)
				done();
		}
	}));
	const seconds = Number(process.hrtime.bigint() - t) / 1e9;
	if (!quiet)
		report(server, `relay ${bytes} B window ${window}`, {
	    per_second: Math.round(n / seconds),
	    cpu_us: Number(((cpu_us(server) - cpu) / n).toFixed(2)) });
	const closed = new Promise((done) => ws.on('close', done));
	ws.terminate();
	await closed;
	/* the link serves one engine at a time: let it see this one go */
	await new Promise((done) => setTimeout(done, 100));
}

async function relays()
{
	const app = await start('app', process.execPath, [ __filename, 'app' ]);
	const url = `http://127.0.0.1:${app.sio}`;
	const servers = [
		await start('apworkerd', process.argv[3] || path.join(
		    process.argv[2] ? path.dirname(process.argv[2]) :
		    path.join(top, 't/bin'), 'link-relay'), [ url ]),
		await start('node', process.execPath, [ __filename, 'relay',
		    url ]),
	];

	for (const [ bytes, n ] of [ [ 1024, 10000 ], [ 16384, 3000 ] ])
		for (const window of [ 1, 16 ])
			for (const s of servers) {
				await relay(s, bytes, window, n / 5, true);
				await relay(s, bytes, window, n);
			}
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
	const before = memory_kib(server, 'VmRSS'), all = [];

	for (let i = 0; i < n; i++)
		all.push(await open(server, 'socket.io'));
	report(server, 'memory of an idle connection', { kib: Number((
	    (memory_kib(server, 'VmRSS') - before) / n).toFixed(1)) });
	all.forEach((ws) => ws.terminate());
}

async function large(server)
{
	const before = memory_kib(server, 'VmRSS');

	await echo(server, 'engine.io', (100 << 20) - 16, 1, 1);
	report(server, 'peak of one 100 MiB echo', { mib: Math.round(
	    (memory_kib(server, 'VmHWM') - before) / 1024) });
}

async function main()
{
	const servers = [
		await start('apworkerd', process.argv[2] ||
		    path.join(top, 't/bin/sio-server'), [ '-p', '0', '-i',
		    '25000', '-t', '20000', '-c', '45000', '-m', '200000000',
		    '-o', '500000000' ]),
		await start('node', process.execPath, [ __filename, 'serve' ]),
	];

	for (const kind of [ 'engine.io', 'socket.io' ])
		for (const [ bytes, n ] of [ [ 1024, 20000 ], [ 16384, 5000 ] ])
			for (const window of [ 1, 64 ])
				for (const s of servers) {
					/* the JIT gets its warm-up */
					await echo(s, kind, bytes, window, n / 5,
					    true);
					await echo(s, kind, bytes, window, n);
				}
	await relays();
	for (const s of servers)
		await idle(s, 500);
	for (const s of servers)
		await connect(s, 200);
	for (const s of servers)
		await large(s);
	for (const [ what, by ] of Object.entries(results))
		for (const key of Object.keys(by.node))
			if (key !== 'per_second')
				console.log(JSON.stringify({ bench: 'link',
				    what, ratio: key, value: Number((by.node[key]
				    / by.apworkerd[key]).toFixed(2)) }));
	servers.forEach((s) => s.child.stdin.end());
	process.exit(0);
}

main();
