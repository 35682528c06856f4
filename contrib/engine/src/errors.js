'use strict';
/* How failures are told to the worker, and the classes it tells apart. */

/* A piece failed, not the engine: the caller gets to read why. */
class UserError extends Error {
	constructor(cause) {
		super(cause?.message ?? String(cause), { cause });
	}
}

class LogSizeError extends Error {
	constructor(bytes, maxBytes) {
		super('Flow run data size exceeded the maximum allowed size: '
		    + `${bytes} of ${maxBytes} bytes`);
	}
}

/* The text that the app shows and takes apart: JSON in a string. */
function errorText(err) {
	return JSON.stringify({
		__apErrorVersion: 1,
		message: err instanceof Error ? err.message : String(err),
		raw: err instanceof Error ? err.stack : String(err),
	});
}

/* Run something of a piece: whatever it throws is the user's failure. */
async function ofUser(fn) {
	try {
		return await fn();
	} catch (err) {
		throw new UserError(err);
	}
}

module.exports = { UserError, LogSizeError, errorText, ofUser };
