'use strict';
/* The child of piece_process.js: one piece, one call, and the end. */
const piece = require('./piece');
const { app } = require('./app');

const wholes = {
	trigger: require('./trigger').execute,
	property: require('./property').execute,
	auth: require('./auth').execute,
	metadata: require('./metadata').execute,
};

async function action({ operation, step, input, resumed, resumePayload,
    tags }) {
	const run = { operation, app: app(operation), tags, resumePayload };
	let response = null;

	run.report = { respond: async (r) => { response = r ?? {}; } };
	const output = await piece.runAction(run, step, input, resumed);
	const { status, stopped } = run;

	return { output, response, marks: { tags: run.tags,
	    ...status && { status }, ...stopped && { stopped } } };
}

function tell(message) {
	process.send(message, () => process.exit(0));
}

function fail(err) {
	tell({ error: { message: String(err?.message ?? err),
	    stack: err?.stack } });
}

process.on('disconnect', () => process.exit(0));
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('message', async (request) => {
	try {
		const answer = request.kind === 'action' ? await action(request)
		    : await wholes[request.kind](request.operation);
		tell({ answer: JSON.parse(JSON.stringify(answer ?? null)) });
	} catch (err) {
		fail(err);
	}
});
