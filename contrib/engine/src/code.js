'use strict';
/*
 * Runs the author's JavaScript: code steps and the expressions that are more
 * than a path.  Where it runs is the mode's choice: a child process, or a V8
 * isolate of its own with a memory limit and nothing of Node in it.
 */
const fs = require('node:fs');
const path = require('node:path');
const env = require('./env');

const runners = {
	process: () => require('./code_process'),
	isolate: () => require('./code_isolate'),
};

function runner() {
	return runners[env.codeRunner()]();
}

const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

/* Returns what the step's code() returned, as JSON would carry it. */
async function runStep(flowVersionId, stepName, input) {
	for (const name of [flowVersionId, stepName])
		if (!SAFE_NAME.test(name))
			throw new Error(`not a name of a code step: ${name}`);
	const file = path.join(env.codeDirectory, flowVersionId, stepName,
	    'index.js');
	if (!fs.existsSync(file))
		throw new Error(`the code of ${stepName} is not installed`);
	return runner().runStep(file, input);
}

async function evaluate(expression, variables) {
	return runner().evaluate(expression, variables);
}

/* Loads what the first of them would wait for. */
function prepare() {
	runner().prepare();
}

module.exports = { runStep, evaluate, prepare };
