'use strict';
/* Connections and variables of the project: the app has them. */

/* Pieces built before "context version 1" get the bare secret. */
function bare(value) {
	if (value?.type === 'SECRET_TEXT')
		return value.secret_text;
	if (value?.type === 'CUSTOM_AUTH')
		return value.props;
	return value;
}

function connectionsOf(app, operation) {
	const known = new Map();

	async function ask(what, id, path) {
		if (!known.has(what + id)) {
			const got = await app.json(`${what} ${id}`, 'GET', path);
			if (got === null)
				throw new Error(`${what} ${id} does not exist`);
			known.set(what + id, got.value);
		}
		return known.get(what + id);
	}

	return {
		value: (id) => ask('connection', id, 'v1/worker/app-connections/'
		    + `${encodeURIComponent(id)}?projectId=`
		    + operation.projectId),
		variable: (name) => ask('variable', name,
		    `v1/worker/variables/${encodeURIComponent(name)}`),
	};
}

module.exports = { connectionsOf, bare };
