'use strict';

/*
 * What the egress proxy costs, beside a direct connection and the npm
 * proxy-chain, in one run on the same work:
 *
 *	cd contrib/bench/egress && npm install && node bench.js [egress-proxy]
 *
 * The build should be an ordinary one, without sanitizers (make
 * t/bin/egress-proxy).  Prints a JSON line for each measurement and one for
 * the ratios: look at these, the figures drift with the machine.  A ratio is
 * the median over rounds that each have all of them after the other.
 *
 * "relay" is a loop of two splice(2) calls and no proxy at all.  A tunnel is
 * two connections where direct is one, and sender, relay and receiver share
 * two cores where a direct connection has one for each end: that loop is the
 * ceiling of what any proxy in user space can do on this machine.
 */

const fs = require('fs');
const os = require('os');
const path = require('path');
const { execFileSync, spawn } = require('child_process');

/* ------------------------------------------ proxy-chain, a child of its own */
if (process.argv[2] === 'peer') {
	const dns = require('dns').promises;
	const { Server } = require('proxy-chain');
	/* with the look-up that the Node worker makes before each connection */
	const server = new Server({ port: 0, host: '127.0.0.1',
	    prepareRequestFunction: async ({ hostname }) => {
		await dns.lookup(hostname, { all: true });
		return {};
	    } });

	server.listen(() => console.log('ready', server.port));
	process.stdin.resume().on('end', () => process.exit(0));
	return;
}

const top = path.resolve(__dirname, '../../..');
const ours = path.resolve(process.argv[2] ||
    path.join(top, 't/bin/egress-proxy'));
const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'egress-bench-'));
const load = path.join(tmp, 'load');
const BYTES = 3e8, CONNECTS = 500, TUNNELS = 500, ROUNDS = 15;

function start(cmd, args)
{
	const child = spawn(cmd, args,
	    { stdio: ['pipe', 'pipe', 'ignore'] });

	return new Promise((done) => child.stdout.once('data', (text) =>
	    done({ child, port: String(text).trim().split(' ')[1] })));
}

function run(...args)
{
	return Number(execFileSync(load, args.map(String)));
}

function rss_kb({ child })
{
	return Number(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8')
	    .match(/VmRSS:\s+(\d+)/)[1]);
}

/* Of user and system, in ms (the kernel counts in 1/100 s). */
function cpu_ms({ child })
{
	if (child === undefined)
		return 0;
	const f = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8')
	    .replace(/^.*\) /, '').split(' ');
	return (Number(f[11]) + Number(f[12])) * 10;
}

/* Proportional: pages that are shared with others count for a part. */
function pss_kb({ child })
{
	return Number(fs.readFileSync(`/proc/${child.pid}/smaps_rollup`,
	    'utf8').match(/^Pss:\s+(\d+)/m)[1]);
}

async function tunnels(proxy, server)
{
	const before = pss_kb(proxy);
	const holder = await start(load, ['hold', proxy.port, server.port,
	    String(TUNNELS)]);
	const pss = pss_kb(proxy), rss = rss_kb(proxy);

	holder.child.stdin.end();
	return { pss_kb: pss, rss_kb: rss, more_kb: pss - before };
}

function median(a)
{
	return [...a].sort((x, y) => x - y)[a.length >> 1];
}

(async () => {
	execFileSync(process.env.CC_BENCH || 'cc', ['-O2', '-pthread', '-o',
	    load, path.join(__dirname, 'load.c')]);
	fs.writeFileSync(path.join(tmp, 'conf'),
	    'network auto { allow 127.0.0.1; upstream off; }\n' +
	    'log_level warn;\n');
	const server = await start(load, ['serve']);
	const all = {
		direct: { port: '0' },
		relay: await start(load, ['relay', server.port]),
		ours: await start(ours, ['-c', path.join(tmp, 'conf')]),
		'proxy-chain': await start(process.execPath,
		    [__filename, 'peer']),
	};
	const seconds = {}, micros = {}, memory = {}, cpu = {};

	/* in turns, so that the machine's moods are shared */
	for (let i = 0; i < ROUNDS; i++)
		for (const name in all) {
			const from = cpu_ms(all[name]);

			(seconds[name] ||= []).push(run('send',
			    (name === 'relay' ? '-' : '') + all[name].port,
			    server.port, BYTES));
			cpu[name] = (cpu[name] || 0) + cpu_ms(all[name]) - from;
			if (name === 'relay')
				continue;
			(micros[name] ||= []).push(run('connect',
			    all[name].port, server.port, CONNECTS));
		}
	for (const name of ['ours', 'proxy-chain'])
		memory[name] = await tunnels(all[name], server);

	const mb = (name) => BYTES / 1e6 / median(seconds[name]);
	const us = (name) => median(micros[name]);
	const part = (name) => +median(seconds.direct.map((s, i) =>
	    s / seconds[name][i])).toFixed(2);
	for (const name in all)
		console.log(JSON.stringify({ what: name,
		    tunnel_MBps: Math.round(mb(name)),
		    proxy_cpu_ms_per_GB: cpu[name] / ROUNDS / (BYTES / 1e9),
		    ...(micros[name] && { connection_us: us(name) }), ...(memory[name] &&
		    { [`tunnels_${TUNNELS}`]: memory[name] }) }));
	console.log(JSON.stringify({
		'throughput, ours / direct': part('ours'),
		'throughput, relay / direct': part('relay'),
		'throughput, proxy-chain / direct': part('proxy-chain'),
		'processor time for a byte, proxy-chain / ours':
		    +(cpu['proxy-chain'] / cpu.ours).toFixed(1),
		'added to a connection, ours, ms':
		    +((us('ours') - us('direct')) / 1000).toFixed(3),
		'added to a connection, proxy-chain, ms':
		    +((us('proxy-chain') - us('direct')) / 1000).toFixed(3),
		'memory of 500 tunnels, proxy-chain / ours':
		    +(memory['proxy-chain'].pss_kb /
		    memory.ours.pss_kb).toFixed(1),
	}));
	server.child.kill();
	all.relay.child.kill();
	for (const name of ['ours', 'proxy-chain'])
		all[name].child.stdin.end();
	fs.rmSync(tmp, { recursive: true });
})();
