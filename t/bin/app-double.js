'use strict';

/*
 * The app's side of the app link, on the real socket.io server: WebSocket only,
 * /api/socket.io.  It behaves as the app does as far as a worker can see:
 * listeners that come late, one more set of RPC handlers for each settings
 * request, jobs with locks and tokens, waiters that are parked.  Everything
 * else is scripted.
 *
 * Driven by lines of JSON: {"id","cmd","args"} on stdin, {"id","value"} or
 * {"id","error"} on stdout.  It ends when stdin ends.
 *
 * `listen` with release: 'x.y.z' makes it an app of that release, also of one
 * that nobody has seen: its APP_VERSION and settings, only the methods that it
 * has, queues by group, the list of workers that polls make (command machines),
 * and from 0.86 on jobs that go back to their queue with the connection.
 * Without it any method is there, and jobs go to whoever asks.
 *
 * Commands: listen settings push version piece rule clear_rules act notify down
 * up seen wait job machines stats (see the table at the end).
 *
 * A rule changes what happens at a moment:
 *	{at, do, nth: 1, times: 1, ms, value, message, match}
 * nth..nth+times-1 are the occurrences of the moment it holds for (times 0: all
 * that follow), match is compared with the payload.
 *
 *	at			do
 *	tcp			drop silent garbage slow(ms for each byte)
 *	upgrade			drop silent garbage status(value)
 *	connect			reject(message) silent delay drop disconnect
 *	health			silent drop status(value) delay
 *	settings, rpc:NAME	never error(message) null value delay drop
 *	  or rpc		drop_after disconnect close raw(value) twice
 *				binary(value: base64) binary_split freeze
 */

const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const readline = require('readline');
const ledger = require('./app-ledger');
const { Server } = require('socket.io');

const SETTINGS = {
	PUBLIC_URL: 'http://127.0.0.1/', TRIGGER_TIMEOUT_SECONDS: 60,
	TRIGGER_HOOKS_TIMEOUT_SECONDS: 180, PAUSED_FLOW_TIMEOUT_DAYS: 30,
	EXECUTION_MODE: 'UNSANDBOXED', FLOW_TIMEOUT_SECONDS: 600,
	LOG_LEVEL: 'info', LOG_PRETTY: 'false', ENVIRONMENT: 'prod',
	APP_WEBHOOK_SECRETS: '{}', MAX_FLOW_RUN_LOG_SIZE_MB: 50,
	MAX_FILE_SIZE_MB: 25, SANDBOX_MEMORY_LIMIT: '262144',
	SANDBOX_PROPAGATED_ENV_VARS: [], DEV_PIECES: [],
	FILE_STORAGE_LOCATION: 'DB', S3_USE_SIGNED_URLS: 'false',
	EVENT_DESTINATION_TIMEOUT_SECONDS: 10, EDITION: 'ce',
	NETWORK_MODE: 'UNRESTRICTED', SSRF_ALLOW_LIST: [],
	APP_VERSION: '0.85.4',
};

const started = process.hrtime.bigint();
const now = () => Number(process.hrtime.bigint() - started) / 1e6;

let opt, io, front, server;
let settings = { ...SETTINGS };
let rules = [];
const log = [];			/* everything seen, in order */
const waits = [];		/* parked `wait` commands */
const sockets = new Set();	/* accepted TCP connections */
const conns = new Map();	/* number -> what we know of a connection */
const versions = new Map();
const pieces = new Map();
const archives = new Map();
const files = new Map();
let replies = [];		/* to HTTP requests: {method, url, status, body |
				 * base64 | archive, location, times, after: job
				 * that has to be settled} */
const packages = new Map();	/* of pieces: NAME@VERSION or archive id */
const bundles = new Map();	/* flow version -> {kind, data} */
const jobs = new Map();
let queue = [];			/* ids of jobs nobody has */
let waiters = [];		/* parked polls */
const machines = new Map();	/* worker id -> its last poll; with a release */
const conversations = new Set();
let usedPieces = [];
let letting_go = false;	/* polls are not parked any more */

/* --------------------------------------------------------------- releases */

/* 88003 for 0.88.3 */
const number = (text) => String(text).split('.').reduce((n, x) => n * 1000
    + Number(x), 0);
const LATER = 88004;		/* after all that were seen */

