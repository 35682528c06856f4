'use strict';

/*
 * An engine of the generation before 0.80 (dialect A), on the real socket.io
 * client: one port for all, no token; operations come as engine-operation,
 * everything else is a command, repeated until it is acknowledged.
 *
 * flowVersion.trigger.settings.input.double of an operation is a list of
 * {do: 'sleep', ms}, {do: 'wait', name}, {do: 'twice'} (the answer), and {do:
 * 'answer', value}.
 */

process.noDeprecation = true;

const fs = require('fs');
const path = require('path');
const { io } = require('socket.io-client');

const place = globalThis.APW_DOUBLE || { dir: __dirname };
const file = (name) => path.join(place.dir, name);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const record = (what, entry) => fs.appendFileSync(file('records.jsonl'),
    JSON.stringify({ what, pid: process.pid, t: Date.now(), ...entry }) + '\n');

record('start', { env: process.env,
	pidns: fs.readlinkSync('/proc/self/ns/pid') });
const socket = io('ws://127.0.0.1:12345', { path: '/worker/ws',
	auth: { sandboxId: process.env.SANDBOX_ID } });

async function command(event, payload)
{
	for (let i = 0; i < 5; i++) {
		try {
			const got = await socket.timeout(1000).emitWithAck(
			    'command', { event, payload });
			record('reply', { event, got });
			return;
		} catch (err) {
			record('unanswered', { event });
		}
	}
}

socket.on('connect', () => record('connect', {}));
socket.on('connect_error', (e) => record('refused', { message: e.message }));
socket.on('disconnect', (reason) => record('disconnect', { reason }));
socket.on('engine-operation', async ({ operation, operationType }) => {
	const input = operation.flowVersion?.trigger?.settings?.input;
	let value = { status: 'OK', delayInSeconds: 7 }, twice = false;

	record('operation', { operationType, operation,
	    sandbox: process.env.SANDBOX_ID,
	    transport: socket.io.engine.transport.name });
	socket.emit('command', { event: 'engine-stdout',
	    payload: { message: 'hello\n' } });
	for (const step of input?.double || []) {
		if (step.do === 'sleep')
			await sleep(step.ms);
		while (step.do === 'wait' && !fs.existsSync(file(`go-${step.name}`)))
			await sleep(20);
		twice ||= step.do === 'twice';
		value = step.value || value;
	}
	if (operationType === 'EXECUTE_FLOW')
		await command('upload-run-log', { runId: operation.flowRunId,
		    projectId: operation.projectId, status: 'SUCCEEDED',
		    progressUpdateType: operation.progressUpdateType });
	if (twice)
		socket.emit('command', { event: 'engine-response',
		    payload: value });
	await command('engine-response', value);
});
