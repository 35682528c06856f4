'use strict';

/*
 * An engine of 0.80 to 0.83 (dialect B0), on the real socket.io client: a port
 * of its own, no token, calls as rpc.  It stays when its connection is lost.
 *
 * What an operation brings in flowVersion.trigger.settings.input.double is a
 * list of {do: 'call', method, payload}, {do: 'answer', value}.
 */

process.noDeprecation = true;

const fs = require('fs');
const path = require('path');
const { io } = require('socket.io-client');

const place = globalThis.APW_DOUBLE || { dir: __dirname };
const record = (what, entry) => fs.appendFileSync(
    path.join(place.dir, 'records.jsonl'),
    JSON.stringify({ what, pid: process.pid, t: Date.now(), ...entry }) + '\n');

record('start', { env: process.env,
	pidns: fs.readlinkSync('/proc/self/ns/pid') });
const socket = io(`ws://127.0.0.1:${process.env.AP_SANDBOX_WS_PORT}`, {
	path: '/worker/ws', auth: { sandboxId: process.env.SANDBOX_ID } });

async function call(method, payload, ms)
{
	let value;

	try {
		value = await socket.timeout(ms || 5000).emitWithAck('rpc',
		    { method, payload });
	} catch (err) {
		value = { silence: err.message };
	}
	record('reply', { method, value });
}

socket.on('connect_error', (e) => record('refused', { message: e.message }));
socket.on('rpc', async ({ method, payload }, ack) => {
	const { operation, operationType } = payload;
	const input = operation.flowVersion?.trigger?.settings?.input;
	let value = { status: 'OK' };

	record('operation', { method, operationType, operation });
	socket.emit('rpc-notify', { method: 'stdout',
	    payload: { message: 'hello\n' } });
	for (const step of input?.double || []) {
		if (step.do === 'call')
			await call(step.method, step.payload, step.ms);
		value = step.value || value;
	}
	ack(value);
});