/* The first release that has a method, and the first that has not. */
const had = {
	getUsedPieces: [ 0, 86000 ], markPieceAsUsed: [ 0, 86000 ],
	updateRunProgress: [ 0, 86000 ], sendFlowResponse: [ 0, 86000 ],
	updateStepProgress: [ 0, 86000 ],
	getFlowBundle: [ 86000 ], prepareFlowBundleUpload: [ 86000 ],
	uploadFlowBundle: [ 86000 ],
	getPrewarmData: [ 86002 ], recordTriggerRun: [ 86002 ],
	getAgentConfig: [ 87000 ], updateFlowStepProgress: [ 87000 ],
	resumeFlowStep: [ 87000 ], saveAgentMessages: [ 87000 ],
	sendAgentEvent: [ 87000 ],
	resumeAiStep: [ LATER ],
};

function has(method)
{
	const [from, to] = had[method] || [0];
	const r = number(opt.release);

	return method in methods && (!opt.release || (r >= from
	    && (to === undefined || r < to)));
}

/* killed: an app that is gone gives nothing back. */
const takes_back = () => opt.release && !opt.killed && number(opt.release) >= 86000;

function queue_of(c)
{
	const { workerGroupId: id, projectWorker } = c.auth;

	if (typeof id !== 'string' || id === '')
		return 'workerJobs';
	return projectWorker === true && number(opt.release) >= 86001
	    ? `project-${id}-jobs` : `platform-${id}-jobs`;
}

/* ---------------------------------------------------------- what was seen */

function fits(want, have)
{
	if (want === null || typeof want !== 'object')
		return want === have;
	if (have === null || typeof have !== 'object')
		return false;
	return Object.keys(want).every((k) => fits(want[k], have[k]));
}

function note(kind, entry)
{
	const e = { n: log.length, t_ms: now(), kind, ...entry };

	log.push(e);
	for (const w of [...waits]) {
		if (fits(w.match, e) && ++w.have >= w.n)
			w.done(e);
	}
	return e;
}

/* ------------------------------------------------------------------ rules */

function rule(at, payload)
{
	for (const r of rules) {
		if (!r.at.some((a) => at === a || at.startsWith(a + ':')))
			continue;
		if (r.match && !fits(r.match, payload))
			continue;
		r.seen++;
		if (r.seen >= r.nth
		    && (r.times === 0 || r.seen < r.nth + r.times))
			return r;
	}
	return { do: 'normal' };
}

/* One byte at a time, with a pause before each. */
function dribble(sock, ms)
{
	const write = net.Socket.prototype._write;

	sock.setNoDelay(true);
	sock._writev = null;
	sock._write = function (chunk, enc, cb) {
		const bytes = Buffer.isBuffer(chunk) ? chunk
		    : Buffer.from(chunk, enc);
		let i = 0;
		const step = () => {
			if (i === bytes.length || sock.destroyed)
				return cb();
			write.call(sock, bytes.subarray(i, ++i), 'buffer',
			    () => setTimeout(step, ms));
		};
		step();
	};
}

function on_tcp(sock)
{
	const r = rule('tcp');

	sockets.add(sock);
	sock.on('close', () => sockets.delete(sock));
	sock.on('error', () => {});
	note('tcp', { do: r.do });
	switch (r.do) {
	case 'drop':
		sock.resetAndDestroy();
		return;
	case 'silent':
		sock.resume();
		return;
	case 'garbage':
		sock.resume();
		sock.write(r.value || '\x00\xff\x7f nonsense\r\n\r\n');
		return;
	case 'slow':
		dribble(sock, r.ms || 1);
		break;
	}
	server.emit('connection', sock);
}

function on_upgrade(req, sock, head, next)
{
	const r = rule('upgrade');

	note('upgrade', { url: req.url, headers: req.headers, do: r.do });
	sock.on('error', () => {});
	switch (r.do) {
	case 'drop':
		sock.destroy();
		return;
	case 'silent':
		return;
	case 'garbage':
		sock.write(r.value || 'HTTP/1.1 101 Nonsense\r\n\r\n\xff\xff');
		return;
	case 'status':
		sock.end(`HTTP/1.1 ${r.value || 503} No\r\n`
		    + (r.header ? r.header + '\r\n' : '')
		    + 'Content-Length: 0\r\nConnection: close\r\n\r\n');
		return;
	}
	next(req, sock, head);
}

/* ------------------------------------------------- the engine's own HTTP */

