'use strict';

/*
 * What a message and a connection cost in the link library, beside the npm
 * socket.io server, in one run on the same work:
 *
 *	node contrib/bench/link.js [PATH of sio-server]
 *
 * The build should be an ordinary one, without sanitizers.  Prints a JSON line
 * for each measurement, and one for each ratio (Node / ours: above 1 is
 * cheaper).
 */

const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');

const top = path.resolve(__dirname, '../..');
const modules = path.join(top, 't/node_modules');
const HZ = 100;

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

function cpu_us({ child })
{
	const f = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8')
	    .replace(/^.*\) /, '').split(' ');
	return (Number(f[11]) + Number(f[12])) * 1e6 / HZ;
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
