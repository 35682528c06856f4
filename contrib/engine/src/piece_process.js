'use strict';
/*
 * Pieces in child processes, as engines from 0.88.3 on have them: one child for
 * each call, of the bundle beside ours, with our flags and environment.  What
 * a piece does to its process ends the call, and not the engine.
 */
const { spawn } = require('node:child_process');
const path = require('node:path');

const OUTPUT_MAX = 64 * 1024;

function exitError(code, signal, output) {
	if (output.includes('JavaScript heap out of memory') || code === 134
	    || signal === 'SIGABRT' || signal === 'SIGKILL')
		return new Error(`Memory limit of the piece reached\n${output}`);
	return Object.assign(new Error(`Piece process exited with code ${code} `
	    + `and signal ${signal}\n${output}`), { ofEngine: true });
}

function inChild(request) {
	return new Promise((resolve, reject) => {
		const child = spawn(process.execPath, [...process.execArgv,
		    path.join(__dirname, 'piece-child.js')], {
			stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
			serialization: 'advanced',
		});
		let output = '';

		const listen = (stream, print) => child[stream].on('data', (b) => {
			output = (output + b).slice(-OUTPUT_MAX);
			print(String(b).trimEnd());
		});
		listen('stdout', console.log);
		listen('stderr', console.error);
		child.on('message', ({ error, answer }) => {
			child.kill();
			if (error === undefined)
				resolve(answer);
			else
				reject(Object.assign(new Error(error.message),
				    { stack: error.stack }));
		});
		child.on('error', reject);
		child.on('close', (code, signal) =>
			reject(exitError(code, signal, output)));
		child.send(request);
	});
}

/* What a step does to its run comes back with its output. */
async function runAction(run, step, input, resumed) {
	const { output, marks, response } = await inChild({ kind: 'action',
	    operation: run.operation, step, input, resumed,
	    resumePayload: run.resumePayload, tags: run.tags });

	if (response !== null)
		await run.report.respond(response);
	Object.assign(run, marks);
	return output;
}

const whole = (kind) => (operation) => inChild({ kind, operation });

module.exports = { runAction, whole };