/* Not of kind http: a worker asks before each poll. */
function on_health(req, res)
{
	const r = rule('health');

	note('health', { method: req.method, url: req.url, do: r.do,
	    headers: req.headers, parked: waiters.length });
	if (r.do === 'silent')
		return;
	if (r.do === 'drop') {
		req.socket.resetAndDestroy();
		return;
	}
	setTimeout(() => {
		res.writeHead(r.do === 'status' ? r.value || 503 : 200,
		    { 'content-type': 'application/json' });
		res.end('{"status":"ok"}');
	}, r.do === 'delay' ? r.ms || 100 : 0);
}

/* The first scripted reply that fits; each is used once, unless times is 0. */
function scripted(req)
{
	const i = replies.findIndex((r) => r.method === req.method
	    && r.url === req.url);
	const r = replies[i];

	if (r && r.times !== 0)
		replies.splice(i, 1);
	return r;
}

function reply_body(r)
{
	return r.archive ? archives.get(r.archive) || Buffer.alloc(0)
	    : Buffer.from(r.base64 || r.body || '', r.base64 ? 'base64' : 'utf8');
}

/* What the app has of a piece, for who shows a token of an engine: command
 * package {name: "NAME@VERSION" or an archive's id, to: URL, text: base64,
 * status}; %PORT% in the URL is ours.  Archives are there by themselves. */
function piece_package(url, req)
{
	const q = url.searchParams;
	const id = q.get('archiveId') || `${q.get('name')}@${q.get('version')}`;
	const p = packages.get(id) || (archives.has(id)
	    ? { data: archives.get(id) } : { status: 404 });

	if (!/^Bearer engine-token/.test(req.headers.authorization || '') &&
	    !p.open)
		return [401, Buffer.alloc(0)];
	if (p.to)
		return [p.status || 307, Buffer.alloc(0),
		    p.to.replace('%PORT%', opt.port)];
	return [p.status || 200, p.data || Buffer.alloc(0)];
}

function on_http(req, res)
{
	const chunks = [];

	req.on('data', (c) => chunks.push(c));
	req.on('end', () => {
		const body = Buffer.concat(chunks);
		const url = new URL(req.url, 'http://localhost');
		if (url.pathname === '/api/v1/health')
			return on_health(req, res);
		const m = /^\/api\/v1\/files\/([^/]+)$/.exec(url.pathname);
		const r = scripted(req);
		let status = 404, out = Buffer.alloc(0), location;

		if (!r && url.pathname === '/api/v1/engine/pieces/bundle')
			[status, out, location] = piece_package(url, req);
		else if (r)
			location = r.location;

		if (r) {
			[status, out] = [r.status, reply_body(r)];
		} else if (m && req.method === 'PUT') {
			files.set(m[1], body);
			[status, out] = [200, Buffer.from('{}')];
		} else if (m && files.has(m[1])) {
			[status, out] = [200, files.get(m[1])];
		} else if (opt.http && opt.http[url.pathname] !== undefined) {
			[status, out] = [200, Buffer.from(
			    JSON.stringify(opt.http[url.pathname]))];
		}
		note('http', { method: req.method, url: req.url, status,
		    bytes: body.length, headers: req.headers,
		    text: body.toString('utf8', 0, r ? Infinity : 4096) });
		const send = () => setTimeout(() => {
			res.writeHead(status, { 'content-type':
			    'application/json', ...location && { location } });
			res.end(out);
		}, opt.http_delay_ms || 0);

		if (!r || !r.after)
			return void send();
		note('held', { after: r.after });
		commands.wait({ match: { kind: 'settled', job: r.after }, n: 1,
		    ms: 600000 }).then(send);
	});
}

/* ------------------------------------------------------------- connections */

function kill(sock, how, arg)
{
	const conn = sock.conn;
	const ws = conn.transport.socket;

	note('act', { conn: sock.data.no, do: how });
	switch (how) {
	case 'drop':			/* the network is gone */
		ws._socket.resetAndDestroy();
		break;
	case 'close':			/* a proper close frame */
		conn.close();
		break;
	case 'disconnect':		/* 41; the transport may stay */
		sock.disconnect(Boolean(arg && arg.close));
		break;
	case 'freeze':			/* open, and nobody is there */
		conn.sendPacket = () => {};
		clearTimeout(conn.pingIntervalTimer);
		clearTimeout(conn.pingTimeoutTimer);
		ws._socket.pause();
		if (!opt.swallow)
			waiters = waiters.filter((w) => w.sock !== sock);
		break;
	case 'raw':			/* a text message as it is */
		ws.send(arg.value);
		break;
	case 'raw_binary':
		ws.send(Buffer.from(arg.value || '', 'base64'));
		break;
	case 'raw_tcp':			/* below WebSocket */
		ws._socket.write(Buffer.from(arg.value || '', 'base64'));
		break;
	case 'emit':			/* an event of the app */
		sock.emit(arg.event, ...(arg.args || []));
		break;
	default:
		throw new Error(`unknown act ${how}`);
	}
}

