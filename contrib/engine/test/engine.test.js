'use strict';
/* The built engine against a real Socket.IO server. */
const test = require('node:test');
const assert = require('node:assert');
const http = require('node:http');
const { once } = require('node:events');
const { Worker } = require('./worker');

let isolates = true;
try {
	require('isolated-vm');
} catch {
	isolates = false;
}

const PIECE = `
class Piece {
	constructor() { this.displayName = 'Demo'; }
	get auth() { return { type: 'SECRET_TEXT', validate: async ({ auth }) =>
	    auth === 'good' ? { valid: true } : { valid: false, error: 'bad' } }; }
	metadata() { return { displayName: 'Demo', actions: {}, triggers: {} }; }
	actions() { return {
		add: { props: { a: { type: 'NUMBER' }, fruit: { type: 'DROPDOWN',
		    options: async (v, ctx) => ({ options: [{ label: ctx.searchValue,
		        value: v.a }] }) } },
		    run: async ({ propsValue, auth }) => ({ sum: propsValue.a + 1, auth }) },
		respond: { props: {}, run: async ({ run, propsValue }) => {
		    run.stop({ response: { status: 201, body: propsValue.body } });
		    return 'sent'; } },
		exit: { props: {}, run: async () => process.exit(7) },
		boom: { props: {}, run: () => new Promise(() => setTimeout(() => {
		    throw new Error('late'); }, 1)) },
		reject: { props: {}, run: () => new Promise(() =>
		    void Promise.reject(new Error('lost'))) },
	}; }
	triggers() { return { hook: { type: 'WEBHOOK', props: {},
		onEnable: async (c) => console.log('enabled ' + c.webhookUrl),
		onDisable: async () => {}, test: async () => { throw new Error('down'); },
		onHandshake: async () => ({ status: 200, body: 'hi' }),
		run: async (c) => [{ got: c.payload.body }] } }; }
}
exports.demo = new Piece();
`;

const piece = { pieceName: '@acme/piece-demo', pieceVersion: '0.0.1' };

function code(name, input, more = {}) {
	return { name, type: 'CODE', displayName: `Step ${name}`,
	    settings: { input, ...more.settings }, ...more };
}

function action(name, actionName, input, more = {}) {
	return { name, type: 'PIECE', displayName: name,
	    settings: { ...piece, actionName, input, ...more.settings },
	    ...more };
}

function trigger(nextAction) {
	return { name: 'trigger', type: 'EMPTY', settings: {}, nextAction };
}

function withWorker(name, options, body) {
	test(name, { timeout: 40_000, skip: options.skip }, async () => {
		const worker = new Worker();
		try {
			worker.piece('@acme/piece-demo', '0.0.1', PIECE);
			options.prepare?.(worker);
			await worker.start(options.mode, options.env);
			await body(worker);
		} finally {
			await worker.stop();
		}
	});
}

const BRANCHING = trigger(code('step_1', { n: "{{trigger['output'].body.n}}" }, {
	nextAction: {
		name: 'step_2', type: 'LOOP_ON_ITEMS', settings: { items: '{{[1,2]}}' },
		firstLoopAction: code('step_3', { n: "{{step_2['output'].item}}" }),
		nextAction: {
			name: 'step_4', type: 'ROUTER', settings: {
				executionType: 'EXECUTE_FIRST_MATCH',
				branches: [{ branchName: 'a', branchType: 'CONDITION',
				    conditions: [[{ operator: 'NUMBER_IS_EQUAL_TO',
				    firstValue: '{{step_1.n}}', secondValue: '9' }]] },
				{ branchName: 'other', branchType: 'FALLBACK' }],
			},
			children: [code('step_5', {}), code('step_6', { all: 1 })],
			nextAction: code('step_7', {}, { skip: true }),
		},
	},
}));

