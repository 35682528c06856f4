'use strict';

/*
 * A worker's half of the engine link on the real socket.io server, to try
 * engines with: engine-host.js BUNDLE OPERATIONS, where OPERATIONS is a JSON
 * list of {operationType, operation}.  Starts the engine, sends them one after
 * the other, ends the engine.  Prints one JSON line for each thing that happens.
 */

const { spawn } = require('child_process');
const http = require('http');
const { Server } = require('socket.io');

const [bundle, operations] = process.argv.slice(2);
const say = (what, value) => console.log(JSON.stringify({ what, value }));
const server = http.createServer();
const io = new Server(server, { path: '/worker/ws' });
let first, child;

io.use((socket, next) => next(
    socket.handshake.auth.connectionToken === 'secret' ? undefined
    : new Error('unauthorized')));
io.on('connection', async (socket) => {
	if (first) {
		socket.disconnect(true);
		return;
	}
	first = socket;
	socket.on('rpc-notify', (m) => say(m.method,
	    m.payload.message.length < 200 ? m.payload.message
	    : m.payload.message.length));
	socket.on('rpc', (m, ack) => {
		say('rpc', m);
		ack(/^(uploadRunLog|updateRunProgress|sendFlowResponse|updateStepProgress)$/
		    .test(m.method) ? null : { __rpcError: 'unknown method' });
	});
	for (const payload of JSON.parse(operations)) {
		say('result', await socket.emitWithAck('rpc',
		    { method: 'executeOperation', payload }));
	}
	/* what comes after the result has a moment to arrive */
	setTimeout(() => child.kill('SIGKILL'), 100);
});
server.listen(0, '127.0.0.1', () => {
	child = spawn(process.execPath, [bundle], {
		stdio: ['ignore', 'inherit', 'inherit'],
		env: { SANDBOX_ID: 'sb1', AP_SANDBOX_WS_TOKEN: 'secret',
		    AP_SANDBOX_WS_PORT: String(server.address().port) },
	});
	child.on('exit', (code, signal) => {
		say('exit', { code, signal });
		process.exit(0);
	});
});