/* Does what a rule says about an answer; true: nothing more to do. */
function bend(sock, r, ack, answer)
{
	const ws = sock.conn.transport.socket;

	switch (r.do) {
	case 'never':
	case 'silent':
		return true;
	case 'error':
		ack({ __rpcError: r.message || 'scripted failure' });
		return true;
	case 'null':
		ack(null);
		return true;
	case 'value':
		ack(r.value);
		return true;
	case 'raw':
		ws.send(String(r.value).replace(/%ID%/g, ack.id));
		return true;
	case 'drop':
	case 'close':
	case 'disconnect':
	case 'freeze':
		kill(sock, r.do, r);
		return true;
	case 'twice':
		Promise.resolve(answer()).then((v) => {
			const text = `43${ack.id}${JSON.stringify([v])}`;
			ws.send(text);
			ws.send(text);
		});
		return true;
	case 'drop_after':
		Promise.resolve(answer()).then(() => kill(sock, 'drop'));
		return true;
	case 'binary':
		ack(Buffer.from(r.value || '', 'base64'));
		return true;
	case 'binary_split': {
		const b = Buffer.from(r.value || '', 'base64');
		const half = b.length >> 1;

		ws.send(`461-${ack.id}[{"_placeholder":true,"num":0}]`);
		ws.send(b.subarray(0, half), { binary: true, fin: false });
		ws.send(b.subarray(half), { binary: true, fin: true });
		return true;
	}
	case 'delay':
		setTimeout(() => Promise.resolve(answer()).then(ack),
		    r.ms || 100);
		return true;
	}
	return false;
}

function on_connect(sock)
{
	const c = conns.get(sock.data.no);

	sock.ack = function (id) {
		const f = Object.getPrototypeOf(sock).ack.call(sock, id);
		f.id = id;
		return f;
	};
	sock.onAny((event, ...args) => note('event', { conn: c.no, event,
	    payload: args.filter((a) => typeof a !== 'function') }));
	sock.on('disconnect', (reason) => {
		c.open = false;
		if (opt.release)
			machines.delete(c.auth.workerId);
		if (takes_back())
			setTimeout(() => take_back(c), 100);
		note('disconnected', { conn: c.no, reason });
		if (!opt.swallow)
			waiters = waiters.filter((w) => w.sock !== sock);
	});

	const listen = () => {
		c.listening = true;
		sock.on('FETCH_WORKER_SETTINGS',
		    (info, ack) => on_settings(sock, c, info, ack));
	};
	if (opt.listen_delay_ms > 0)
		setTimeout(listen, opt.listen_delay_ms);
	else if (opt.listen_late)	/* after an event that is lost */
		sock.prependAny(() => c.listening || setImmediate(listen));
	else
		listen();
	if (sock.data.after === 'disconnect')
		setImmediate(() => kill(sock, 'disconnect', sock.data));
}

function on_settings(sock, c, info, ack)
{
	const r = rule('settings', info);

	c.settings++;
	note('settings', { conn: c.no, payload: info, do: r.do });
	const answer = () => {
		/* As the app: one more handler with each request. */
		c.handlers++;
		sock.on('rpc', (call, done) => on_rpc(sock, c, call, done));
		return settings;
	};
	if (!bend(sock, r, ack, answer))
		ack(answer());
}

function on_rpc(sock, c, call, ack)
{
	const method = call && call.method;
	const payload = call && call.payload;
	const r = rule(`rpc:${method}`, payload);
	const e = note('rpc', { conn: c.no, method, payload, do: r.do });

	c.rpcs++;
	if (payload && payload.beat)
		ledger.enter('beat', { job: payload.runId.replace(/^run-/, ''),
		    slot: c.no, ...payload.beat });
	const done = (v) => {
		if (e.answered_ms === undefined)
			e.answered_ms = now();
		ack(v);
	};
	done.id = ack.id;
	const answer = async () => has(method)
	    ? methods[method](payload, sock, c)
	    : { __rpcError: `handlers[request.method] is not a function` };
	if (bend(sock, r, done, answer))
		return;
	answer().then(done, (err) => done({ __rpcError: err.message }));
}

