'use strict';
/*
 * The connection to the worker: Socket.IO on loopback, one request of the
 * worker at a time, calls and notifications to it.  Never reconnects: a
 * worker that went away has given this engine's job to somebody else.
 */
const http = require('node:http');
const { format } = require('node:util');
const { io } = require('socket.io-client');
const env = require('./env');
const warm = require('./warm');

const CONNECT_LIMIT_MS = 60_000;
const CALL_LIMIT_MS = 60_000;

let socket = null;

function connect(execute) {
	const options = {
		path: '/worker/ws',
		reconnection: false,
		/* not the one of everybody, which may be a proxy's */
		agent: new http.Agent({ keepAlive: true }),
		auth: { sandboxId: env.sandboxId, connectionToken: env.token },
	};
	if (env.transports.length > 0)
		options.transports = env.transports;

	const watchdog = setTimeout(() => process.exit(5), CONNECT_LIMIT_MS);

	socket = io(`ws://127.0.0.1:${env.port}`, options);
	socket.on('connect', () => {
		clearTimeout(watchdog);
		warm.start();
	});
	socket.on('connect_error', (err) => {
		process.stderr.write(`engine: cannot connect: ${err.message}\n`);
	});
	socket.on('disconnect', (reason) => {
		if (reason !== 'io client disconnect')
			process.exit(6);
	});
	socket.on('rpc', async (request, answer) => {
		warm.stop();
		try {
			if (request?.method !== 'executeOperation')
				throw new Error(`unknown method ${request?.method}`);
			answer(await execute(request.payload));
		} catch (err) {
			answer({ __rpcError: err.message });
		}
	});
}

/* Ask the worker; what it cannot do itself it passes to the app. */
async function call(method, payload) {
	const answer = await socket.timeout(CALL_LIMIT_MS)
	    .emitWithAck('rpc', { method, payload });
	if (answer !== null && typeof answer === 'object'
	    && '__rpcError' in answer)
		throw new Error(`${method}: ${answer.__rpcError}`);
	return answer;
}

function notify(method, message) {
	socket?.emit('rpc-notify', { method, payload: { message } });
}

/* Headers of requests may hold credentials: keep the marker, drop the rest. */
function printable(args) {
	if (typeof args[0] === 'string'
	    && args[0].includes('HttpClient#sendRequest'))
		return args[0] + 'REDACTED';
	return format(...args);
}

/* What pieces and the engine print belongs to the log of the job. */
function captureConsole() {
	const to = (stream) => (...args) =>
		notify(stream, printable(args) + '\n');

	for (const name of ['log', 'info', 'debug', 'warn'])
		console[name] = to('stdout');
	console.error = to('stderr');
}

module.exports = { connect, call, notify, captureConsole };
