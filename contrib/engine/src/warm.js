'use strict';
/*
 * What node loads with its first use (fetch, compression, child processes) is
 * used once while this engine stands by: that time is nobody's, that of the
 * first operation is a flow's.  In small turns, and none once there is an
 * operation: one that comes at once is not kept waiting.
 */
const { randomUUID } = require('node:crypto');
const http = require('node:http');

const AFTER_MS = 10;
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

let busy = false;

/* To somebody of our own, by a socket that has no place in any file system or
 * network. */
async function request() {
	const { constructor: Agent } = globalThis[DISPATCHER];
	const socketPath = `\0warm-${randomUUID()}`;
	const dispatcher = new Agent({ connect: { socketPath } });
	const server = http.createServer((req, res) => {
		req.resume();
		res.end('{}');
	});

	try {
		await new Promise((resolve, reject) => server
		    .once('error', reject).listen(socketPath, resolve));
		const res = await fetch('http://localhost/', {
			dispatcher, method: 'PUT', body: Buffer.from('{}'),
			headers: { 'content-type': 'application/json' },
			signal: AbortSignal.timeout(1_000),
		});
		await res.text();
	} finally {
		await dispatcher.destroy();
		server.close();
	}
}

const turns = [
	() => {
		const zlib = require('node:zlib');
		zlib.zstdCompressSync?.(Buffer.from('{}'));
	},
	async () => (await fetch('data:,')).text(),
	request,
	() => require('./code').prepare(),
];

/* An engine that cannot do one of these will say so when it has to. */
async function next() {
	const turn = busy ? undefined : turns.shift();

	if (turn === undefined)
		return;
	try {
		await turn();
	} catch {
	}
	setImmediate(next);
}

function start() {
	setTimeout(next, AFTER_MS).unref();
}

function stop() {
	busy = true;
}

module.exports = { start, stop };
