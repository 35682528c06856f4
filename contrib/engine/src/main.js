'use strict';
/*
 * Start of the engine process: read the environment, answer for the ways it
 * ends, connect to the worker.  One engine serves one worker slot over one
 * connection; it never reconnects.  Exit codes: 3 uncaught exception,
 * 4 unhandled rejection, 5 no connection in time, 6 connection lost.
 */
const { inspect } = require('node:util');
const env = require('./env');
const egress = require('./egress');
const link = require('./link');
const { execute } = require('./operation');

const FATAL_FLUSH_MS = 200;
const GC_INTERVAL_MS = 60_000;

function die(code, err) {
	link.notify('stderr', inspect(err) + '\n');
	process.stderr.write(inspect(err) + '\n');
	/* the notification has no answer to wait for */
	setTimeout(() => process.exit(code), FATAL_FLUSH_MS);
}

process.on('uncaughtException', (err) => die(3, err));
process.on('unhandledRejection', (err) => die(4, err));

/* Only the worker ends an engine, with SIGKILL to the whole tree. */
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});

/* Old habits of our packages are nothing for the log of a flow. */
process.noDeprecation = true;

if (env.sandboxId !== undefined) {
	process.title = `sandbox-${env.sandboxId}`;
	link.captureConsole();
	/* later engines know no proxy */
	if (!LATER && env.egressProxy)
		egress.install(env.egressProxy).then(
		    () => link.connect(execute));
	else
		link.connect(execute);
	if (globalThis.gc !== undefined)
		setInterval(() => globalThis.gc(), GC_INTERVAL_MS).unref();
} else {
	console.error('engine: SANDBOX_ID is not set, nothing to connect to');
}