function branchingCode(worker) {
	worker.code('step_1', 'exports.code = async (i) => {'
	    + 'console.log("hello"); console.error("a warning"); return i; };');
	/* the shape that bundlers give a module */
	worker.code('step_3', '"use strict"; var code = (i) => ({ twice: i.n * 2 });'
	    + 'module.exports = { code };');
	worker.code('step_6', 'exports.code = async () => "other branch";');
}

for (const [mode, skip] of [['UNSANDBOXED', false],
    ['SANDBOX_CODE_ONLY', !isolates]]) {
	withWorker(`${mode}: code, loop, router, skip`, { mode, skip,
	    prepare: branchingCode }, async (w) => {
		assert.deepStrictEqual(await w.flow(BRANCHING), { status: 'OK' });
		assert.strictEqual(w.stdout, 'hello\n');
		assert.match(w.stderr, /a warning\n/);
		assert.deepStrictEqual(w.steps.step_1.output, { n: 2 });
		assert.deepStrictEqual(w.steps.step_2.output.iterations
		    .map((i) => i.step_3.output), [{ twice: 2 }, { twice: 4 }]);
		assert.deepStrictEqual(w.steps.step_4.output.branches
		    .map((b) => b.evaluation), [false, true]);
		assert.strictEqual(w.steps.step_6.output, 'other branch');
		assert.ok(!('step_5' in w.steps) && !('step_7' in w.steps));

		const logs = w.of('uploadRunLog');
		assert.deepStrictEqual(logs.map((l) => [l.status, l.stepsCount]),
		    [['RUNNING', 0], ['SUCCEEDED', 4]]);
		assert.deepStrictEqual(Object.keys(logs[1]), ['runId', 'projectId',
		    'status', 'streamStepProgress', 'logsFileId', 'startTime',
		    'finishTime', 'tags', 'stepsCount']);
		assert.deepStrictEqual(w.of('updateRunProgress')
		    .find((p) => p.step?.name === 'step_3').step.path,
		    [['step_2', 0]]);
	});

	withWorker(`${mode}: a step that throws`, { mode, skip, prepare: (w) =>
	    w.code('step_1', 'exports.code = async () => {'
	    + 'throw new Error("deliberate"); };') }, async (w) => {
		assert.deepStrictEqual(await w.flow(trigger(code('step_1', {}, {
		    nextAction: code('step_2', {}) }))), { status: 'OK' });
		const log = w.of('uploadRunLog').at(-1);
		assert.strictEqual(log.status, 'FAILED');
		assert.strictEqual(log.stepsCount, 0);
		assert.strictEqual(log.failedStep.displayName, 'Step step_1');
		assert.match(JSON.parse(log.failedStep.message).message, /deliberate$/);
	});

	withWorker(`${mode}: an expression that is JavaScript`, { mode, skip,
	    prepare: (w) => w.code('step_1', 'exports.code = (i) => i;') },
	    async (w) => {
		await w.flow(trigger(code('step_1', {
			sum: '{{trigger.body.n + 40}}',
			bad: '{{nothing.at.all + }}',
			proc: '{{typeof require}}',
		})));
		assert.deepStrictEqual(w.steps.step_1.output,
		    { sum: 42, bad: '', proc: 'undefined' });
	});
}

withWorker('the isolate has a memory limit and no require', {
	mode: 'SANDBOX_CODE_ONLY', skip: !isolates,
	prepare: (w) => {
		w.code('step_1', 'exports.code = () => typeof require;');
		w.code('step_2', 'exports.code = () => { const a = [];'
		    + 'for (;;) a.push(new Array(1e5).fill(1)); };');
	},
}, async (w) => {
	assert.deepStrictEqual(await w.flow(trigger(code('step_1', {}, {
	    nextAction: code('step_2', {}) }))), { status: 'OK' });
	assert.strictEqual(w.steps.step_1.output, 'undefined');
	assert.strictEqual(w.steps.step_2.status, 'FAILED');
});

