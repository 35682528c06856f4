'use strict';

/*
 * An engine's end of the engine link on the real socket.io client, led line by
 * line:  link-engine.js PORT '{"sandboxId":…,"connectionToken":…}' ['{client
 * options}']
 *
 * Input, a JSON list a line:
 *	["rpc", METHOD, PAYLOAD]	call; prints "reply JSON" or "failed TEXT"
 *	["notify", METHOD, PAYLOAD]	rpc-notify
 *	["flood", N, BYTES]		N notifications of so many bytes
 *	["big", BYTES]			a call with so many bytes
 *	["result", VALUE]		answer the oldest operation
 *	["emit", EVENT, ARGS…]  ["ack", EVENT, ARGS…]
 *	["text", TEXT]			an engine.io message as it is
 *	["leave"]  ["drop"]		disconnect; close the transport
 * Output: connect TRANSPORT, upgrade TRANSPORT, connect_error TEXT,
 * disconnect REASON, operation JSON, event JSON
 */

const { io } = require('socket.io-client');

const [port, auth, options] = process.argv.slice(2);
const say = (...words) => process.stdout.write(words.join(' ') + '\n');
const text = (value) => JSON.stringify(value === undefined ? null : value);
const waiting = [];
const socket = io(`ws://127.0.0.1:${port}`, { path: '/worker/ws',
	reconnection: false, auth: JSON.parse(auth),
	...JSON.parse(options || '{}') });

socket.on('connect', () => {
	say('connect', socket.io.engine.transport.name);
});
socket.io.engine.on('upgrade', (transport) => say('upgrade', transport.name));
socket.on('connect_error', (err) => say('connect_error', err.message));
socket.on('disconnect', (reason) => say('disconnect', reason));
socket.on('rpc', (request, ack) => {
	waiting.push(ack);
	const operation = text(request);
	say('operation', operation.length > 4096 ? operation.length : operation);
});
socket.onAny((...args) => args[0] !== 'rpc' && say('event', text(args)));

const calls = {
	rpc: (method, payload) => calls.ack('rpc', { method, payload }),
	ack: async (event, ...args) => {
		try {
			const got = text(await socket.timeout(20000).emitWithAck(
			    event, ...args));
			say('reply', got.length > 4096 ? got.length : got);
		} catch (err) {
			say('failed', err.message);
		}
	},
	notify: (method, payload) => socket.emit('rpc-notify',
	    { method, payload }),
	flood: (n, bytes) => {
		const message = 'x'.repeat(bytes);
		for (let i = 0; i < n; i++)
			calls.notify('stdout', { message });
		say('flooded');
	},
	big: (bytes) => calls.rpc('uploadRunLog', { big: 'x'.repeat(bytes) }),
	result: (value) => waiting.shift()(value),
	emit: (...args) => socket.emit(...args),
	text: (data) => socket.io.engine.send(data),
	leave: () => socket.disconnect(),
	drop: () => socket.io.engine.close(),
};

let rest = '';
process.stdin.on('data', (data) => {
	const lines = (rest + data).split('\n');
	rest = lines.pop();
	for (const line of lines) {
		const [what, ...args] = JSON.parse(line);
		calls[what](...args);
	}
});
process.stdin.on('end', () => process.exit(0));
