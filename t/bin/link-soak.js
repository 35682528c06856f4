'use strict';

/*
 * Many real clients at once:  link-soak.js PORT N
 * Each connects by polling, upgrades, sends an event with a binary argument
 * and awaits its answer, and leaves.  Prints upgraded N, answered N, left N.
 */

const { io } = require('socket.io-client');

const [port, n] = process.argv.slice(2).map(Number);
const all = Array.from({ length: n }, () => io(`http://127.0.0.1:${port}`, {
	forceNew: true, reconnection: false }));
const each = (f) => Promise.all(all.map((s, i) => new Promise(
    (done, fail) => f(s, done, fail, i))));

async function main()
{
	await each((s, done, fail) => {
		s.io.engine.on('upgrade', done);
		s.on('connect_error', fail);
		s.on('disconnect', fail);
	});
	console.log('upgraded', n);
	await each((s, done, fail, i) => {
		const bytes = Buffer.alloc(100 + i, i);
		s.emit('message-with-ack', i, bytes, 'x'.repeat(1000),
		    (a, b) => a === i && bytes.equals(b) ? done() : fail());
	});
	console.log('answered', n);
	await each((s, done) => {
		s.off('disconnect');
		s.on('disconnect', done);
		s.disconnect();
	});
	console.log('left', n);
}

main().catch((err) => console.log('failed', err));
process.stdin.resume().on('end', () => process.exit(0));