withWorker('a code process that leaves; nothing of the link in it', {
	prepare: (w) => {
		w.code('step_1', 'exports.code = () => Object.keys(process.env)'
		    + '.filter((k) => /^AP_|SANDBOX/.test(k));');
		w.code('step_2', 'exports.code = () => process.exit(3);');
	},
}, async (w) => {
	await w.flow(trigger(code('step_1', {}, {
	    nextAction: code('step_2', {}) })));
	assert.deepStrictEqual(w.steps.step_1.output, []);
	assert.match(w.steps.step_2.errorMessage,
	    /Code process exited with code 3 and signal null/);
});

withWorker('continue on failure, retry only when asked', {
	prepare: (w) => {
		w.code('step_1', 'exports.code = () => { throw new Error("x"); };');
		w.code('step_2', 'const fs = require("fs");'
		    + 'exports.code = ({ f }) => { if (!fs.existsSync(f)) {'
		    + 'fs.writeFileSync(f, ""); throw new Error("once"); }'
		    + 'return "second try"; };');
	},
}, async (w) => {
	await w.flow(trigger(code('step_1', {}, {
		settings: { input: {}, errorHandlingOptions: {
		    continueOnFailure: { value: true } } },
		nextAction: code('step_2', {}, { settings: {
		    input: { f: `${w.root}/mark` }, errorHandlingOptions: {
		    retryOnFailure: { value: true } } } }),
	})));
	assert.strictEqual(w.steps.step_1.status, 'FAILED');
	assert.strictEqual(w.steps.step_2.output, 'second try');
	assert.strictEqual(w.of('uploadRunLog').at(-1).status, 'SUCCEEDED');
});

withWorker('pieces: input conversion, response to the caller', {}, async (w) => {
	await w.flow(trigger(action('step_1', 'add', { a: '41' }, {
		nextAction: action('step_2', 'respond', { body: { ok: true } }, {
			nextAction: action('step_3', 'exit', {}) }),
	})), { workerHandlerId: 'h1', httpRequestId: 'q1' });
	assert.deepStrictEqual(w.steps.step_1.output, { sum: 42 });
	assert.deepStrictEqual(w.of('sendFlowResponse'), [{ workerHandlerId: 'h1',
	    httpRequestId: 'q1', runResponse: { status: 201, body: { ok: true },
	    headers: {} } }]);
	assert.ok(!('step_3' in w.steps));
	assert.strictEqual(w.of('uploadRunLog').at(-1).stepsCount, 2);
});

withWorker('a piece that is not there fails its step', {}, async (w) => {
	await w.flow(trigger(action('step_1', 'add', {}, { settings: {
	    pieceName: '@acme/piece-none', pieceVersion: '1.0.0', input: {} } })));
	assert.match(w.of('uploadRunLog').at(-1).failedStep.message,
	    /not installed/);
});

withWorker('no progress unless somebody watches', {
	prepare: (w) => w.code('step_1', 'exports.code = () => 1;'),
}, async (w) => {
	await w.flow(trigger(code('step_1', {})), { streamStepProgress: 'NONE' });
	assert.deepStrictEqual(w.calls.map((c) => c.method),
	    ['uploadRunLog', 'uploadRunLog']);
});

withWorker('test of one step', {
	prepare: (w) => w.code('step_2', 'exports.code = (i) => i;'),
}, async (w) => {
	await w.flow(trigger(code('step_1', {}, {
	    nextAction: code('step_2', { v: '{{step_1.x}}' }) })),
	    { stepNameToTest: 'step_2', sampleData: { step_1: { x: 3 } } });
	const log = w.of('uploadRunLog').at(-1);
	assert.strictEqual(log.stepNameToTest, 'step_2');
	assert.deepStrictEqual(log.stepResponse, { runId: 'r1', success: true,
	    input: { v: 3 }, output: { v: 3 }, standardError: '',
	    standardOutput: '' });
});

