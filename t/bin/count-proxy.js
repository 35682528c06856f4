'use strict';

// An HTTP proxy that writes down what it is asked:
//
//	node count-proxy.js DIR [TO-PORT]
//
// Requests and tunnels of whatever host are led to 127.0.0.1, at TO-PORT or at
// the port that was asked for.  DIR gets proxy-port, and a line for each in
// proxy-requests: METHOD TARGET USER:PASSWORD.

const fs = require('fs');
const http = require('http');
const net = require('net');
const path = require('path');

const [dir, to] = process.argv.slice(2);

function count(req) {
	const auth = /^Basic (\S+)$/.exec(req.headers['proxy-authorization']);

	fs.appendFileSync(path.join(dir, 'proxy-requests'), `${req.method} `
		+ `${req.url} ${auth ? Buffer.from(auth[1], 'base64') : '-'}\n`);
}

const server = http.createServer((req, res) => {
	count(req);
	const url = new URL(req.url);
	const on = http.request({ host: '127.0.0.1', port: to || url.port,
		method: req.method, path: url.pathname + url.search,
		headers: req.headers }, (from) => {
		res.writeHead(from.statusCode, from.headers);
		from.pipe(res);
	});
	on.on('error', () => res.destroy());
	req.pipe(on);
});
server.on('connect', (req, socket, head) => {
	count(req);
	const on = net.connect(to || /:(\d+)$/.exec(req.url)[1], '127.0.0.1', () => {
		socket.write('HTTP/1.1 200 Fine\r\n\r\n');
		on.write(head);
		on.pipe(socket).pipe(on);
	});
	on.on('error', () => socket.destroy());
	socket.on('error', () => on.destroy());
});
fs.writeFileSync(path.join(dir, 'proxy-requests'), '');
server.listen(0, '127.0.0.1', () => {
	fs.writeFileSync(path.join(dir, 'proxy-port.new'),
		String(server.address().port));
	fs.renameSync(path.join(dir, 'proxy-port.new'),
		path.join(dir, 'proxy-port'));
});