/* ------------------------------------------------------------------- jobs */

function push(job)
{
	const { flowVersion, ...rest } = job;

	if (flowVersion)
		versions.set(flowVersion.id, flowVersion);
	jobs.set(rest.jobId, { id: rest.jobId, job: rest, state: 'queued',
	    handed: [], completions: [], settled: 0, repeats: 0, late: [],
	    extended: 0, extended_late: 0 });
	if (opt.broken === 'lose' && jobs.size % 5 === 0) {
		jobs.get(rest.jobId).state = 'lost';
		return;
	}
	queue.push(rest.jobId);
	serve();
}

/* An app that gives a job to whoever else waits, too. */
function hand_out_again(j)
{
	const w = opt.broken === 'hand_twice' && waiters.shift();

	if (!w)
		return;
	clearTimeout(w.timer);
	ledger.enter('handed', { job: j.id, slot: w.c.no, token: j.token });
	w.done({ engineToken: 'engine-token', queueName: 'workerJobs',
	    ...j.job, attempsStarted: 0, token: j.token });
}

/* The next job for a connection, out of the queue; undefined: none. */
function next_job(c)
{
	const mine = (id) => {
		const name = jobs.get(id).job.queueName;

		return !opt.release || name === undefined
		    || name === queue_of(c);
	};
	const i = queue.findIndex(mine);

	return i < 0 ? undefined : queue.splice(i, 1)[0];
}

/* Hands waiting jobs to parked polls, first come first served. */
function serve()
{
	for (const w of [...waiters]) {
		const id = queue.length > 0 ? next_job(w.c) : undefined;

		if (id === undefined)
			continue;
		waiters.splice(waiters.indexOf(w), 1);
		clearTimeout(w.timer);
		w.done(hand_out(id, w.c));
	}
}

/* What a connection had goes back when it is gone. */
function take_back(c)
{
	for (const j of jobs.values()) {
		if (j.state !== 'active' || j.handed.at(-1).conn !== c.no)
			continue;
		note('taken_back', { job: j.id, conn: c.no });
		j.state = 'queued';
		j.token = null;
		queue.push(j.id);
	}
	serve();
}

function hand_out(id, c)
{
	const j = jobs.get(id);

	j.token = j.job.token || `token-${Date.now()}-${
	    Math.random().toString(36).slice(2, 8)}`;
	j.state = 'active';
	j.lock_until = now() + opt.lock_ms;
	j.handed.push({ t_ms: now(), conn: c.no, token: j.token });
	note('handed', { conn: c.no, job: id });
	ledger.enter('handed', { job: id, slot: c.no, token: j.token });
	hand_out_again(j);
	return { engineToken: 'engine-token', queueName: opt.release ?
	    queue_of(c) : 'workerJobs',
	    ...j.job, attempsStarted: j.handed.length - 1, token: j.token };
}

function stalled()
{
	for (const j of jobs.values()) {
		if (j.state !== 'active' || now() < j.lock_until)
			continue;
		note('stalled', { job: j.id });
		if (j.handed.length > 3) {
			j.state = 'failed';
			continue;
		}
		j.state = 'queued';
		queue.push(j.id);
	}
	serve();
}

function gate(info)
{
	const mine = settings.APP_VERSION;
	const theirs = info && info.workerProps && info.workerProps.version;

	if (!('APP_VERSION' in settings))
		return false;			/* the apps before 0.85 */
	return !mine || !theirs || mine !== theirs || mine === '0.0.0';
}

