'use strict';
/*
 * Pieces: npm packages that the worker has installed.  Finds them, gives
 * their functions the context the pieces framework promises.
 */
const fs = require('node:fs');
const path = require('node:path');
const env = require('./env');
const { app } = require('./app');
const { bare, connectionsOf } = require('./connections');

/* ---- finding ---- */

function* rootsAbove(directory) {
	for (;;) {
		yield directory;
		const parent = path.dirname(directory);
		if (parent === directory)
			return;
		directory = parent;
	}
}

function* roots() {
	yield* env.customPiecesPaths;
	yield* rootsAbove(path.dirname(require.main.filename));
}

function isDevPiece(name) {
	const short = name.replace(/^.*\//, '').replace(/^piece-/, '');
	return env.devPieces.includes(short);
}

/* Pieces under development: built in a source tree we run in. */
function findDevPiece(name, directory = path.resolve('packages/pieces')) {
	for (const e of fs.readdirSync(directory, { withFileTypes: true })) {
		if (!e.isDirectory() || e.name === 'node_modules')
			continue;
		const below = path.join(directory, e.name);
		const manifest = path.join(below, 'package.json');
		if (e.name === 'dist' && fs.existsSync(manifest)
		    && JSON.parse(fs.readFileSync(manifest)).name === name)
			return path.join(below, 'src/index.js');
		const found = findDevPiece(name, below);
		if (found !== null)
			return found;
	}
	return null;
}

const SAFE_PACKAGE = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i;

function entry(name, version) {
	if (!SAFE_PACKAGE.test(name) || !SAFE_PACKAGE.test(version))
		throw new Error(`not a piece: ${name}@${version}`);
	if (isDevPiece(name)) {
		const found = findDevPiece(name);
		if (found !== null)
			return found;
	}
	for (const root of roots()) {
		const file = path.join(root, 'pieces', `${name}-${version}`,
		    'node_modules', name, 'src/index.js');
		if (fs.existsSync(file))
			return file;
	}
	throw new Error(`piece ${name}@${version} is not installed`);
}

function load({ pieceName, pieceVersion }) {
	const exported = require(entry(pieceName, pieceVersion));
	const piece = Object.values(exported).find((x) =>
	    x?.constructor?.name === 'Piece');
	if (piece === undefined)
		throw new Error(`${pieceName}@${pieceVersion} exports no piece`);
	return piece;
}

/* Actions and triggers are functions or fields, by the age of the piece. */
function member(piece, kind, name) {
	const all = typeof piece[kind] === 'function' ? piece[kind]()
	    : piece[`_${kind}`];
	const found = Object.hasOwn(all, name) ? all[name] : undefined;
	if (found === undefined)
		throw new Error(`${piece.displayName} has no ${kind} ${name}`);
	return found;
}

/* ---- values of properties ---- */

function parsed(value) {
	if (typeof value !== 'string')
		return value;
	try {
		return JSON.parse(value);
	} catch {
		return value;
	}
}

function asNumber(value) {
	if (value === '' || value === null || value === undefined)
		return undefined;
	const n = Number(value);
	if (Number.isNaN(n))
		throw new Error(`not a number: ${JSON.stringify(value)}`);
	return n;
}

/* A file property holds an address or the content itself. */
async function asFile(value) {
	if (typeof value !== 'string' || value === '')
		return value || undefined;
	const inline = /^data:([^;,]*)(?:;[^,]*)?;base64,(.*)$/s.exec(value);
	if (inline !== null)
		return file('file', Buffer.from(inline[2], 'base64'));
	if (!/^https?:\/\//.test(value))
		throw new Error('a file must be given by its address');
	const res = await fetch(value);
	if (!res.ok)
		throw new Error(`the server of the file answered ${res.status}`);
	return file(path.posix.basename(new URL(value).pathname) || 'file',
	    Buffer.from(await res.arrayBuffer()));
}

function file(filename, data) {
	return {
		filename,
		data,
		extension: path.extname(filename).slice(1) || undefined,
		get base64() { return data.toString('base64'); },
	};
}

const converters = {
	NUMBER: asNumber,
	JSON: parsed,
	OBJECT: parsed,
	ARRAY: parsed,
	FILE: asFile,
	DATE_TIME: (v) => v ? new Date(v).toISOString() : undefined,
};

async function convert(props, input) {
	const values = { ...input };
	delete values.auth;
	for (const [name, { type }] of Object.entries(props ?? {}))
		if (Object.hasOwn(converters, type) && name in values)
			values[name] = await converters[type](values[name]);
	return values;
}

/* ---- contexts ---- */

function authOf(piece, auth) {
	if (auth === undefined || auth === '')
		return undefined;
	return piece.getContextInfo?.().version === '1' ? auth : bare(auth);
}

function storeOf(app, flowId) {
	const full = (key, scope) => scope === 'COLLECTION' ? key
	    : `flow_${flowId}/${key}`;
	const url = (key) => `v1/store-entries?key=${encodeURIComponent(key)}`;
	const what = 'the store';
	return {
		get: async (key, scope) => (await app.json(what, 'GET',
		    url(full(key, scope))))?.value ?? null,
		put: async (key, value, scope) => {
			await app.json(what, 'POST', 'v1/store-entries',
			    { key: full(key, scope), value });
			return value;
		},
		delete: (key, scope) => app.json(what, 'DELETE',
		    url(full(key, scope))),
	};
}

/* What actions, triggers and dropdowns have in common. */
function baseContext(operation, stepName) {
	const theApp = app(operation);
	const connections = connectionsOf(theApp, operation);
	const flow = operation.flowVersion;
	return {
		store: storeOf(theApp, flow?.flowId),
		connections: { get: connections.value },
		server: {
			apiUrl: operation.internalApiUrl,
			publicUrl: operation.publicApiUrl,
			token: operation.engineToken,
		},
		project: {
			id: operation.projectId,
			externalId: async () => (await theApp.json('the project',
			    'GET', 'v1/worker/project'))?.externalId,
		},
		flows: {
			current: { id: flow?.flowId, version: { id: flow?.id } },
			list: () => theApp.json('the flows', 'GET',
			    'v1/engine/populated-flows'),
		},
		step: { name: stepName },
		files: {
			write: async ({ data }) => 'data:application/octet-stream'
			    + `;base64,${Buffer.from(data).toString('base64')}`,
		},
	};
}

/* ---- actions ---- */

async function runAction(run, step, input, resumed) {
	const { operation } = run;
	const piece = load(step.settings);
	const action = member(piece, 'actions', step.settings.actionName);
	const base = baseContext(operation, step.name);
	const pending = [];

	const resumeUrl = ({ queryParams, sync } = {}) => {
		const query = new URLSearchParams(queryParams);
		return `${operation.publicApiUrl}v1/flow-runs/`
		    + `${operation.flowRunId}/requests/${step.name}`
		    + `${sync ? '/sync' : ''}?${query}`;
	};
	const pause = ({ pauseMetadata }) => {
		run.status = 'PAUSED';
		pending.push(run.app.json('the waitpoint', 'POST',
		    'v1/waitpoints', { flowRunId: operation.flowRunId,
		    projectId: operation.projectId, stepName: step.name,
		    ...pauseMetadata }));
	};
	const output = await action.run({
		...base,
		auth: authOf(piece, input.auth),
		propsValue: await convert(action.props, input),
		executionType: resumed ? 'RESUME' : 'BEGIN',
		resumePayload: resumed ? run.resumePayload : undefined,
		tags: { add: async ({ name }) => {
			if (!run.tags.includes(name))
				run.tags.push(name);
		} },
		output: { update: async () => {} },
		agent: { tools: async () => ({}) },
		generateResumeUrl: resumeUrl,
		run: {
			id: operation.flowRunId,
			stop: (p) => {
				run.stopped = true;
				pending.push(run.report.respond(p?.response));
			},
			respond: (p) => {
				pending.push(run.report.respond(p?.response));
			},
			pause,
		},
	});
	await Promise.all(pending);
	return output;
}

module.exports = { load, member, convert, authOf, baseContext, runAction };
