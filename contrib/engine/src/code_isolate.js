'use strict';
/*
 * Author's code in a V8 isolate: 128 MB, no require, no files, no network, no
 * timers.  Values cross the wall as JSON text only, console as plain text.
 * Needs node --no-node-snapshot.
 */
const fs = require('node:fs');

const MEMORY_MB = 128;
const EXPRESSION_LIMIT_MS = 5_000;

const PRELUDE = `
	const __module = { exports: {} };
	{
		const print = (stream) => (...args) => __print(stream,
		    args.map((a) => typeof a === 'string' ? a
		        : a instanceof Error ? String(a.stack)
		        : JSON.stringify(a) ?? String(a)).join(' '));
		globalThis.console = Object.fromEntries(['log', 'info', 'debug',
		    'warn'].map((name) => [name, print('log')]));
		globalThis.console.error = print('error');
	}
`;
const CALL = `
	if (typeof __module.exports.code !== 'function')
		throw new TypeError('code is not a function: the step does not '
		    + 'export a function of this name');
	return Promise.resolve(__module.exports.code(JSON.parse($0)))
	    .then((result) => JSON.stringify(result));
`;

async function inIsolate(use) {
	/* loaded late: only these modes need it */
	const ivm = require('isolated-vm');
	const isolate = new ivm.Isolate({ memoryLimit: MEMORY_MB });
	try {
		const context = await isolate.createContext();
		await context.global.set('__print', new ivm.Callback(
		    (stream, text) => console[stream](text)));
		return await use(context);
	} finally {
		if (!isolate.isDisposed)
			isolate.dispose();
	}
}

function parsed(text) {
	return text === undefined ? undefined : JSON.parse(text);
}

async function runStep(file, input) {
	const source = fs.readFileSync(file, 'utf8');
	return parsed(await inIsolate((context) => context.evalClosure(
	    `${PRELUDE}(function (module, exports) {${source}
	    })(__module, __module.exports);${CALL}`, [JSON.stringify(input ?? {})],
	    { result: { promise: true, copy: true } })));
}

async function evaluate(expression, variables) {
	return parsed(await inIsolate((context) => context.evalClosure(
	    `Object.assign(globalThis, JSON.parse($0));
	    return JSON.stringify((0, eval)($1));`,
	    [JSON.stringify(variables), `(${expression})`],
	    { timeout: EXPRESSION_LIMIT_MS, result: { copy: true } })));
}

function prepare() {
	require('isolated-vm');
}

module.exports = { runStep, evaluate, prepare };