withWorker('a run may not outgrow its log', {
	env: { AP_MAX_FLOW_RUN_LOG_SIZE_MB: '1' },
	prepare: (w) => w.code('step_1',
	    'exports.code = () => "x".repeat(2e6);'),
}, async (w) => {
	assert.deepStrictEqual(await w.flow(trigger(code('step_1', {})),
	    { streamStepProgress: 'NONE' }), { status: 'LOG_SIZE_EXCEEDED' });
	assert.match(w.stderr, /Flow run data size exceeded the maximum/);
});

withWorker('an app that nobody can reach costs the run nothing', {},
    async (w) => {
	const url = 'http://127.0.0.1:9/api/';
	assert.deepStrictEqual(await w.flow(trigger(action('step_1', 'add',
	    { a: 1, auth: "{{connections['c']}}" })), { internalApiUrl: url,
	    publicApiUrl: url, streamStepProgress: 'NONE' }), { status: 'OK' });
	assert.match(w.of('uploadRunLog').at(-1).failedStep.message,
	    /connection c: the app cannot be reached/);
	assert.strictEqual(w.rawStderr, '');
});

withWorker('resume without an app is answered', {}, async (w) => {
	const answer = await w.flow(trigger(), { executionType: 'RESUME' });
	assert.strictEqual(answer.status, 'INTERNAL_ERROR');
	assert.match(answer.error, /no app to ask/);
});

