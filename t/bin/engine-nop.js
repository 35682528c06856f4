'use strict';

/*
 * An engine that does nothing, as fast as it can: answers each operation OK,
 * with the time it spent on it.  For the benches; written on the real
 * socket.io client so that both workers can be measured with it.
 */

const { io } = require('socket.io-client');

const socket = io(`ws://127.0.0.1:${process.env.AP_SANDBOX_WS_PORT}`, {
	path: '/worker/ws', reconnection: false,
	auth: {
		sandboxId: process.env.SANDBOX_ID,
		connectionToken: process.env.AP_SANDBOX_WS_TOKEN,
	},
});

setTimeout(() => socket.connected || process.exit(5), 60000);
socket.on('disconnect', () => process.exit(6));
socket.on('rpc', (request, ack) => {
	ack({ status: 'OK' });
});
/* The dialect is found by this word: rpc-notify. */
