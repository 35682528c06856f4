'use strict';
/* The engine's environment, read once.  The worker composes all of it. */
const path = require('node:path');

const e = process.env;

function list(text, separator) {
	return (text ?? '').split(separator).filter((s) => s !== '');
}

/* Code in a V8 isolate of its own, or in a child process? */
const ISOLATE_MODES = ['SANDBOX_CODE_ONLY', 'SANDBOX_CODE_AND_PROCESS'];
const PROCESS_MODES = ['UNSANDBOXED', 'SANDBOX_PROCESS'];

function codeRunner() {
	if (ISOLATE_MODES.includes(e.AP_EXECUTION_MODE))
		return 'isolate';
	if (PROCESS_MODES.includes(e.AP_EXECUTION_MODE))
		return 'process';
	throw new Error(`AP_EXECUTION_MODE is not a known mode: `
	    + `${e.AP_EXECUTION_MODE}`);
}

module.exports = {
	sandboxId: e.SANDBOX_ID,
	port: Number(e.AP_SANDBOX_WS_PORT || 12345),
	token: e.AP_SANDBOX_WS_TOKEN,
	/* "websocket": skip the polling phase, as engines from 0.86 on do */
	transports: LATER ? ['websocket'] : list(e.AP_ENGINE_TRANSPORTS, ','),
	/* the worker's proxy, the only way out where it is set */
	egressProxy: e.AP_EGRESS_PROXY_URL,
	codeRunner,
	codeDirectory: path.resolve(e.AP_BASE_CODE_DIRECTORY || './codes'),
	customPiecesPaths: list(e.AP_CUSTOM_PIECES_PATHS, ':'),
	devPieces: list(e.AP_DEV_PIECES, ','),
	/* 256 KiB stay free for what the worker adds to the log */
	maxLogBytes: Number(e.AP_MAX_FLOW_RUN_LOG_SIZE_MB || 50) * 1024 * 1024
	    - 256 * 1024,
};
