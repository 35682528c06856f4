'use strict';

/*
 * The Node side of link.js, a process each:
 *
 *	node link_node.js serve		Socket.IO and Engine.IO echo
 *	node link_node.js app [FILES]	an app that answers every call
 *	node link_node.js relay URL [PEM]	Node between an engine and it
 *
 * FILES.key and FILES.pem make it an app of https.
 */

const path = require('path');
const fs = require('fs');
const http = require('http');
const https = require('https');

const modules = path.resolve(__dirname, '../../t/node_modules');
const { Server } = require(`${modules}/socket.io`);
const a = http.createServer(), b = http.createServer();

function serve()
{
	const io = new Server(a, { maxHttpBufferSize: 2e8 });
	const eio = new (require(`${modules}/engine.io`).Server)({
		maxHttpBufferSize: 2e8 });

	io.on('connection', (s) => {
		s.emit('auth', {});
		s.on('message-with-ack', (...args) => args.pop()(...args));
	});
	eio.on('connection', (s) => s.on('message', (d) => s.send(d)));
	eio.attach(b, { path: '/engine.io' });
	a.listen(0, '127.0.0.1', () => b.listen(0, '127.0.0.1', () =>
	    console.log('port', a.address().port, b.address().port)));
}

function app(files)
{
	const server = files === undefined ? a : https.createServer({
		key: fs.readFileSync(`${files}.key`),
		cert: fs.readFileSync(`${files}.pem`) });
	const io = new Server(server, { path: '/api/socket.io',
		transports: [ 'websocket' ], maxHttpBufferSize: 2e8 });

	io.on('connection', (s) => s.on('rpc', (request, ack) => ack(null)));
	server.listen(0, '127.0.0.1', () => console.log('port',
	    server.address().port));
}

function relay(url, pem)
{
	const io = new Server(a, { path: '/worker/ws',
		maxHttpBufferSize: 2e8 });
	const up = require(`${modules}/socket.io-client`).io(url, {
		path: '/api/socket.io', transports: [ 'websocket' ],
		ca: pem && fs.readFileSync(pem) });

	io.on('connection', (s) => s.on('rpc', async (request, ack) =>
	    ack(await up.timeout(60000).emitWithAck('rpc', request))));
	up.on('connect', () => a.listen(0, '127.0.0.1', () => console.log(
	    'port', a.address().port, 'none')));
}

({ serve, app, relay })[process.argv[2]](...process.argv.slice(3));
process.stdin.resume().on('end', () => process.exit(0));
