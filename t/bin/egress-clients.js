'use strict';

/*
 * Real HTTP clients through the egress proxy, set up as the engine does: the
 * global agents of http and https, and the dispatcher of fetch.
 *
 *	node egress-clients.js PROXY_URL KEY CERT ADDRESS
 *
 * Listens on ADDRESS (ports 80 and 443) as well; prints a JSON line for each
 * client and URL: its status and body, or its error.
 */

const fs = require('fs');
const http = require('http');
const https = require('https');
const { execFile } = require('child_process');

const [proxy, key, cert, address] = process.argv.slice(2);
const answer = (req, res) => {
	const body = [];
	req.on('data', (d) => body.push(d));
	req.on('end', () => res.end(`${req.method} ${req.url} ` +
	    `${req.headers.host} ${Buffer.concat(body).length}`));
};
const servers = [ http.createServer(answer), https.createServer(
    { key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, answer) ];

const axios = require('axios');
const fetch2 = require('node-fetch');
const { HttpProxyAgent } = require('http-proxy-agent');
const { HttpsProxyAgent } = require('https-proxy-agent');
const { ProxyAgent, setGlobalDispatcher } = require('undici');

const body = Buffer.alloc(200000, 'x');
const raw = (url) => new Promise((done, fail) => {
	const lib = url.startsWith('https:') ? https : http;
	const req = lib.request(url, { method: 'POST' }, (res) => {
		let text = '';
		res.on('data', (d) => text += d);
		res.on('end', () => done({ status: res.statusCode, text }));
	});
	req.on('error', fail);
	req.end(body);
});
const curl = (url, ...more) => new Promise((done, fail) =>
	execFile('curl', ['-sS', '-k', '-x', proxy, '-w', '\n%{http_code}',
	    '--data-binary', '@-', ...more, url], (error, out) => {
		const [text, status] = out.split('\n');
		return error ? fail(error) : done({ status: +status, text });
	}).stdin.end(body));

(async () => {
	const got = (await import('got')).got;
	const clients = {
		axios: async (url) => {
			const r = await axios.post(url, body,
			    { proxy: false, validateStatus: null });
			return { status: r.status, text: r.data };
		},
		fetch: async (url) => {
			const r = await fetch(url, { method: 'POST', body });
			return { status: r.status, text: await r.text() };
		},
		raw,
		'node-fetch': async (url) => {
			const r = await fetch2(url, { method: 'POST', body });
			return { status: r.status, text: await r.text() };
		},
		got: async (url) => {
			const r = await got.post(url, { body, retry: { limit: 0 },
			    throwHttpErrors: false });
			return { status: r.statusCode, text: r.body };
		},
		curl,
		'curl -p': (url) => curl(url, '-p'),
	};
	await Promise.all(servers.map((s, i) => new Promise((done) =>
	    s.listen([80, 443][i], address, done))));
	http.globalAgent = new HttpProxyAgent(proxy, { keepAlive: true });
	https.globalAgent = new HttpsProxyAgent(proxy, { keepAlive: true });
	setGlobalDispatcher(new ProxyAgent(proxy));
	for (const name in clients)
		for (const url of ['http://pub.example/a?b=c',
		    'https://pub.example/a?b=c', 'http://in.example/',
		    'https://in.example/']) {
			const r = await clients[name](url).catch((e) => ({
			    error: [e, e.cause, e.cause?.cause].map((x) => x &&
			    `${x.code} ${x.message}`).join(' ') }));
			console.log(JSON.stringify({ name, url, ...r }));
		}
	process.exit(0);
})();
