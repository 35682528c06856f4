'use strict';

/*
 * The app's end of the app link on the real socket.io server:
 *	link-app.js ['{"server": {options}, "key": FILE, "cert": FILE,
 *	    "tls": NEWEST VERSION, "path": PATH, "host": ADDRESS}']
 * A token other than "good" is refused.  Methods of "rpc": echo, void, nothing
 * (an ack without argument), error, binary N, two (attachments), large N,
 * length (of payload.big), silent, late MS, kick, drop, cut, event, badid.
 *
 * Output: port N, auth JSON, request PATH, disconnect REASON, close CODE
 */

const fs = require('fs');
const { Server } = require('socket.io');

const o = JSON.parse(process.argv[2] || '{}');
const say = (...words) => process.stdout.write(words.join(' ') + '\n');
const http = o.key ? require('https').createServer({
	key: fs.readFileSync(o.key), cert: fs.readFileSync(o.cert) })
    : require('http').createServer();
const io = new Server(http, { path: o.path || '/api/socket.io',
	transports: ['websocket'], serveClient: false, maxHttpBufferSize: 1e8,
	...o.server });

http.on('upgrade', (req) => say('request', req.url,
    req.socket.servername || '-'));
io.use((socket, next) => {
	next(socket.handshake.auth.token === 'good' ? undefined
	    : new Error('Authentication error'));
});
io.on('connection', (socket) => {
	say('auth', JSON.stringify(socket.handshake.auth));
	socket.conn.transport.socket.on('close', (code) => say('close', code));
	socket.on('disconnect', (reason) => say('disconnect', reason));
	const methods = {
		echo: (p, ack) => ack(p),
		void: (p, ack) => ack(undefined),
		nothing: (p, ack) => ack(),
		error: (p, ack) => ack({ __rpcError: 'it "failed"\n' }),
		binary: (n, ack) => ack(Buffer.alloc(n, 7)),
		two: (p, ack) => ack({ a: Buffer.from('one'),
			b: Buffer.from('') }),
		large: (n, ack) => ack('y'.repeat(n)),
		length: (p, ack) => ack(p.big.length),
		silent: () => {},
		late: (ms, ack) => setTimeout(ack, ms, 'late'),
		kick: () => socket.disconnect(),
		drop: () => socket.conn.close(),
		cut: () => socket.conn.transport.socket._socket.destroy(),
		event: (p) => socket.emit('hello', 1, { two: 2 }),
		badid: (p, ack) => {
			socket.conn.write('399999[1]');
			ack(1);
		},
		text: (p) => socket.conn.write(p),
	};
	socket.on('rpc', ({ method, payload }, ack) =>
	    methods[method](payload, ack));
	socket.on('FETCH_WORKER_SETTINGS', (info, ack) => ack({ info }));
	socket.on('say', (...args) => say('said', JSON.stringify(args)));
});
http.listen(0, o.host || '127.0.0.1', () => say('port',
    http.address().port));
process.stdin.on('data', () => {});
process.stdin.on('end', () => process.exit(0));
