'use strict';
/* EXECUTE_PROPERTY: the options of a dropdown, or properties made on demand. */
const piece = require('./piece');
const { app } = require('./app');
const { connectionsOf } = require('./connections');
const { resolve } = require('./expr');
const code = require('./code');

function definitionOf(thePiece, name) {
	for (const kind of ['actions', 'triggers']) {
		try {
			return piece.member(thePiece, kind, name);
		} catch {
			continue;
		}
	}
	throw new Error(`${thePiece.displayName} has no ${name}`);
}

async function inputOf(operation) {
	const connections = connectionsOf(app(operation), operation);
	const sample = operation.sampleData ?? {};
	const step = (name) => Object.hasOwn(sample, name)
	    ? { output: sample[name] } : undefined;
	return resolve(operation.input ?? {}, {
		step,
		all: () => Object.fromEntries(Object.keys(sample).map((n) =>
		    [n, step(n)])),
		connections: connections.value,
		variables: connections.variable,
		javascript: code.evaluate,
	});
}

async function execute(operation) {
	const thePiece = piece.load(operation.piece);
	const definition = definitionOf(thePiece, operation.actionOrTriggerName);
	const property = definition.props[operation.propertyName];
	if (property === undefined)
		throw new Error(`${operation.actionOrTriggerName} has no property `
		    + operation.propertyName);

	const input = await inputOf(operation);
	const values = await piece.convert(definition.props, input);
	values.auth = piece.authOf(thePiece, input.auth);
	const context = {
		...piece.baseContext(operation, operation.actionOrTriggerName),
		searchValue: operation.searchValue,
		propertyName: operation.propertyName,
	};
	const { type } = property;
	try {
		const options = type === 'DYNAMIC'
		    ? await property.props(values, context)
		    : await property.options(values, context);
		return { type, options };
	} catch (err) {
		console.error(err);
		return { type, options: type === 'DYNAMIC' ? {} : {
			disabled: true,
			options: [],
			placeholder: 'The options could not be loaded',
		} };
	}
}

module.exports = { execute };
