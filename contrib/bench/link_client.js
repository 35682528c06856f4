'use strict';

/*
 * A WebSocket client for link.js that costs next to nothing: frames are made
 * once and sent many at a time by one write, answers are counted by the heads
 * of their frames.  A library would be slower than the servers it is to keep
 * busy.
 */

const net = require('net');

function frame(text)
{
	const body = Buffer.from(text), key = Buffer.from([ 17, 42, 99, 7 ]);
	const head = body.length < 126 ? Buffer.from([ 0x81,
	    0x80 | body.length ]) : body.length < 65536 ? Buffer.alloc(4) :
	    Buffer.alloc(10);

	if (head.length > 2) {
		head[0] = 0x81;
		head[1] = 0x80 | (head.length === 4 ? 126 : 127);
		head.writeUIntBE(body.length, head.length === 4 ? 2 : 4,
		    head.length === 4 ? 2 : 6);
	}
	for (let i = 0; i < body.length; i++)
		body[i] ^= key[i % 4];
	return Buffer.concat([ head, key, body ]);
}

class Client {
	constructor(port, path)
	{
		this.skip = 0;		/* of the frame under way */
		this.rest = Buffer.alloc(0);
		this.onframe = () => {};	/* its first bytes */
		this.open = false;
		this.socket = net.connect(port, '127.0.0.1');
		this.socket.setNoDelay(true);
		this.socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
		    'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
		    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
		    'Sec-WebSocket-Version: 13\r\n\r\n');
		this.socket.on('data', (data) => this.take(data));
		this.closed = new Promise((done) =>
		    this.socket.on('close', done));
	}

	take(data)
	{
		let at = 0;

		if (this.rest.length > 0) {
			data = Buffer.concat([ this.rest, data ]);
			this.rest = Buffer.alloc(0);
		}
		if (!this.open) {
			at = data.indexOf('\r\n\r\n') + 4;
			if (at === 3) {
				this.rest = data;
				return;
			}
			this.open = true;
		}
		for (;;) {
			const step = Math.min(this.skip, data.length - at);
			this.skip -= step;
			at += step;
			if (at === data.length)
				return;
			/* a head, and as much of the text as tells what it is */
			const n = data.length - at < 2 ? 0 :
			    data[at + 1] & 0x7f;
			const head = n === 126 ? 4 : n === 127 ? 10 : 2;
			const need = head + Math.min(n, 8);
			if (data.length - at < Math.max(need, 2)) {
				this.rest = data.subarray(at);
				return;
			}
			this.skip = n === 126 ? data.readUInt16BE(at + 2) :
			    n === 127 ? data.readUIntBE(at + 4, 6) : n;
			at += head;
			const first = data.subarray(at, at + Math.min(n, 8));
			if (n === 1 && first[0] === 0x32)
				this.socket.write(frame('3'));
			else
				this.onframe(first);
		}
	}

	/* Wait for the frame that begins so (at most 8 bytes). */
	until(beginning)
	{
		return new Promise((done) => this.onframe = (first) => {
			if (String(first).startsWith(beginning))
				done();
		});
	}

	/*
	 * n messages, "window" of them under way: one for each answer, or all
	 * at once when all have been answered.
	 */
	pump(text, answer, n, window, burst)
	{
		const one = frame(text), all = Buffer.concat(
		    Array(window).fill(one));
		let sent = window, got = 0;

		return new Promise((done, fail) => {
			this.onframe = (first) => {
				if (!String(first).startsWith(answer))
					fail(new Error(`answered ${first}`));
				else if (++got === n)
					done();
				else if (!burst && sent < n) {
					sent++;
					this.socket.write(one);
				} else if (burst && got === sent) {
					sent += window;
					this.socket.write(all);
				}
			};
			this.socket.write(all);
		});
	}

	end()
	{
		this.socket.destroy();
		return this.closed;
	}
}

module.exports = { Client, frame };
