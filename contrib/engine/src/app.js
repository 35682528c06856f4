'use strict';
/*
 * Calls to the app over HTTP with the token of the operation.  A worker that
 * takes its jobs from a directory has no app: then internalApiUrl is empty or
 * nobody listens there, and every call that needs an answer says so.
 */
const { setTimeout: sleep } = require('node:timers/promises');
const zlib = require('node:zlib');

const TIMEOUT_MS = 30_000;
const RETRY_MS = 1000;
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

class Unreachable extends Error {}

async function reach(what, url, options) {
	try {
		return await fetch(url, options);
	} catch (err) {
		throw new Unreachable(`${what}: the app cannot be reached: `
		    + (err.cause?.message ?? err.message));
	}
}

function app(operation) {
	const base = /^https?:\/\//.test(operation.internalApiUrl ?? '')
	    ? operation.internalApiUrl : null;
	const token = operation.engineToken;

	async function request(what, path, options = {}) {
		if (base === null)
			throw new Error(`${what}: this worker has no app to ask`);
		const res = await reach(what, base + path, {
			signal: AbortSignal.timeout(TIMEOUT_MS),
			...options,
		});
		if (res.status === 404)
			return null;
		if (!res.ok)
			throw new Error(`${what}: the app answered ${res.status}`);
		return res;
	}

	async function json(what, method, path, body) {
		const res = await request(what, path, {
			method,
			headers: {
				authorization: `Bearer ${token}`,
				...body && { 'content-type': 'application/json' },
			},
			body: body && JSON.stringify(body),
		});
		const text = res === null ? '' : await res.text();
		return text === '' ? null : JSON.parse(text);
	}

	/* A report that does not arrive fails the run. */
	async function tell(path, body) {
		for (let tries = 3;; tries--) {
			try {
				const res = await request(path, `v1/engine/${path}`,
				    { method: 'POST', body: JSON.stringify(body),
				    headers: { authorization: `Bearer ${token}`,
				    'content-type': 'application/json' } });
				if (res === null)
					throw new Error(`${path}: the app does `
					    + 'not know it');
				await res.arrayBuffer();
				return;
			} catch (err) {
				if (tries === 1 || !(err instanceof Unreachable))
					throw err;
				await sleep(RETRY_MS);
			}
		}
	}

	async function getFile(id) {
		const res = await request(`file ${id}`,
		    `v1/files/${encodeURIComponent(id)}?token=${token}`);
		if (res === null)
			throw new Error(`file ${id}: the app does not have it`);
		const bytes = Buffer.from(await res.arrayBuffer());
		return bytes.subarray(0, 4).equals(ZSTD_MAGIC)
		    ? zlib.zstdDecompressSync(bytes) : bytes;
	}

	async function putFile(id, type, bytes) {
		const packed = zlib.zstdCompressSync?.(bytes);
		await request(`file ${id}`,
		    `v1/files/${encodeURIComponent(id)}?token=${token}`, {
			method: 'PUT',
			headers: {
				'content-type': 'application/octet-stream',
				'x-ap-file-type': type,
				...packed && { 'content-encoding': 'zstd' },
			},
			body: packed ?? bytes,
		});
	}

	/* JobPayload: the value itself, or a file of the app that holds it. */
	async function payload(p) {
		if (p?.type === 'inline')
			return p.value;
		if (p?.type === 'ref')
			return JSON.parse(await getFile(p.fileId));
		return p;
	}

	return { exists: base !== null, json, tell, getFile, putFile, payload };
}

module.exports = { app, Unreachable };
