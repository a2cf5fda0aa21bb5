#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# node: a server and a client over a Unix socket, and a child that is spoken
# to over a pair of sockets.
cat >main.js <<'JS'
'use strict';
const net = require('net');
const fs = require('fs');
const { fork } = require('child_process');
const { createHash } = require('crypto');

const digest = (x) => createHash('sha256').update(String(x)).digest('hex');

if (process.argv[2] === 'child') {
	process.on('message', (m) => {
		if (m === null)
			process.exit(0);
		process.send(digest(m));
	});
	return;
}

const all = createHash('sha256');

function talkToChild() {
	const child = fork(__filename, ['child']);
	let asked = 0;

	child.on('message', (m) => {
		all.update(m);
		child.send(++asked < 8000 ? asked : null);
	});
	child.on('exit', () =>
		fs.writeFileSync('result', all.digest('hex') + '\n'));
	child.send(asked);
}

const server = net.createServer((s) => s.pipe(s)).listen('socket', () => {
	const client = net.connect('socket');
	let got = 0;

	client.on('data', (data) => {
		all.update(data);
		got += data.length;
		if (got < 120000) {
			client.write('abcdef');
			return;
		}
		client.end();
		server.close();
		talkToChild();
	});
	client.write('abcdef');
});
JS
UV_USE_IO_URING=0 exec node main.js
