'use strict';

// A registry of npm packages on the loopback: node npm-registry.js DIR
//
// DIR/packages.json, read at each request:
//	{ NAME: { versions: { VERSION: { files: { PATH: TEXT or { link: TO } },
//	    dependencies, bin, more: members of package.json } }, status: answer with it, hang: never answer,
//	    tarball: { status, hang, cut: so many bytes, then the end,
//	    wrong: other bytes than announced, wait: until DIR/go-NAME,
//	    moved: a redirect to this host, at our port },
//	    archives: the host, at our port, that archives are said to be at } }
// Writes its port to DIR/port and a line for each request to DIR/requests.

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const zlib = require('zlib');

const dir = process.argv[2];

function octal(n, width) {
	return n.toString(8).padStart(width - 1, '0') + '\0';
}

function tarEntry(name, text) {
	const link = typeof text === 'object' ? text.link : undefined;
	const body = Buffer.from(link === undefined ? text : '');
	const head = Buffer.alloc(512);
	head.write(name, 0, 100);
	head.write(octal(0o644, 8), 100);
	head.write(octal(0, 8), 108);
	head.write(octal(0, 8), 116);
	head.write(octal(body.length, 12), 124);
	head.write(octal(0, 12), 136);
	head.write('        ', 148);
	head.write(link === undefined ? '0' : '2', 156);
	head.write(link || '', 157, 100);
	head.write('ustar\x0000', 257);
	let sum = 0;
	for (const byte of head)
		sum += byte;
	head.write(octal(sum, 7) + ' ', 148);
	return Buffer.concat([head, body,
		Buffer.alloc((512 - body.length % 512) % 512)]);
}

function tarball(name, version, spec) {
	const files = Object.assign({ 'package.json': JSON.stringify({ name,
		version, main: spec.main || 'src/index.js',
		dependencies: spec.dependencies || {},
		scripts: spec.scripts || {}, ...spec.more }) },
		spec.files || {});
	const parts = Object.keys(files).map((file) =>
		tarEntry('package/' + file, files[file]));
	return zlib.gzipSync(Buffer.concat([...parts, Buffer.alloc(1024)]));
}

function packages() {
	return JSON.parse(fs.readFileSync(path.join(dir, 'packages.json')));
}

function packument(base, name, spec) {
	const versions = {};
	const at = spec.archives ?
	    `http://${spec.archives}:${server.address().port}/` : base;
	for (const [version, v] of Object.entries(spec.versions || {})) {
		const bytes = tarball(name, version, v);
		versions[version] = { name, version,
			dependencies: v.dependencies || {},
			scripts: v.scripts || {},
			hasInstallScript: !!v.scripts, ...v.more,
			dist: { tarball: `${at}${name}/-/${version}.tgz`,
				shasum: crypto.createHash('sha1').update(bytes)
					.digest('hex'),
				integrity: 'sha512-' + crypto
					.createHash('sha512').update(bytes)
					.digest('base64') } };
	}
	const latest = Object.keys(versions).pop();
	return JSON.stringify({ name, 'dist-tags': { latest }, versions });
}

function serveTarball(res, name, version, spec, host) {
	const how = spec.tarball || {};
	let bytes = tarball(name, version, spec.versions[version]);

	if (how.moved && !host.startsWith(how.moved + ':')) {
		res.writeHead(302, { location: `http://${how.moved}:` +
			`${server.address().port}/${name}/-/${version}.tgz` })
			.end();
		return;
	}

	if (how.hang)
		return;
	if (how.wait && !fs.existsSync(path.join(dir, 'go-' + how.wait))) {
		setTimeout(serveTarball, 10, res, name, version, spec, host);
		return;
	}
	if (how.status) {
		res.writeHead(how.status).end('no');
		return;
	}
	if (how.wrong)
		bytes = zlib.gzipSync(tarEntry('package/evil.js', 'x'));
	res.writeHead(200, { 'content-type': 'application/octet-stream',
		'content-length': bytes.length });
	if (how.cut) {
		res.write(bytes.subarray(0, how.cut));
		setTimeout(() => res.destroy(), 50);
	} else
		res.end(bytes);
}

const server = http.createServer((req, res) => {
	/* how a double in front of us was asked */
	const base = req.headers['x-base'] ? req.headers['x-base']
	    : /^http:\/\/[^/]+\//.test(req.url)
	    ? /^http:\/\/[^/]+\//.exec(req.url)[0]
	    : `http://127.0.0.1:${server.address().port}/`;
	/* as a proxy we are asked for whole URLs, whatever the host */
	const proxied = /^http:\/\/[^/]+\//.exec(req.url);
	const at = proxied ? req.url.slice(proxied[0].length - 1) : req.url;
	const url = decodeURIComponent(at.slice(1).split('?')[0]);
	const [name, rest] = url.split('/-/');
	const spec = packages()[name];

	fs.appendFileSync(path.join(dir, 'requests'),
		`${req.method} ${url} ${req.headers.authorization || '-'}`
		+ `${proxied ? ' for ' + proxied[0] : ''}\n`);
	if (!spec)
		res.writeHead(404).end('{"error":"Not found"}');
	else if (rest)
		serveTarball(res, name, rest.replace(/\.tgz$/, ''), spec,
			req.headers.host || '');
	else if (spec.hang)
		return;
	else if (spec.status)
		res.writeHead(spec.status).end('{"error":"told so"}');
	else
		res.writeHead(200, { 'content-type': 'application/json' })
			.end(packument(base, name, spec));
});

server.listen(0, '127.0.0.1', () => {
	fs.writeFileSync(path.join(dir, 'port.new'),
		String(server.address().port));
	fs.renameSync(path.join(dir, 'port.new'), path.join(dir, 'port'));
});
