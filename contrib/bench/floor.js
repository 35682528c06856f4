'use strict';

/*
 * What the peers cost without a worker between them: the median of a call to
 * the app double, of an operation to the engine, and of a connection to the app
 * double until its settings are there.
 *
 *	node floor.js APP-URL ENGINE-BUNDLE COUNT
 */

const { spawn } = require('child_process');
const http = require('http');
const { createRequire } = require('module');
const need = createRequire(require.resolve('../../t/package.json'));
const { io } = need('socket.io-client');
const { Server } = need('socket.io');

const [url, bundle, count] = process.argv.slice(2);

async function median(f, n = Number(count))
{
	const times = [];

	for (let i = 0; i < n; i++) {
		const t0 = process.hrtime.bigint();

		await f();
		times.push(Number(process.hrtime.bigint() - t0) / 1e6);
	}
	times.sort((a, b) => a - b);
	return Number(times[times.length >> 1].toFixed(3));
}

async function app()
{
	const s = io(url, { path: '/api/socket.io', transports: ['websocket'],
		auth: { token: 't', workerId: 'floor' } });

	await s.emitWithAck('FETCH_WORKER_SETTINGS', {});
	const ms = await median(() => s.emitWithAck('rpc',
	    { method: 'extendLock', payload: { jobId: 'none' } }));
	s.disconnect();
	return ms;
}

function handshake()
{
	return median(async () => {
		const s = io(url, { path: '/api/socket.io', forceNew: true,
			transports: ['websocket'],
			auth: { token: 't', workerId: 'floor' } });

		await s.emitWithAck('FETCH_WORKER_SETTINGS', {});
		s.disconnect();
	}, 10);
}

function engine()
{
	return new Promise((done) => {
		const server = http.createServer();
		const host = new Server(server, { path: '/worker/ws' });
		let child;

		host.on('connection', async (s) => {
			/* after the upgrade */
			await new Promise((go) => setTimeout(go, 300));
			const ms = await median(() => s.emitWithAck('rpc', {
				method: 'executeOperation', payload: {
				operationType: 'EXECUTE_FLOW', operation: {} } }));
			child.kill('SIGKILL');
			server.close();
			done(ms);
		});
		server.listen(0, '127.0.0.1', () => {
			child = spawn(process.execPath, [bundle], {
				stdio: 'inherit',
				env: { SANDBOX_ID: 'floor',
				    AP_SANDBOX_WS_TOKEN: 'floor',
				    AP_SANDBOX_WS_PORT:
					String(server.address().port) },
			});
		});
	});
}

(async () => {
	console.log(JSON.stringify({ app_ms: await app(),
	    engine_ms: await engine(), handshake_ms: await handshake() }));
	process.exit(0);
})();
