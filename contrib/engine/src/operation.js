'use strict';
/*
 * What the worker may ask for.  Every operation ends in an EngineResponse:
 * an exception is an answer too, never a broken connection.
 */
const { errorText, UserError, LogSizeError } = require('./errors');

const handlers = {
	EXECUTE_FLOW: require('./flow').execute,
	EXECUTE_TRIGGER_HOOK: ofPiece('trigger'),
	EXECUTE_PROPERTY: ofPiece('property'),
	EXECUTE_VALIDATE_AUTH: ofPiece('auth'),
	EXTRACT_PIECE_METADATA: ofPiece('metadata'),
};

/* By the age of the engine: in itself, or in a child process. */
function ofPiece(kind) {
	if (LATER)
		return require('./piece_process').whole(kind);
	return {
		trigger: () => require('./trigger'),
		property: () => require('./property'),
		auth: () => require('./auth'),
		metadata: () => require('./metadata'),
	}[kind]().execute;
}

async function execute({ operationType, operation }) {
	try {
		if (!Object.hasOwn(handlers, operationType))
			throw new Error(`unknown operation ${operationType}`);
		checkUrls(operation);
		const response = await handlers[operationType](operation);
		return { status: 'OK', response };
	} catch (err) {
		if (err instanceof LogSizeError) {
			/* the worker looks for this sentence */
			console.error(err.message);
			return { status: 'LOG_SIZE_EXCEEDED' };
		}
		if (err instanceof UserError)
			return { status: 'USER_FAILURE', error: errorText(err.cause) };
		console.error(err);
		return { status: 'INTERNAL_ERROR', error: errorText(err) };
	}
}

/* An empty address means: there is no app behind this worker. */
function checkUrls({ internalApiUrl, publicApiUrl }) {
	if (internalApiUrl && !internalApiUrl.endsWith('/'))
		throw new Error('internalApiUrl does not end with /');
	if (publicApiUrl && !publicApiUrl.endsWith('/api/'))
		throw new Error('publicApiUrl does not end with /api/');
}

module.exports = { execute };
