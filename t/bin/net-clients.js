'use strict';

/*
 * What an author would use to reach something, as a piece's action and as a
 * code step; t/net_engine.t makes one file of it and of the clients.
 *
 *	ask(urls)	from within the engine, which has pointed http, https
 *			and fetch to its proxy
 *	ask_alone(urls)	from a process that has only the environment
 *
 * Answers { CLIENT: { URL: 'status body' or why not } }.
 */

const http = require('http');
const https = require('https');
const axios = require('axios');
const fetch2 = require('node-fetch');

/* the servers of the test have made their certificates themselves */
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

function raw(url)
{
	return new Promise((done, fail) => {
		const lib = url.startsWith('https:') ? https : http;

		lib.get(url, (res) => {
			let text = '';
			res.on('data', (d) => text += d);
			res.on('end', () => done([ res.statusCode, text ]));
		}).on('error', fail);
	});
}

async function modern(url, more)
{
	const r = await fetch(url, more);
	return [ r.status, await r.text() ];
}

async function by_axios(url, more)
{
	const r = await axios.get(url, { validateStatus: null, ...more });
	return [ r.status, r.data ];
}

async function older(url)
{
	const r = await fetch2(url);
	return [ r.status, await r.text() ];
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

	return all({ fetch: modern, axios: by_axios, 'http(s)': raw,
	    'node-fetch': older, got: async (url) => {
		const r = await got(url, { retry: { limit: 0 },
		    https: { rejectUnauthorized: false },
		    throwHttpErrors: false });
		return [ r.statusCode, r.body ];
	    } }, urls);
};

exports.ask_alone = async (urls) => {
	const { EnvHttpProxyAgent, fetch: own } = require('undici');
	const dispatcher = new EnvHttpProxyAgent();

	return all({ 'undici, by the environment': async (url) => {
		const r = await own(url, { dispatcher });
		return [ r.status, await r.text() ];
	    }, 'axios, by the environment': by_axios,
	    'http(s), straight': raw }, urls);
};

/* As a piece: the class has to have this name. */
class Piece {
	constructor() { this.displayName = 'Net'; this.auth = undefined; }
	triggers() { return {}; }
	actions()
	{
		return { ask: { name: 'ask', displayName: 'Ask', props: {},
		    run: ({ propsValue }) => exports.ask(propsValue.urls) } };
	}
}
exports.net = new Piece();

/* As a code step. */
exports.code = ({ urls }) => exports.ask_alone(urls);
