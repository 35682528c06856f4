'use strict';

/*
 * What an author would use to reach something, as a piece's action and as a
 * code step; t/net_led.t makes one file of it and of the clients.
 *
 *	ask(urls)	whatever connects, with nothing said of a proxy
 *
 * Answers { CLIENT: { URL: 'status body' or why not }, 'around it': ... }.
 */

const http = require('http');
const https = require('https');
const net = require('net');
const tls = require('tls');
const axios = require('axios');
const fetch2 = require('node-fetch');
const undici = require('undici');

/* the servers of the test have made their certificates themselves */
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const lib = (url) => url.startsWith('https:') ? https : http;
const agents = new Map([ http, https ].map((l) =>
    [ l, new l.Agent({ keepAlive: true, maxSockets: 1 }) ]));

function raw(url, options = {})
{
	return new Promise((done, fail) => {
		lib(url).get(url, options, (res) => {
			let text = '';
			res.on('data', (d) => text += d);
			res.on('end', () => done([ res.statusCode, text ]));
		}).on('error', fail);
	});
}

async function modern(fetch, url)
{
	const r = await fetch(url);
	return [ r.status, await r.text() ];
}

async function by_axios(url, more)
{
	const r = await axios.get(url, { validateStatus: null, ...more });
	return [ r.status, r.data ];
}

/* As a driver of a database does: sockets and no HTTP library. */
function bare(url)
{
	const u = new URL(url);
	const host = u.hostname.replace(/^\[|\]$/g, '');
	const safe = u.protocol === 'https:';

	return new Promise((done, fail) => {
		const s = safe ? tls.connect(u.port || 443, host, {
		    servername: net.isIP(host) ? '' : host }) :
		    net.connect(u.port || 80, host);
		let text = '';

		/* before it is connected */
		s.write(`GET ${u.pathname} HTTP/1.1\r\nHost: ${u.host}\r\n` +
		    'Connection: close\r\n\r\n');
		s.setEncoding('latin1');
		s.on('data', (d) => {
			const [head, body] = (text += d).split('\r\n\r\n');
			const n = /content-length: (\d+)/i.exec(head)?.[1];

			if (body !== undefined && body.length >= Number(n))
				s.destroy();
		});
		s.on('error', fail);
		s.on('close', () => done([ text.split(' ')[1],
		    text.split('\r\n\r\n').slice(1).join('') ]));
	});
}

/* The wall is the kernel's: without the environment nothing leads anywhere. */
function around()
{
	return new Promise((done) => {
		const code = `const net = require('net');
		    const s = net.connect(80, '8.8.8.8', () => end('reached'));
		    const l = net.connect(80, '127.0.0.1',
			() => end('reached the loopback'));
		    let n = 0;
		    const end = (t) => { console.log(t); process.exit(); };
		    for (const x of [ s, l ])
			x.on('error', () => ++n === 2 && end('refused'));`;
		const child = require('child_process').spawn(process.execPath,
		    [ '-e', code ], { env: {} });
		let text = '';

		child.stdout.on('data', (d) => text += d);
		child.stderr.on('data', (d) => text += d);
		child.on('close', () => done(text.trim()));
	});
}

async function all(clients, urls)
{
	const out = {};

	for (const name in clients)
		for (const url of urls) {
			const got = await clients[name](url).then((r) =>
			    r.join(' ').trim(), (e) => [ e, e.cause,
			    e.cause?.cause ].map((x) => x && [ x.code,
			    x.message ].join(' ')).join(' ').trim());
			(out[name] ||= {})[url] = got.slice(0, 200);
		}
	return out;
}

exports.ask = async (urls) => {
	const got = (await import('got')).got;
	const own = (url) => ({ agent: agents.get(lib(url)) });

	return { ...await all({
	    fetch: (url) => modern(fetch, url),
	    'http(s)': (url) => raw(url),
	    'http(s), own agent': (url) => raw(url, own(url)),
	    axios: (url) => by_axios(url),
	    'axios, own agent': (url) => by_axios(url,
		{ httpAgent: agents.get(http), httpsAgent: agents.get(https) }),
	    'node-fetch': (url) => modern(fetch2, url),
	    got: async (url) => {
		const r = await got(url, { retry: { limit: 0 },
		    https: { rejectUnauthorized: false },
		    throwHttpErrors: false });
		return [ r.statusCode, r.body ];
	    },
	    undici: (url) => modern(undici.fetch, url),
	    'net and tls': bare }, urls),
	    'around it': await around() };
};

/* As a piece: the class has to have this name. */
class Piece {
	constructor() { this.displayName = 'Net'; this.auth = undefined; }
	triggers() { return {}; }
	metadata() { return { displayName: 'Net' }; }
	actions()
	{
		return { ask: { name: 'ask', displayName: 'Ask', props: {},
		    run: ({ propsValue }) => exports.ask(propsValue.urls) } };
	}
}
exports.net = new Piece();

/* As a code step. */
exports.code = ({ urls }) => exports.ask(urls);
