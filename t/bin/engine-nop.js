'use strict';

/*
 * An engine that does nothing, as fast as it can: answers each operation OK.
 * For the benches, on the real socket.io client as engines are.  When it arrived
 * and when it was answered is written to records.jsonl, later, in one go.
 * (Dialect B1: AP_SANDBOX_WS_TOKEN, rpc, rpc-notify.)
 */

const fs = require('fs');
const path = require('path');
const { io } = require('socket.io-client');

const place = globalThis.APW_DOUBLE || { dir: __dirname };
const now = () => Number(process.hrtime.bigint()) / 1e6;
const socket = io(`ws://127.0.0.1:${process.env.AP_SANDBOX_WS_PORT}`, {
	path: '/worker/ws', reconnection: false,
	auth: {
		sandboxId: process.env.SANDBOX_ID,
		connectionToken: process.env.AP_SANDBOX_WS_TOKEN,
	},
});
let lines = '';

function write()
{
	if (lines !== '')
		fs.appendFileSync(path.join(place.dir, 'records.jsonl'), lines);
	lines = '';
}

setTimeout(() => socket.connected || process.exit(5), 60000).unref();
setInterval(write, 200);
socket.on('disconnect', () => process.exit(6));
socket.on('rpc', (request, ack) => {
	const arrived = now();

	ack({ status: 'OK' });
	lines += JSON.stringify({ what: 'nop', in: arrived, out: now(),
	    run: request.payload.operation.flowRunId }) + '\n';
});