const methods = {
	poll(info, sock, c) {
		if (opt.gate !== false && gate(info))
			return null;
		if (opt.release)
			machines.set(c.auth.workerId, { info, t_ms: now(),
			    conn: c.no, group: c.auth.workerGroupId || null });
		const id = queue.length > 0 ? next_job(c) : undefined;
		if (id !== undefined)
			return hand_out(id, c);
		if (letting_go)
			return null;
		return new Promise((done) => {
			const w = { sock, c, done };

			w.timer = setTimeout(() => {
				waiters = waiters.filter((x) => x !== w);
				done(null);
			}, opt.poll_ms);
			waiters.push(w);
		});
	},
	completeJob(p, sock, c) {
		const j = jobs.get(p.jobId);
		const enter = (how) => ledger.enter('completed', { how,
		    job: p.jobId, slot: c.no, status: p.status });

		if (!j) {
			note('unknown', { conn: c.no, job: p.jobId, payload: p });
			enter('unknown');
			return null;
		}
		j.completions.push({ t_ms: now(), conn: c.no, payload: p });
		if (p.token !== j.token) {
			j.late.push(p);
			note('late', { conn: c.no, job: j.id, payload: p });
			enter('late');
		} else if (j.state === 'active') {
			j.state = 'settled';
			j.settled++;
			j.payload = p;
			note('settled', { conn: c.no, job: j.id, payload: p });
			enter('settled');
		} else {
			j.repeats++;
			note('repeated', { conn: c.no, job: j.id, payload: p });
			enter('repeated');
		}
		return opt.broken === 'double' && j.completions.length % 2 === 1
		    ? methods.completeJob(p, sock, c) : null;
	},
	extendLock(p) {
		const j = jobs.get(p.jobId);

		if (j && j.state === 'active' && j.token === p.token) {
			j.extended++;
			j.lock_until = now() + opt.lock_ms;
		} else if (j) {
			j.extended_late++;
		}
		return null;
	},
	getFlowVersion: (p) => versions.get(p.versionId) || null,
	getPiece: (p) => pieces.get(`${p.name}@${p.version}`) || null,
	getPieceArchive(p) {
		if (!archives.has(p.archiveId))
			throw new Error(`no archive ${p.archiveId}`);
		return archives.get(p.archiveId);
	},
	getUsedPieces: () => usedPieces,
	markPieceAsUsed: () => null,
	disableFlow: () => null,
	updateRunProgress: () => null,
	uploadRunLog: () => null,
	sendFlowResponse: () => null,
	updateStepProgress: () => null,
	submitPayloads: () => [],
	savePayloads: () => null,
	/* from 0.86 on */
	getFlowBundle(p) {
		const b = bundles.get(p.flowVersionId);

		if (!b || b.kind !== 'url')
			return b ? { kind: b.kind, data: b.data } : null;
		files.set(`bundle-${p.flowVersionId}`, b.data);
		return { kind: 'url', url: file_url(p.flowVersionId) };
	},
	prepareFlowBundleUpload: (p) => opt.bundles === 'url'
	    ? { kind: 'url', url: file_url(p.flowVersionId) }
	    : { kind: opt.bundles || 'inline' },
	uploadFlowBundle(p) {
		files.set(`bundle-${p.flowVersionId}`, p.data);
		return null;
	},
	/* from 0.86.2 on */
	getPrewarmData: (p) => ({ flows: [], platformId: 'platform-1',
	    engineToken: 'engine-token', ...opt.prewarm,
	    ...(p.flow ? { flows: [ p.flow ] } : {}) }),
	recordTriggerRun: () => null,
	/* from 0.87 on: the row of a conversation, without which nothing of an
	 * agent's step is taken.  agent_row_ms: how long it takes to be there;
	 * agent_config: there is a provider. */
	getAgentConfig(p) {
		setTimeout(() => conversations.add(p.conversationId),
		    opt.agent_row_ms || 0);
		if (opt.agent_config)
			return opt.agent_config;
		throw new Error('ENTITY_NOT_FOUND: no AI provider on this '
		    + 'platform is enabled for chat');
	},
	updateFlowStepProgress: (p) => of_conversation(p),
	resumeFlowStep: (p) => of_conversation(p),
	saveAgentMessages: () => null,
	sendAgentEvent: () => null,
	/* after 0.88.3; as far as it is known */
	resumeAiStep: () => null,
};

function of_conversation(p)
{
	if (!conversations.has(p.conversationId))
		throw new Error('AUTHORIZATION');
	return null;
}

function file_url(id)
{
	return `http://127.0.0.1:${opt.port}/api/v1/files/bundle-${id}?key=s`;
}

/* ----------------------------------------------------------------- server */

let numbers = 0;

