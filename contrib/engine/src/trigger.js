'use strict';
/*
 * EXECUTE_TRIGGER_HOOK, and what a run of a flow begins with.
 */
const piece = require('./piece');
const { app } = require('./app');
const { connectionsOf } = require('./connections');
const { ofUser } = require('./errors');
const { resolve } = require('./expr');
const code = require('./code');

/* A trigger's input may name connections; no step has run before it. */
async function inputOf(operation, theApp) {
	const connections = connectionsOf(theApp, operation);
	return resolve(operation.flowVersion.trigger.settings.input ?? {}, {
		step: () => undefined,
		all: () => ({}),
		connections: connections.value,
		variables: connections.variable,
		javascript: code.evaluate,
	});
}

async function prepare(operation, payload) {
	const { trigger } = operation.flowVersion;
	const thePiece = piece.load(trigger.settings);
	const definition = piece.member(thePiece, 'triggers',
	    trigger.settings.triggerName);
	const input = await inputOf(operation, app(operation));
	const listeners = [];
	const context = {
		...piece.baseContext(operation, trigger.name),
		auth: piece.authOf(thePiece, input.auth),
		propsValue: await piece.convert(definition.props, input),
		payload: payload ?? {},
		webhookUrl: operation.webhookUrl,
		app: { createListeners: (l) => listeners.push(l) },
		setSchedule(schedule) {
			context.schedule = {
				cronExpression: schedule.cronExpression,
				timezone: schedule.timezone ?? 'UTC',
			};
		},
		schedule: definition.type === 'POLLING'
		    ? { cronExpression: '*/5 * * * *', timezone: 'UTC' } : undefined,
	};
	return { definition, context, listeners };
}

function list(items) {
	if (!Array.isArray(items))
		throw new Error('a trigger must return a list of items');
	return items;
}

const hooks = {
	async ON_ENABLE({ definition, context, listeners }) {
		await ofUser(() => definition.onEnable(context));
		return { listeners, scheduleOptions: context.schedule };
	},
	async ON_DISABLE({ definition, context }) {
		await ofUser(() => definition.onDisable(context));
		return {};
	},
	async RENEW({ definition, context }) {
		await ofUser(() => definition.onRenew(context));
		return {};
	},
	async HANDSHAKE({ definition, context }) {
		return { response: await ofUser(() =>
		    definition.onHandshake(context)) };
	},
	async TEST({ definition, context }) {
		return { output: await ofUser(async () =>
		    list(await definition.test(context))) };
	},
	async RUN({ definition, context }) {
		return { output: await ofUser(async () =>
		    list(await definition.run(context))) };
	},
};

async function execute(operation) {
	if (!Object.hasOwn(hooks, operation.hookType))
		throw new Error(`unknown trigger hook ${operation.hookType}`);
	const payload = await app(operation).payload(operation.triggerPayload);
	if (operation.flowVersion.trigger.type === 'EMPTY')
		return operation.hookType === 'RUN' ? { output: [payload] } : {};
	return hooks[operation.hookType](await prepare(operation, payload));
}

/*
 * The output of the trigger step: the payload, or what the trigger makes of
 * it when the run came straight from a webhook.
 */
async function firstPayload(run, operation) {
	const payload = await run.app.payload(operation.triggerPayload);
	if (!operation.executeTrigger
	    || operation.flowVersion.trigger.type === 'EMPTY')
		return payload ?? {};
	const prepared = await prepare(operation, payload);
	return (await hooks.RUN(prepared)).output[0] ?? {};
}

module.exports = { execute, firstPayload };
