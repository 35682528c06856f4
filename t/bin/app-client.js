'use strict';

/*
 * A worker's half of the app link on the real socket.io client, to try the app
 * double with: app-client.js URL STEPS, where STEPS is a JSON list of
 *	["settings"]  ["rpc", METHOD, PAYLOAD]  ["wait", ms]  ["gone"]
 * Prints one JSON line for each thing that happens.
 */

const { io } = require('socket.io-client');

const [url, steps, token] = process.argv.slice(2);
const say = (what, value) => console.log(JSON.stringify({ what, value }));
const socket = io(url, { path: '/api/socket.io', transports: ['websocket'],
	reconnection: false, rejectUnauthorized: false,
	auth: { token: token || 'token', workerId: 'worker-1' } });
let gone;
const lost = new Promise((done) => { gone = done; });

async function step([kind, method, payload])
{
	switch (kind) {
	case 'settings':
		return socket.timeout(method || 30000).emitWithAck(
		    'FETCH_WORKER_SETTINGS', { workerId: 'worker-1' });
	case 'rpc':
		return socket.timeout(30000).emitWithAck('rpc',
		    { method, payload });
	case 'wait':
		return new Promise((done) => setTimeout(done, method));
	case 'gone':
		return lost;
	}
	throw new Error(`no step ${kind}`);
}

socket.on('connect_error', (err) => {
	say('connect_error', err.message);
	process.exit(1);
});
socket.on('disconnect', (reason) => {
	say('disconnect', reason);
	gone(reason);
});
socket.on('connect', async () => {
	say('connect');
	for (const s of JSON.parse(steps)) {
		try {
			say(s[0] === 'rpc' ? s[1] : s[0], await step(s));
		} catch (err) {
			say('error', err.message);
		}
	}
	process.exit(0);
});
