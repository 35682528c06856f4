'use strict';
/*
 * What the worker gets to hear about a run: the run log (status, times,
 * failed step), the answer to a waiting HTTP caller, and step by step
 * progress when somebody watches.
 */
const { Unreachable } = require('./app');
const link = require('./link');

/* Engines from 0.86 on tell the app themselves. */
const PATHS = LATER && {
	uploadRunLog: 'run-logs',
	updateRunProgress: 'run-progress',
	updateStepProgress: 'step-progress',
	sendFlowResponse: 'flow-response',
};

const FLUSH_INTERVAL_MS = 15_000;

function report(run) {
	const { operation } = run;
	const watched = operation.streamStepProgress === 'WEBSOCKET';
	let timer = null;
	let flushing = Promise.resolve();
	let reachable = run.app.exists && Boolean(operation.logsFileId);

	const tell = (method, payload) => LATER
	    ? run.app.tell(PATHS[method], payload)
	    : link.call(method, payload);

	/*
	 * The file with all steps goes to the app; the worker has no part in
	 * it.  A run does not fail for want of its log.
	 */
	async function saveState() {
		if (!reachable)
			return;
		const state = { executionState: { steps: run.steps, tags: run.tags } };
		try {
			await run.app.putFile(operation.logsFileId, 'FLOW_RUN_LOG',
			    Buffer.from(JSON.stringify(state)));
		} catch (err) {
			reachable = !(err instanceof Unreachable);
			if (reachable)
				process.stderr.write('engine: run log not saved: '
				    + `${err.message}\n`);
		}
	}

	function flush(more) {
		/* in order; the last one counts */
		flushing = flushing.catch(() => {}).then(async () => {
			await saveState();
			await tell('uploadRunLog', {
				runId: operation.flowRunId,
				projectId: operation.projectId,
				status: run.status,
				streamStepProgress: operation.streamStepProgress,
				logsFileId: operation.logsFileId,
				...more,
				tags: run.tags,
				stepsCount: run.stepsCount(),
			});
		});
		return flushing;
	}

	async function started() {
		await flush({});
		timer = setInterval(() => flush({}).catch(() => {}),
		    FLUSH_INTERVAL_MS);
	}

	function stop() {
		clearInterval(timer);
	}

	async function ended(more) {
		stop();
		if (watched)
			await progress({ flowRun: { ...flowRun(), steps: run.steps } });
		const terminal = run.status !== 'PAUSED';
		await flush({
			stepNameToTest: operation.stepNameToTest ?? undefined,
			failedStep: run.failedStep,
			...operation.executionType === 'BEGIN'
			    && { startTime: run.startTime },
			...terminal && { finishTime: new Date().toISOString() },
			...more,
		});
	}

	function flowRun() {
		const now = new Date().toISOString();
		return {
			projectId: operation.projectId,
			flowId: operation.flowVersion.flowId,
			flowVersionId: operation.flowVersion.id,
			id: operation.flowRunId,
			created: now,
			updated: now,
			status: run.status,
			environment: operation.runEnvironment,
			failParentOnFailure: false,
			triggeredBy:
			    operation.flowVersion.trigger.settings?.pieceName,
			tags: run.tags,
		};
	}

	async function progress(payload) {
		await tell('updateRunProgress', payload);
	}

	/* `path` names the loops around the step: [[loop name, iteration], ...] */
	async function step(name, path, output) {
		if (watched)
			await progress({ step: { name, path, output },
			    flowRun: { ...flowRun(), ...name === 'trigger'
			    && { startTime: run.startTime } } });
	}

	async function respond(response) {
		const { workerHandlerId, httpRequestId } = operation;
		if (!workerHandlerId || !httpRequestId)
			return;
		await tell('sendFlowResponse', {
			workerHandlerId,
			httpRequestId,
			runResponse: {
				status: response?.status ?? 200,
				body: response?.body ?? {},
				headers: response?.headers ?? {},
			},
		});
	}

	return { started, stop, ended, step, respond };
}

module.exports = { report };
