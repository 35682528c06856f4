/* What leads connections to the proxy of their slot where their program knows
 * none: a script that node loads before the program.  Room: stock, slot.
 *
 * Engines from release 0.86 on report to the app by HTTP and know no proxy, and
 * under strict there is no other way.  Clients obey HTTP_PROXY each in its own
 * way, or with an agent of their own not at all; so the script is below all of
 * them: where a program's sockets connect, and where TLS begins.  NODE_OPTIONS
 * hands it down to the processes of pieces and code steps.  It is a guide and
 * no fence: who goes round it finds what the kernel left, which is nothing. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define TUNNEL_FILE	"common/" APW_STOCK_TUNNEL

static const char tunnel_script[] =
"'use strict';\n"
"/* apworkerd: connections of engines that know no proxy go through the one of\n"
" * their slot, whichever client makes them.  The kernel is what holds them. */\n"
"const net = require('node:net');\n"
"const tls = require('node:tls');\n"
"const { syncBuiltinESMExports } = require('node:module');\n"
"const HEAD_MAX = 16384;\n"
"/* its port, what of it leads there all the same (the app's API), and whether\n"
" * that is all there is to lead */\n"
"const [port, app, only] = (process.env.APW_TUNNEL ?? '').split(' ');\n"
"const connect = net.Socket.prototype.connect;\n"
"const secure = tls.connect;\n"
"\n"
"const authority = (host, at) =>\n"
"    (net.isIPv6(host) ? `[${host}]` : host) + `:${at}`;\n"
"/* What is in here: the link, and what the engine's own processes serve. */\n"
"const isHere = (host) => host === 'localhost' ||\n"
"    host.endsWith('.localhost') || /^(127\\.|0\\.0\\.0\\.0$)/.test(host) ||\n"
"    /^(::1?|::ffff:(127\\.|0\\.0\\.0\\.0$).*)$/i.test(host);\n"
"\n"
"/* Where it is to lead, or undefined: it is not ours to lead. */\n"
"function target(options) {\n"
"	const { host = 'localhost', path, port: at } = options;\n"
"\n"
"	if (path || at === undefined || options.fd !== undefined ||\n"
"	    typeof host !== 'string')\n"
"		return undefined;\n"
"	const name = host.replace(/^\\[|\\]$/g, '').toLowerCase();\n"
"	const to = authority(name, Number(at));\n"
"	return to !== app && (only || isHere(name)) ? undefined : to;\n"
"}\n"
"\n"
"function refusal(to, head) {\n"
"	const status = /^HTTP\\/1\\.\\d (\\d{3})/.exec(head)?.[1];\n"
"	const text = head.split('\\r\\n\\r\\n')[1]?.trim();\n"
"	const err = new Error(status === undefined ?\n"
"	    `the proxy hung up on ${to}` : text || `Proxy response (${status})`);\n"
"\n"
"	return Object.assign(err, { syscall: 'connect',\n"
"	    code: status === '403' ? 'EACCES' : status === '504' ?\n"
"	    'ETIMEDOUT' : text?.startsWith('Name not found') ?\n"
"	    'ENOTFOUND' : 'ECONNREFUSED' });\n"
"}\n"
"\n"
"/* Until the tunnel stands the socket is one that connects: who writes waits,\n"
" * and nobody reads or is told. */\n"
"function tunnel(s, to) {\n"
"	const own = ['push', 'emit'].map((name) =>\n"
"	    Object.getOwnPropertyDescriptor(s, name));\n"
"	const { push, emit } = s;\n"
"	let head = '';\n"
"\n"
"	const restore = () => ['push', 'emit'].forEach((name, i) => {\n"
"		if (own[i] === undefined)\n"
"			delete s[name];\n"
"		else\n"
"			Object.defineProperty(s, name, own[i]);\n"
"	});\n"
"	const fail = () => {\n"
"		restore();\n"
"		s.destroy(refusal(to, head));\n"
"		return false;\n"
"	};\n"
"	s.push = (bytes) => {\n"
"		if (bytes !== null)\n"
"			head += bytes.toString('latin1');\n"
"		const end = head.indexOf('\\r\\n\\r\\n');\n"
"		const stands = /^HTTP\\/1\\.\\d 200 /.test(head);\n"
"\n"
"		if (bytes !== null && head.length < HEAD_MAX &&\n"
"		    (end === -1 || !stands))\n"
"			return true;	/* a refusal is read to its end */\n"
"		if (end === -1 || !stands)\n"
"			return fail();\n"
"		restore();\n"
"		s.connecting = false;\n"
"		s.emit('connect');\n"
"		s.emit('ready');\n"
"		const rest = Buffer.from(head.slice(end + 4), 'latin1');\n"
"		return s.destroyed ? false : rest.length > 0 ?\n"
"		    s.push(rest) : true;\n"
"	};\n"
"	s.emit = (name, ...args) => {\n"
"		if (name === 'ready')\n"
"			return true;\n"
"		if (name !== 'connect')\n"
"			return emit.call(s, name, ...args);\n"
"		s._writeGeneric(false,\n"
"		    `CONNECT ${to} HTTP/1.1\\r\\nHost: ${to}\\r\\n\\r\\n`, 'latin1',\n"
"		    (err) => err && s.destroy(err));\n"
"		s.connecting = true;\n"
"		s._handle.reading = true;\n"
"		s._handle.readStart();\n"
"		return true;\n"
"	};\n"
"}\n"
"\n"
"net.Socket.prototype.connect = function (...args) {\n"
"	const [options, done] = Array.isArray(args[0]) ? args[0] :\n"
"	    net._normalizeArgs(args);\n"
"	const to = target(options);\n"
"\n"
"	if (to === undefined || this instanceof tls.TLSSocket)\n"
"		return connect.apply(this, args);\n"
"	tunnel(this, to);\n"
"	if (typeof done === 'function')\n"
"		this.once('connect', done);\n"
"	this._host = options.host;\n"
"	return connect.call(this, { host: '127.0.0.1', port: Number(port) });\n"
"};\n"
"\n"
"tls.connect = function (...args) {\n"
"	const [given, done] = net._normalizeArgs(args);\n"
"	const more = args.slice(1).find((a) => a !== null &&\n"
"	    typeof a === 'object');\n"
"	const options = { ...given, ...more };\n"
"\n"
"	if (options.socket || target(options) === undefined)\n"
"		return secure.apply(this, args);\n"
"	const below = new net.Socket();\n"
"	below.connecting = true;	/* so that TLS waits for it */\n"
"	const s = secure({ ...options, socket: below }, done ?? undefined);\n"
"	if (options.timeout)\n"
"		s.setTimeout(options.timeout);\n"
"	below.once('connect', () => s.emit('connect'));\n"
"	below.once('error', (err) => s.destroy(err));\n"
"	below.connect(options);\n"
"	return s;\n"
"};\n"
"syncBuiltinESMExports();\n";