function make_server()
{
	server = opt.tls ? https.createServer({
		key: fs.readFileSync(opt.tls.key),
		cert: fs.readFileSync(opt.tls.cert),
	}) : http.createServer();
	server.on('request', on_http);
	io = new Server(server, {
		path: opt.path || '/api/socket.io',
		transports: opt.transports || ['websocket'],
		serveClient: false,
		maxHttpBufferSize: opt.max_payload || 104857600,
		pingInterval: opt.ping_interval_ms || 25000,
		pingTimeout: opt.ping_timeout_ms || 20000,
		connectTimeout: opt.connect_timeout_ms || 45000,
	});
	/* socket.io's own listener runs behind our rules. */
	const theirs = server.listeners('upgrade');
	server.removeAllListeners('upgrade');
	server.on('upgrade', (req, sock, head) => on_upgrade(req, sock, head,
	    (...a) => theirs.forEach((f) => f.apply(server, a))));
	server.on('tlsClientError', (err) => note('tls_error',
	    { message: err.message }));
	io.engine.on('connection', () => note('open', {}));
	io.engine.on('connection_error', (e) => note('refused',
	    { message: e.message }));
	io.use((sock, next) => {
		const auth = sock.handshake.auth;
		const r = rule('connect', auth);
		const no = ++numbers;
		const bad = opt.token !== undefined && auth.token !== opt.token;

		sock.data.no = no;
		conns.set(no, { no, open: true, settings: 0, handlers: 0,
		    rpcs: 0, sock, auth });
		note('connect', { conn: no, payload: auth, do: r.do });
		switch (r.do) {
		case 'silent':
			return;
		case 'drop':
			sock.conn.transport.socket._socket.resetAndDestroy();
			return;
		case 'delay':
			setTimeout(next, r.ms || 100);
			return;
		case 'reject':
			next(new Error(r.message || 'Authentication error'));
			return;
		case 'disconnect':
			sock.data.after = 'disconnect';
			break;
		}
		next(bad ? new Error('Authentication error') : undefined);
	});
	io.on('connection', on_connect);
}

function open(port)
{
	return new Promise((done, fail) => {
		front = net.createServer(on_tcp);
		front.on('error', fail);
		front.listen(port, opt.host || '127.0.0.1',
		    () => done(front.address().port));
	});
}

function living()
{
	return [...conns.values()].filter((c) => c.open && c.sock.connected);
}

/* --------------------------------------------------------------- commands */

