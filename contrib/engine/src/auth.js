'use strict';
/* EXECUTE_VALIDATE_AUTH: does the piece accept this connection? */
const piece = require('./piece');
const { bare } = require('./connections');

async function execute(operation) {
	const { auth: declared } = piece.load(operation.piece);
	const kinds = [declared].flat().filter(Boolean);
	const kind = kinds.find((k) => k.type === operation.auth?.type)
	    ?? kinds[0];

	if (kind?.validate === undefined)
		return { valid: true };
	return kind.validate({
		auth: bare(operation.auth),
		server: {
			apiUrl: operation.internalApiUrl,
			publicUrl: operation.publicApiUrl,
		},
	});
}

module.exports = { execute };