/* Word for word, ours, and to be read by engines: one whose script is not
 * there would not start. */
bool
stock_script_there(const struct apw_stock *stock, const char *path,
    struct apw_str script)
{
	struct apw_buf	have = APW_BUF_INIT(script.n + 2);
	struct stat	st;
	bool		same;

	if (fstatat(stock->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || (st.st_uid != geteuid() &&
	    st.st_uid != 0) || (st.st_mode & 0466) != 0444)
		return false;
	same = stock_read(stock->root_fd, path, &have, NULL) == 1 &&
	    apw_str_eq(apw_buf_view(&have), script);
	apw_buf_free(&have);
	return same;
}

int
stock_script_put(const struct apw_stock *stock, const char *path,
    struct apw_str script, struct apw_err *err)
{
	apw_autofd int	common = -1;

	if (stock_script_there(stock, path, script))
		return 0;
	common = stock_open(stock->root_fd, "common", O_RDONLY | O_DIRECTORY);
	if (common == -1)
		return apw_err_set(err, errno, "cannot open common");
	return stock_replace(common, strchr(path, '/') + 1, script, true, err);
}

int
apw_stock_tunnel(struct apw_stock *stock, struct apw_err *err)
{
	if (stock_script_put(stock, TUNNEL_FILE, apw_str_c(tunnel_script),
	    err) == 0)
		return 0;
	return apw_err_wrap(err, "the script that leads engines to the proxy");
}