const commands = {
	async listen(a) {
		opt = { poll_ms: 50000, lock_ms: 120000, stalled_ms: 30000,
		    listen_delay_ms: 0, ...a };
		if (a.release)
			settings.APP_VERSION = a.release;
		if (a.release && number(a.release) >= 88000)
			settings.ENFORCE_CONNECTION_PIECE_BINDING = false;
		(a.without || []).forEach((k) => delete settings[k]);
		Object.assign(settings, a.settings);
		(a.rules || []).forEach((r) => commands.rule(r));
		replies.push(...(a.replies || []));
		(a.versions || []).forEach((v) => versions.set(v.id, v));
		(a.pieces || []).forEach((p) => commands.piece(p));
		usedPieces = a.used_pieces || [];
		for (const [k, v] of Object.entries(a.files || {}))
			files.set(k, Buffer.from(v, 'base64'));
		(a.jobs || []).forEach(push);
		make_server();
		opt.port = await open(a.port || 0);
		setInterval(stalled, opt.stalled_ms).unref();
		return { port: opt.port };
	},
	settings: (a) => void Object.assign(settings, a),
	/* To all workers, or the one of a connection, as the app does it. */
	notify(a) {
		const all = living().filter((c) => !a.conn || c.no === a.conn);

		all.forEach((c) => c.sock.emit('rpc-notify',
		    { method: a.method, payload: a.payload }));
		return all.length;
	},
	push: (a) => a.jobs.forEach(push),
	/* gone: not there any more */
	version: ({ version: v }) => void (v.gone ? versions.delete(v.id)
	    : versions.set(v.id, v)),
	reply: (a) => void replies.push(a),
	piece(a) {
		const { archive, gone, ...p } = a;

		if (gone)
			return void pieces.delete(`${p.name}@${p.version}`);
		pieces.set(`${p.name}@${p.version}`, { packageType: 'REGISTRY',
		    pieceType: 'OFFICIAL', ...p });
		if (archive)
			archives.set(p.archiveId, Buffer.from(archive, 'base64'));
	},
	package: (a) => void packages.set(a.name, { ...a,
	    data: a.text && Buffer.from(a.text, 'base64') }),
	/* What getFlowBundle answers: text, or base64; kind inline or url. */
	bundle: (a) => void bundles.set(a.id, { kind: a.kind || 'inline',
	    data: Buffer.from(a.text, a.encoding || 'utf8') }),
	set: (a) => void Object.assign(opt, a),
	rule: (a) => void rules.push({ nth: 1, times: 1, ...a, seen: 0,
	    at: [].concat(a.at) }),
	clear_rules: () => void (rules = []),
	/* A drop has happened on this side too when this returns: no job is
	 * handed to a connection that is gone. */
	async act(a) {
		const all = living().filter((c) => !a.conn || c.no === a.conn);
		const ends = all.map((c) => new Promise((done) => {
			c.sock.once('disconnect', done);
			setTimeout(done, 1000).unref();
		}));

		all.forEach((c) => kill(c.sock, a.do, a));
		if (a.do === 'drop')
			await Promise.all(ends);
		return all.length;
	},
	down() {
		const f = front;

		front = null;
		f.close();
		sockets.forEach((s) => s.resetAndDestroy());
	},
	up: () => open(opt.port),
	/* Parked polls get their null now: whoever drains need not wait. */
	let_go() {
		letting_go = true;
		waiters.splice(0).forEach((w) => {
			clearTimeout(w.timer);
			w.done(null);
		});
	},
	hold: () => void (letting_go = false),
	seen: (a) => log.filter((e) => fits(a, e)),
	wait: (a) => new Promise((done) => {
		const have = log.filter((e) => fits(a.match, e));

		if (have.length >= a.n)
			return done(have[a.n - 1]);
		const w = { match: a.match, n: a.n, have: have.length };
		const end = (e) => {
			clearTimeout(timer);
			waits.splice(waits.indexOf(w), 1);
			done(e);
		};
		const timer = setTimeout(() => end(null), a.ms);
		w.done = end;
		waits.push(w);
	}),
	/* What is done to the daemon, before it is done: {what, slot}.  The job
	 * that the slot has is the one whose way back is timed. */
	blow: (a) => ledger.enter('blow', a),
	/* What the ledger has against these jobs (all: none are named), what
	 * became of them, and in each of windows: [[from, to]] the longest time
	 * without a settled job. */
	account(a) {
		const ids = a.ids || [...jobs.keys()];
		const mine = ids.map((id) => jobs.get(id));
		const times = log.filter((e) => e.kind === 'settled')
		    .map((e) => e.t_ms);
		const status = {};

		for (const j of mine.filter((x) => x.settled > 0))
			status[j.payload.status] = (status[j.payload.status]
			    || 0) + 1;
		return {
			violations: ledger.violations(ids), status,
			once: mine.filter((j) => j.settled === 1).length,
			failed: mine.filter((j) => j.state === 'failed').length,
			repeats: mine.reduce((n, j) => n + j.repeats, 0),
			late: mine.reduce((n, j) => n + j.late.length, 0),
			handed_again: mine.filter((j) => j.handed.length > 1)
			    .length,
			stalled: log.filter((e) => e.kind === 'stalled').length,
			again_ms: ledger.again_ms(),
			gaps_ms: (a.windows || []).map(([from, to]) => {
				let last = from, most = 0;

				for (const t of times.filter((x) => x > from
				    && x < to).concat(to)) {
					most = Math.max(most, t - last);
					last = t;
				}
				return most;
			}),
		};
	},
	ledger: (a) => ledger.of(a.id),
	/* The lock of a job runs out now. */
	expire(a) {
		jobs.get(a.id).lock_until = now();
		stalled();
	},
	progress: () => ({
		settled: [...jobs.values()].filter((j) => ['settled', 'failed',
		    'lost'].includes(j.state)).length,
		queued: queue.length, all: jobs.size, t_ms: now(),
	}),
	clock: () => now(),
	/* t_ms 0 on the clock of process.hrtime(), in ms */
	zero: () => Number(started) / 1e6,
	job: (a) => jobs.get(a.id) || null,
	jobs: () => [...jobs.values()],
	/* The app's page of workers: one row a worker id. */
	machines: () => [...machines.entries()].map(([id, m]) =>
	    ({ workerId: id, ...m })),
	file: (a) => files.has(a.id) ? files.get(a.id).toString('base64') : null,
	stats: () => ({
		tcp: sockets.size, queued: queue.length, parked: waiters.length,
		open: living().length,
		connections: [...conns.values()].map(({ sock, ...c }) => c),
	}),
};

function reply(o)
{
	process.stdout.write(JSON.stringify(o) + '\n');
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
	const q = JSON.parse(line);

	try {
		if (!commands[q.cmd])
			throw new Error(`unknown command ${q.cmd}`);
		const value = await commands[q.cmd](q.args || {});
		reply({ id: q.id, value: value === undefined ? null : value });
	} catch (err) {
		reply({ id: q.id, error: String(err.stack || err) });
	}
}).on('close', () => process.exit(0));
process.stdout.on('error', () => process.exit(0));
