'use strict';
/*
 * The worker's side of the engine link, for tests: a real Socket.IO server, a
 * directory laid out as the worker's stock, and an engine started in it.
 */
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { once, EventEmitter } = require('node:events');
const { spawn } = require('node:child_process');
const { Server } = require('socket.io');

const BUNDLE = path.join(__dirname, '../dist/main.js');
const TOKEN = 'f'.repeat(64);

function operation(trigger, more) {
	return {
		flowVersion: { id: 'fv1', flowId: 'f1', trigger },
		flowRunId: 'r1', projectId: 'p1', platformId: 'pl1',
		workerHandlerId: null, httpRequestId: null,
		runEnvironment: 'PRODUCTION', streamStepProgress: 'WEBSOCKET',
		stepNameToTest: null, logsFileId: 'log1',
		timeoutInSeconds: 30, engineToken: 'T', internalApiUrl: '',
		publicApiUrl: '', executionType: 'BEGIN',
		executeTrigger: false,
		triggerPayload: { type: 'inline', value: { body: { n: 2 } } },
		...more,
	};
}

class Worker extends EventEmitter {
	constructor() {
		super();
		this.root = fs.mkdtempSync(path.join(os.tmpdir(), 'apw-engine-'));
		this.calls = [];
		this.stdout = '';
		this.stderr = '';
		this.http = http.createServer();
		this.io = new Server(this.http, { path: '/worker/ws' });
		this.io.use((socket, next) => next(
		    socket.handshake.auth.connectionToken === TOKEN
		    ? undefined : new Error('unauthorized')));
		fs.mkdirSync(path.join(this.root, 'common'));
		fs.copyFileSync(BUNDLE, path.join(this.root, 'common/main.js'));
	}

	write(file, text) {
		const full = path.join(this.root, file);
		fs.mkdirSync(path.dirname(full), { recursive: true });
		fs.writeFileSync(full, text);
	}

	code(step, source) {
		this.write(`codes/fv1/${step}/index.js`, source);
	}

	piece(name, version, source) {
		this.write(`common/pieces/${name}-${version}/node_modules/${name}`
		    + '/src/index.js', source);
	}

	async start(mode = 'UNSANDBOXED', env = {}) {
		this.http.listen(0, '127.0.0.1');
		await once(this.http, 'listening');
		this.proc = spawn(process.execPath, ['--no-node-snapshot',
		    path.join(this.root, 'common/main.js')], {
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {
				SANDBOX_ID: 'sb1',
				AP_SANDBOX_WS_PORT: String(this.http.address().port),
				AP_SANDBOX_WS_TOKEN: TOKEN,
				AP_EXECUTION_MODE: mode,
				AP_BASE_CODE_DIRECTORY: path.join(this.root, 'codes'),
				NODE_PATH: path.join(__dirname, '../node_modules'),
				...env,
			},
		});
		this.gone = once(this.proc, 'exit');
		this.rawStderr = '';
		this.proc.stderr.on('data', (d) => { this.rawStderr += d; });
		[this.socket] = await once(this.io, 'connection');
		this.socket.on('rpc', ({ method, payload }, ack) => {
			this.calls.push({ method, payload });
			ack(null);
		});
		this.socket.on('rpc-notify', ({ method, payload }) => {
			this[method] += payload.message;
			this.emit(method);
		});
	}

	rpc(method, payload) {
		return this.socket.timeout(20_000)
		    .emitWithAck('rpc', { method, payload });
	}

	execute(operationType, operation) {
		return this.rpc('executeOperation', { operationType, operation });
	}

	flow(trigger, more) {
		return this.execute('EXECUTE_FLOW', operation(trigger, more));
	}

	/* A flow whose end is not waited for: the engine will not live so long. */
	send(trigger, more) {
		this.socket.emit('rpc', { method: 'executeOperation', payload: {
		    operationType: 'EXECUTE_FLOW',
		    operation: operation(trigger, more) } }, () => {});
	}

	of(method) {
		return this.calls.filter((c) => c.method === method)
		    .map((c) => c.payload);
	}

	/* The steps of the finished run. */
	get steps() {
		return this.of('updateRunProgress').at(-1).flowRun.steps;
	}

	async stop() {
		this.proc?.kill('SIGKILL');
		await this.gone;
		await this.io.close();
		fs.rmSync(this.root, { recursive: true });
	}
}

module.exports = { Worker };
