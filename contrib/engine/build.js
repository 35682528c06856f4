'use strict';
/*
 * Makes the engine's bundles: sources and socket.io-client in one file each.
 *
 *     dist/main.js		speaks as 0.85 does
 *     dist/later/main.js	as 0.88.3: reports to the app by HTTP, runs
 *     dist/later/piece-child.js	pieces in processes of this bundle
 *
 * isolated-vm is a native module and stays outside; it is found through
 * NODE_PATH.
 *
 *     node build.js [path of the esbuild executable]
 */
const { execFileSync } = require('node:child_process');
const path = require('node:path');

const esbuild = process.argv[2] || process.env.ESBUILD || 'esbuild';

function bundle(from, to, later) {
	execFileSync(esbuild, [
		path.join(__dirname, 'src', from), '--bundle',
		'--platform=node', '--target=node20', '--format=cjs',
		'--external:isolated-vm', '--external:bufferutil',
		'--external:utf-8-validate', '--log-level=warning',
		'--minify-syntax', `--define:LATER=${later}`,
		'--outfile=' + path.join(__dirname, 'dist', to),
	], { stdio: 'inherit' });
}

bundle('main.js', 'main.js', false);
bundle('main.js', 'later/main.js', true);
bundle('piece_child.js', 'later/piece-child.js', true);
