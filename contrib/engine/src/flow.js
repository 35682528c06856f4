'use strict';
/*
 * EXECUTE_FLOW: walks the steps of one flow version and keeps what each of
 * them returned.  The steps of one level live in one object; a loop opens a
 * level for each iteration.
 */
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const env = require('./env');
const code = require('./code');
const runPiece = LATER ? require('./piece_process').runAction
    : require('./piece').runAction;
const { app } = require('./app');
const { connectionsOf } = require('./connections');
const { matches } = require('./conditions');
const { errorText, LogSizeError } = require('./errors');
const { report } = require('./report');
const { resolve, censored } = require('./expr');
const { firstPayload } = require('./trigger');

const RETRIES = 4;
const RETRY_FIRST_MS = 2_000;

/* ---- the state of a run ---- */

class Run {
	constructor(operation) {
		this.operation = operation;
		this.app = app(operation);
		this.steps = {};
		this.tags = [];
		this.status = 'RUNNING';
		this.stopped = false;
		this.failedStep = undefined;
		this.startTime = new Date().toISOString();
		this.logBytes = 0;
		this.report = report(this);
		this.connections = connectionsOf(this.app, operation);
	}

	get going() {
		return this.status === 'RUNNING' && !this.stopped;
	}

	get resuming() {
		return this.operation.executionType === 'RESUME';
	}

	stepsCount() {
		return Object.entries(this.steps).filter(([name, { status }]) =>
		    name !== this.operation.flowVersion.trigger.name
		    && status !== 'FAILED' && status !== 'RUNNING').length;
	}

	/* Bounds what one run may write to the log. */
	account(output) {
		this.logBytes += Buffer.byteLength(JSON.stringify(output) ?? '');
		if (this.logBytes > env.maxLogBytes)
			throw new LogSizeError(this.logBytes, env.maxLogBytes);
	}
}

/* One level: the steps in it, and the levels around it for look-ups. */
function level(steps, outer, path) {
	return { steps, outer, path };
}

function lookUp(at, name) {
	for (; at !== null; at = at.outer)
		if (Object.hasOwn(at.steps, name))
			return at.steps[name];
	return undefined;
}

function visible(at) {
	return at === null ? {} : { ...visible(at.outer), ...at.steps };
}

function scopeOf(run, at) {
	return {
		step: (name) => lookUp(at, name),
		all: () => visible(at),
		connections: run.connections.value,
		variables: run.connections.variable,
		javascript: code.evaluate,
	};
}

/* ---- steps ---- */

/* Returns {value} or throws; `input` is already filled in. */
const actions = {
	CODE: (run, step, input) =>
		code.runStep(run.operation.flowVersion.id, step.name, input),
	PIECE: (run, step, input, resumed) =>
		runPiece(run, step, input, resumed),
};

function inputOf(step) {
	return step.settings.input ?? {};
}

async function runAction(run, step, at) {
	const scope = scopeOf(run, at);
	const began = performance.now();
	const before = at.steps[step.name];
	const output = {
		type: step.type,
		status: 'RUNNING',
		input: await resolve(inputOf(step), censored(scope)),
	};
	at.steps[step.name] = output;
	await run.report.step(step.name, at.path, output);

	const options = step.settings.errorHandlingOptions ?? {};
	/* a test of one step shows its failure at once */
	const testing = Boolean(run.operation.stepNameToTest);
	const tries = options.retryOnFailure?.value && !testing ? RETRIES : 1;
	let failure = null;

	for (let n = 0; n < tries; n++) {
		if (n > 0)
			await sleep(RETRY_FIRST_MS * 2 ** (n - 1));
		try {
			const input = await resolve(inputOf(step), scope);
			const value = await actions[step.type](run, step, input,
			    before?.status === 'PAUSED');
			/* what JSON cannot carry must not reach the next step */
			output.output = value === undefined ? undefined
			    : JSON.parse(JSON.stringify(value) ?? 'null');
			failure = null;
			break;
		} catch (err) {
			failure = err;
		}
	}
	output.duration = performance.now() - began;
	if (failure === null) {
		output.status = run.status === 'PAUSED' ? 'PAUSED'
		    : run.stopped ? 'STOPPED' : 'SUCCEEDED';
	} else {
		output.status = 'FAILED';
		output.errorMessage = errorText(failure);
		if (!options.continueOnFailure?.value || testing)
			fail(run, step, output);
	}
	run.account(output);
	await run.report.step(step.name, at.path, output);

	const branches = step.settings.continueOnFailureBranches
	    ?? step.continueOnFailureBranches;
	if (branches && run.going)
		await walk(run, failure === null ? branches.onSuccess
		    : branches.onFailure, at);
}

function fail(run, step, output) {
	run.status = 'FAILED';
	run.failedStep = {
		name: step.name,
		displayName: step.displayName,
		message: output.errorMessage,
	};
}