/* The part of the app that the engine asks by itself. */
async function withApp(body) {
	const files = new Map([['in', '{"n":7}']]);
	const asked = [];
	const server = http.createServer(async (req, res) => {
		const url = new URL(req.url, 'http://app');
		const id = url.pathname.split('/').at(-1);
		asked.push(`${req.method} ${url.pathname}`);
		if (req.method === 'PUT') {
			const parts = [];
			for await (const part of req)
				parts.push(part);
			files.set(id, Buffer.concat(parts));
			res.end('{}');
		} else if (url.pathname.startsWith('/api/v1/files/')) {
			res.end(files.get(id));
		} else if (url.pathname.includes('app-connections')) {
			assert.strictEqual(req.headers.authorization, 'Bearer T');
			res.end(JSON.stringify({ value: { type: 'SECRET_TEXT',
			    secret_text: `s-${id}` } }));
		} else {
			res.writeHead(404).end();
		}
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const base = `http://127.0.0.1:${server.address().port}/api/`;
	try {
		await body({ internalApiUrl: base, publicApiUrl: base }, asked, files);
	} finally {
		server.close();
		server.closeAllConnections();
	}
}

withWorker('with an app: payload by reference, connection, run log, resume', {
	prepare: (w) => w.code('step_1', 'exports.code = (i) => i;'),
}, (w) => withApp(async (urls, asked, files) => {
	const flow = trigger(code('step_1', { n: '{{trigger.n}}' }, {
		nextAction: action('step_2', 'add', { a: 1,
		    auth: "{{connections['c1']}}" }) }));
	await w.flow(flow, { ...urls, triggerPayload: { type: 'ref',
	    fileId: 'in' } });
	assert.deepStrictEqual(w.steps.step_1.output, { n: 7 });
	assert.deepStrictEqual(w.steps.step_2.output, { sum: 2, auth: 's-c1' });
	assert.strictEqual(w.steps.step_2.input.auth, '**REDACTED**');
	assert.ok(asked.includes('PUT /api/v1/files/log1'));
	assert.ok(files.has('log1'));

	/* what ended is not run again */
	w.code('step_1', 'exports.code = () => "again";');
	assert.deepStrictEqual(await w.flow(flow, { ...urls,
	    executionType: 'RESUME', resumePayload: { type: 'inline',
	    value: {} } }), { status: 'OK' });
	assert.deepStrictEqual(w.steps.step_1.output, { n: 7 });
}));

withWorker('trigger hooks', {}, async (w) => {
	const hook = (hookType, more = {}) => w.execute('EXECUTE_TRIGGER_HOOK', {
		hookType, flowVersion: { id: 'fv1', flowId: 'f1', trigger: {
		    name: 'trigger', type: 'PIECE_TRIGGER', settings: { ...piece,
		    triggerName: 'hook', input: {} } } },
		webhookUrl: 'http://h/f1', projectId: 'p1', engineToken: 'T',
		internalApiUrl: '', publicApiUrl: '', test: false, ...more });

	assert.deepStrictEqual(await hook('ON_ENABLE'),
	    { status: 'OK', response: { listeners: [] } });
	assert.strictEqual(w.stdout, 'enabled http://h/f1\n');
	assert.deepStrictEqual(await hook('ON_DISABLE'),
	    { status: 'OK', response: {} });
	assert.deepStrictEqual(await hook('RUN', { triggerPayload:
	    { type: 'inline', value: { body: 1 } } }),
	    { status: 'OK', response: { output: [{ got: 1 }] } });
	assert.deepStrictEqual((await hook('HANDSHAKE')).response.response,
	    { status: 200, body: 'hi' });
	const failed = await hook('TEST');
	assert.strictEqual(failed.status, 'USER_FAILURE');
	assert.strictEqual(JSON.parse(failed.error).message, 'down');
});

withWorker('properties, validation, metadata, nonsense', {}, async (w) => {
	const urls = { internalApiUrl: '', publicApiUrl: '' };
	assert.deepStrictEqual(await w.execute('EXECUTE_PROPERTY', { ...urls,
	    piece, actionOrTriggerName: 'add', propertyName: 'fruit',
	    input: { a: '3' }, sampleData: {}, searchValue: 'app' }),
	    { status: 'OK', response: { type: 'DROPDOWN', options: {
	    options: [{ label: 'app', value: 3 }] } } });
	assert.deepStrictEqual(await w.execute('EXECUTE_VALIDATE_AUTH', { ...urls,
	    piece, auth: { type: 'SECRET_TEXT', secret_text: 'good' } }),
	    { status: 'OK', response: { valid: true } });
	assert.deepStrictEqual(await w.execute('EXTRACT_PIECE_METADATA', piece),
	    { status: 'OK', response: { displayName: 'Demo', actions: {},
	    triggers: {}, name: piece.pieceName, version: '0.0.1' } });
	assert.strictEqual((await w.execute('NONSENSE', {})).status,
	    'INTERNAL_ERROR');
	assert.match((await w.rpc('nonsense', {})).__rpcError, /unknown method/);
});

for (const [name, exit] of [['boom', 3], ['reject', 4], ['exit', 7]])
	withWorker(`exit ${exit} (${name})`, {}, async (w) => {
		w.send(trigger(action('step_1', name, {})));
		assert.deepStrictEqual(await w.gone, [exit, null]);
		/* the end of a process may be seen before its last words */
		while (exit !== 7 && !/late|lost/.test(w.stderr))
			await once(w, 'stderr');
	});

withWorker('exit 6 when the worker is gone, not on SIGTERM', {}, async (w) => {
	w.proc.kill('SIGTERM');
	assert.strictEqual((await w.execute('NONSENSE', {})).status,
	    'INTERNAL_ERROR');
	w.socket.conn.close();
	assert.deepStrictEqual(await w.gone, [6, null]);
});

withWorker('starts with polling, upgrades', {}, async (w) => {
	assert.strictEqual(w.socket.handshake.query.transport, 'polling');
	assert.deepStrictEqual(Object.keys(w.socket.handshake.auth),
	    ['sandboxId', 'connectionToken']);
	if (w.socket.conn.transport.name !== 'websocket')
		await once(w.socket.conn, 'upgrade');
});

withWorker('WebSocket only', { env: { AP_ENGINE_TRANSPORTS: 'websocket' } },
    async (w) => {
	assert.strictEqual(w.socket.handshake.query.transport, 'websocket');
});
