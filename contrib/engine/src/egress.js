'use strict';
/*
 * Requests through the worker's proxy, where it names one: whatever uses
 * node's own HTTP clients (http, https, fetch) gets a tunnel for each
 * connection.  The link to the worker is not meant: it has an agent of its
 * own.
 */
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

const HEAD_MAX = 16 * 1024;
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

function authority(host, port) {
	return (net.isIPv6(host) ? `[${host}]` : host) + `:${port}`;
}

/* done(err) or done(null, socket) when the tunnel stands. */
function tunnel(proxy, host, port, done) {
	const socket = net.connect(Number(proxy.port), proxy.hostname);
	const to = authority(host.replace(/^\[|\]$/g, ''), port);
	let head = Buffer.alloc(0);

	const fail = (err) => {
		socket.destroy();
		done(err);
	};
	const onData = (bytes) => {
		head = Buffer.concat([head, bytes]);
		const end = head.indexOf('\r\n\r\n');
		if (end === -1 && head.length < HEAD_MAX)
			return;
		socket.removeListener('data', onData);
		socket.removeListener('error', fail);
		socket.removeListener('end', onEnd);
		const status = /^HTTP\/1\.\d (\d{3})/.exec(head.toString('latin1'));
		if (end === -1 || status?.[1] !== '200') {
			fail(new Error(`Proxy response (${status?.[1] ?? 'none'}) `
			    + `when HTTP tunneling to ${to}`));
			return;
		}
		done(null, socket);
		if (head.length > end + 4)
			socket.unshift(head.subarray(end + 4));
	};
	const onEnd = () => fail(new Error(`the proxy hung up on ${to}`));

	socket.on('data', onData);
	socket.once('error', fail);
	socket.once('end', onEnd);
	socket.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`);
}

function secure(options, socket) {
	return tls.connect({ ...options, socket,
	    servername: options.servername
		|| (net.isIP(options.host ?? options.hostname) ? ''
		: options.host ?? options.hostname) });
}

function agent(proxy, Base, overTls) {
	return new class extends Base {
		createConnection(options, done) {
			/* a client that found the proxy by HTTP_PROXY */
			if (options.host === proxy.hostname &&
			    Number(options.port) === Number(proxy.port))
				return net.connect(options.port, options.host);
			tunnel(proxy, options.host, options.port,
			    (err, socket) => done(err, err === null && overTls
				? secure(options, socket) : socket));
		}
	}();
}

/* fetch() has an agent of its own kind, made with the first request. */
async function fetchDispatcher(proxy) {
	await (await fetch('data:,')).text();
	const Agent = globalThis[DISPATCHER].constructor;

	globalThis[DISPATCHER] = new Agent({
		connect(options, done) {
			const plain = options.protocol !== 'https:';

			tunnel(proxy, options.hostname,
			    options.port || (plain ? 80 : 443), (err, socket) => {
				if (err !== null || plain) {
					done(err, socket);
					return;
				}
				const s = secure({ host: options.hostname,
				    servername: options.servername,
				    ALPNProtocols: ['http/1.1'] }, socket);
				s.once('secureConnect', () => done(null, s));
				s.once('error', done);
			});
		},
	});
}

function install(url) {
	const proxy = new URL(url);

	http.globalAgent = agent(proxy, http.Agent, false);
	https.globalAgent = agent(proxy, https.Agent, true);
	return fetchDispatcher(proxy);
}

module.exports = { install };