async function runLoop(run, step, at) {
	const scope = scopeOf(run, at);
	const began = performance.now();
	const items = await resolve(step.settings.items, scope);
	const old = at.steps[step.name]?.output?.iterations ?? [];
	const output = {
		type: step.type,
		status: 'RUNNING',
		input: { items: await resolve(step.settings.items,
		    censored(scope)) },
		output: { item: undefined, index: 0, iterations: [] },
	};
	at.steps[step.name] = output;
	if (!Array.isArray(items)) {
		output.status = 'FAILED';
		output.errorMessage = errorText(
		    new Error('the items of a loop must be a list'));
		fail(run, step, output);
	}
	const rounds = run.operation.stepNameToTest ? [] : items;
	for (let i = 0; i < rounds.length && run.going; i++) {
		output.output.item = items[i];
		output.output.index = i + 1;
		output.output.iterations[i] = old[i] ?? {};
		await walk(run, step.firstLoopAction,
		    level(output.output.iterations[i], at,
		    [...at.path, [step.name, i]]));
	}
	output.duration = performance.now() - began;
	if (run.status === 'PAUSED')
		output.status = 'PAUSED';
	else if (output.status === 'RUNNING')
		output.status = 'SUCCEEDED';
	await run.report.step(step.name, at.path, output);
}

async function runRouter(run, step, at) {
	const scope = scopeOf(run, at);
	const began = performance.now();
	const settings = await resolve(step.settings, censored(scope));
	const { branches, executionType } = await resolve(step.settings, scope);
	const output = { type: step.type, status: 'SUCCEEDED', input: settings };
	let chosen = [];

	at.steps[step.name] = output;
	try {
		const results = branches.map((b) => b.branchType === 'FALLBACK'
		    ? false : matches(b.conditions));
		const any = results.includes(true);
		branches.forEach((b, i) => {
			if (b.branchType === 'FALLBACK')
				results[i] = !any;
		});
		chosen = results.flatMap((is, i) => is ? [i] : []);
		if (executionType === 'EXECUTE_FIRST_MATCH')
			chosen = chosen.slice(0, 1);
		output.output = { branches: branches.map((b, i) => ({
			branchName: b.branchName,
			branchIndex: i + 1,
			evaluation: results[i],
		})) };
	} catch (err) {
		output.status = 'FAILED';
		output.errorMessage = errorText(err);
		fail(run, step, output);
	}
	output.duration = performance.now() - began;
	run.account(output);
	if (!run.operation.stepNameToTest)
		for (const i of chosen)
			if (run.going)
				await walk(run, step.children[i], at);
	if (run.status === 'PAUSED')
		output.status = 'PAUSED';
	await run.report.step(step.name, at.path, output);
}

const kinds = {
	CODE: runAction,
	PIECE: runAction,
	LOOP_ON_ITEMS: runLoop,
	ROUTER: runRouter,
};

async function runOne(run, step, at) {
	if (!Object.hasOwn(kinds, step.type))
		throw new Error(`${step.name}: unknown kind of step ${step.type}`);
	/* a resumed run goes on behind what it has */
	const status = at.steps[step.name]?.status;
	if (run.resuming && (status === 'SUCCEEDED' || status === 'STOPPED'))
		return;
	await kinds[step.type](run, step, at);
}

async function walk(run, step, at) {
	for (; step && run.going; step = step.nextAction)
		if (!step.skip)
			await runOne(run, step, at);
}

/* ---- the operation ---- */

async function begin(run) {
	const { operation } = run;
	const { trigger } = operation.flowVersion;
	const payload = await firstPayload(run, operation);
	const output = { type: trigger.type, status: 'SUCCEEDED',
	    input: {}, output: payload };

	run.steps[trigger.name] = output;
	run.account(output);
	await run.report.started();
	await run.report.step(trigger.name, [], output);
	await walk(run, trigger.nextAction, level(run.steps, null, []));
}

/* Steps that ended are taken from the log of the run; the rest runs now. */
async function resume(run) {
	const { operation } = run;
	const file = await run.app.getFile(operation.logsFileId);
	const state = JSON.parse(file).executionState;

	run.steps = state.steps;
	run.tags = state.tags ?? [];
	run.resumePayload = await run.app.payload(operation.resumePayload);
	await walk(run, operation.flowVersion.trigger.nextAction,
	    level(run.steps, null, []));
}

function find(step, name) {
	if (!step || step.name === name)
		return step;
	const below = [step.firstLoopAction, ...step.children ?? [],
	    step.nextAction];
	for (const s of below) {
		const found = find(s, name);
		if (found)
			return found;
	}
	return undefined;
}

/* One step alone; sample data stands for what ran before it. */
async function testStep(run) {
	const { operation } = run;
	const { trigger } = operation.flowVersion;
	const step = find(trigger, operation.stepNameToTest);

	if (!step)
		throw new Error(`no step ${operation.stepNameToTest} in this flow`);
	for (const [name, output] of Object.entries(operation.sampleData ?? {}))
		run.steps[name] = { type: find(trigger, name)?.type ?? 'CODE',
		    status: 'SUCCEEDED', input: {}, output };
	await run.report.started();
	await runOne(run, step, level(run.steps, null, []));

	const { input, output, errorMessage } = run.steps[step.name];
	return { stepResponse: {
		runId: operation.flowRunId,
		success: run.status !== 'FAILED',
		input,
		output: output ?? errorMessage,
		standardError: '',
		standardOutput: '',
	} };
}

async function execute(operation) {
	const run = new Run(operation);
	let more;

	try {
		if (operation.stepNameToTest)
			more = await testStep(run);
		else
			await (run.resuming ? resume : begin)(run);
		if (run.status === 'RUNNING')
			run.status = 'SUCCEEDED';
	} finally {
		run.report.stop();
	}
	await run.report.ended(more);
}

module.exports = { execute };
