'use strict';

/*
 * A receiver of events: node http-target.js PORT TLSPORT KEY CERT FILE.
 * Writes {method, url, headers, body} of each request to FILE, one a line; the
 * file is there when it listens.
 *
 *	/status/N		answers with it
 *	/redirect/N/COUNT	redirects COUNT times with status N
 *	/to?URL			redirects there
 *	/garbage /huge /close	an answer that is none
 */

const fs = require('fs');
const http = require('http');
const https = require('https');

const [port, tls_port, key, cert, file] = process.argv.slice(2);

function answer(req, res)
{
	const [, what, arg, count] = req.url.split('?')[0].split('/');
	const to = (location, status) => {
		res.writeHead(status, { location });
		res.end();
	};

	switch (what) {
	case 'status':
		res.writeHead(Number(arg));
		return res.end();
	case 'redirect':
		if (Number(count) > 0)
			return to(`/redirect/${arg}/${count - 1}`, Number(arg));
		return res.end('{}');
	case 'to':
		return to(req.url.slice(req.url.indexOf('?') + 1), 307);
	case 'garbage':
		req.socket.end('nonsense\r\n\r\n');
		return undefined;
	case 'huge':
		req.socket.write('HTTP/1.1 200 OK\r\n');
		for (let i = 0; i < 200; i++)
			req.socket.write(`X-${i}: ${'x'.repeat(1000)}\r\n`);
		req.socket.end('\r\n');
		return undefined;
	case 'close':
		req.socket.destroy();
		return undefined;
	}
	return res.end('{}');
}

function on_request(req, res)
{
	const chunks = [];

	req.socket.on('error', () => {});
	req.on('data', (c) => chunks.push(c));
	req.on('end', () => {
		fs.appendFileSync(file, JSON.stringify({ method: req.method,
		    url: req.url, headers: req.headers,
		    body: Buffer.concat(chunks).toString() }) + '\n');
		answer(req, res);
	});
}

http.createServer(on_request).listen(Number(port), '127.0.0.1', () =>
	https.createServer({ key: fs.readFileSync(key),
	    cert: fs.readFileSync(cert) }, on_request)
	    .listen(Number(tls_port), '127.0.0.1',
		() => fs.writeFileSync(file, '')));
