'use strict';

// An HTTP proxy that is itself spoken to in TLS:
//
//	node tls-proxy.js DIR REGISTRY-PORT [USER:PASSWORD]
//
// Whatever it is asked for, a URL or a tunnel, it leads to the registry at
// that port; in a tunnel there is TLS again, but for port 80.  DIR has key.pem and cert.pem,
// and gets tls-port, and a line for each request in tls-requests.

const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const path = require('path');

const [dir, registry, user] = process.argv.slice(2);
const tls = { key: fs.readFileSync(path.join(dir, 'key.pem')),
	cert: fs.readFileSync(path.join(dir, 'cert.pem')) };

function allowed(req) {
	const got = req.headers['proxy-authorization'] || '-';
	const good = user === undefined ||
	    got === 'Basic ' + Buffer.from(user).toString('base64');

	fs.appendFileSync(path.join(dir, 'tls-requests'),
		`${req.method} ${req.url} ${good ? 'let in' : 'refused'}\n`);
	return good;
}

function forward(req, res, url, base) {
	const headers = { accept: req.headers.accept || '*/*' };
	if (base)
		headers['x-base'] = base;
	const to = http.request({ host: '127.0.0.1', port: registry, path: url,
		method: req.method, headers }, (from) => {
		res.writeHead(from.statusCode, from.headers);
		from.pipe(res);
	});
	to.on('error', () => res.destroy());
	req.pipe(to);
}

// what tunnels lead to
const inner = https.createServer(tls, (req, res) =>
	forward(req, res, req.url, `https://${req.headers.host}/`));

const proxy = https.createServer(tls, (req, res) => {
	if (allowed(req))
		forward(req, res, req.url);
	else
		res.writeHead(407).end('who are you?');
});
proxy.on('connect', (req, socket, head) => {
	if (!allowed(req)) {
		socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
		return;
	}
	const to = net.connect(/:80$/.test(req.url) ? registry :
	    inner.address().port, '127.0.0.1', () => {
		/* in two parts, as it may come */
		socket.write('HTTP/1.1 200 Fine\r\nX: ');
		setTimeout(() => {
			socket.write('y\r\n\r\n');
			to.write(head);
			to.pipe(socket).pipe(to);
		}, 20);
	});
	to.on('error', () => socket.destroy());
	socket.on('error', () => to.destroy());
});
proxy.on('tlsClientError', () => {});

inner.listen(0, '127.0.0.1', () => proxy.listen(0, '127.0.0.1', () => {
	fs.writeFileSync(path.join(dir, 'tls-port.new'),
		String(proxy.address().port));
	fs.renameSync(path.join(dir, 'tls-port.new'),
		path.join(dir, 'tls-port'));
}));
