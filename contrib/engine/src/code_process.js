'use strict';
/*
 * Author's code in a child process, one for each run of a step.  The child
 * has the engine's environment without what belongs to the engine alone, and
 * leaves when the engine does.
 */
const { spawn } = require('node:child_process');
const vm = require('node:vm');

const EXPRESSION_LIMIT_MS = 5_000;

/* The child, as source text: it is started with node -e. */
function child() {
	const { format } = require('node:util');
	const print = (stream) => (...args) =>
		process.send({ stream, text: format(...args) });

	for (const name of ['log', 'info', 'debug', 'warn'])
		console[name] = print('log');
	console.error = print('error');

	process.on('disconnect', () => process.exit(0));
	process.on('uncaughtException', fail);
	process.on('unhandledRejection', fail);

	function fail(err) {
		process.send({ error: String(err), stack: err?.stack },
		    () => process.exit(0));
	}

	process.once('message', async ({ file, input }) => {
		try {
			const { code } = require(file);
			const result = await code(input);
			process.send({ done: true, result },
			    () => process.exit(0));
		} catch (err) {
			fail(err);
		}
	});
}

function childEnvironment() {
	return Object.fromEntries(Object.entries(process.env).filter(
	    ([name]) => !name.startsWith('AP_') && name !== 'SANDBOX_ID'));
}

function heapFlags() {
	return process.execArgv.filter((a) => a.startsWith('--max-old-space-size'));
}

function runStep(file, input) {
	return new Promise((resolve, reject) => {
		const proc = spawn(process.execPath,
		    [...heapFlags(), '-e', `(${child})()`], {
			env: childEnvironment(),
			stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
		});
		let answer = null;

		proc.on('message', (m) => {
			if (m.stream !== undefined)
				console[m.stream](m.text);
			else
				answer = m;
		});
		proc.on('error', reject);
		proc.on('close', (code, signal) => {
			if (answer?.done)
				resolve(answer.result);
			else if (answer !== null)
				reject(asError(answer));
			else
				reject(new Error('Code process exited with code '
				    + `${code} and signal ${signal}`));
		});
		proc.send({ file, input });
	});
}

function asError({ error, stack }) {
	const err = new Error(error);
	if (stack !== undefined)
		err.stack = stack;
	return err;
}

/* These modes put no wall between author and engine; a context keeps order. */
async function evaluate(expression, variables) {
	return vm.runInNewContext(`(${expression})`, structuredClone(variables),
	    { timeout: EXPRESSION_LIMIT_MS });
}

function prepare() {
	vm.createContext({});
}

module.exports = { runStep, evaluate, prepare };
