'use strict';
/*
 * Makes dist/main.js: sources and socket.io-client in one file, because the
 * stock installs an engine as a single file.  isolated-vm is a native module
 * and stays outside; it is found through NODE_PATH.
 *
 *     node build.js [path of the esbuild executable]
 */
const { execFileSync } = require('node:child_process');
const path = require('node:path');

const esbuild = process.argv[2] || process.env.ESBUILD || 'esbuild';

execFileSync(esbuild, [
	path.join(__dirname, 'src/main.js'), '--bundle', '--platform=node',
	'--target=node20', '--format=cjs', '--external:isolated-vm',
	'--external:bufferutil', '--external:utf-8-validate',
	'--log-level=warning',
	'--outfile=' + path.join(__dirname, 'dist/main.js'),
], { stdio: 'inherit' });
