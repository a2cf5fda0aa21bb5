#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# node: timers, promises, Buffers, files by its pool of threads, and workers
# that share memory.
cat >main.js <<'JS'
'use strict';
const { Worker, isMainThread, parentPort, workerData } =
	require('worker_threads');
const { createHash, pbkdf2 } = require('crypto');
const { promisify } = require('util');
const fs = require('fs/promises');
const zlib = require('zlib');

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const digest = (x) => createHash('sha256').update(x).digest('hex');

// Numbers that refer to each other: garbage of all ages.
function churn(seed, steps) {
	const map = new Map();
	let x = seed;

	for (let i = 0; i < steps; i++) {
		x = (Math.imul(x, 1103515245) + 12345) >>> 0;
		const key = 'k' + (x >>> 8) % 4001;
		const last = map.get(key);
		map.set(key, { x, i, n: last ? last.n + 1 : 0, text: key + i });
	}
	return digest(JSON.stringify([...map.entries()]));
}

if (!isMainThread) {
	const cells = new Int32Array(workerData.shared);
	const result = churn(workerData.seed, 300000);

	Atomics.add(cells, 0, workerData.seed);
	Atomics.notify(cells, 0);
	// The main thread says when.
	Atomics.wait(cells, 1, 0, 60000);
	parentPort.postMessage(result);
	return;
}

async function worker(seed, shared) {
	return new Promise((done, failed) => {
		const w = new Worker(__filename,
			{ workerData: { seed, shared } });
		w.on('message', done);
		w.on('error', failed);
	});
}

async function timers() {
	let ticks = 0;
	const every = setInterval(() => ticks++, 2);
	const order = [];

	await Promise.all([30, 10, 20].map(async (n) => {
		await pause(n * 20);
		order.push(n);
	}));
	// However busy the machine is.
	while (ticks < 20)
		await pause(10);
	clearInterval(every);
	return [...order].sort().join();
}

async function files() {
	const all = [];

	for (let i = 0; i < 40; i++) {
		const data = Buffer.alloc(20000, `piece ${i} `);
		const packed = await promisify(zlib.gzip)(data);
		await fs.writeFile('scratch', packed);
		const back = await promisify(zlib.gunzip)(
			await fs.readFile('scratch'));
		if (!back.equals(data))
			throw new Error(`piece ${i} came back different`);
		all.push(back.subarray(i, i + 16));
	}
	await fs.unlink('scratch');
	return digest(Buffer.concat(all));
}

async function main() {
	const shared = new SharedArrayBuffer(8);
	const cells = new Int32Array(shared);
	const work = [1, 2, 3].map((n) => worker(n, shared));
	const keys = [1, 2, 3, 4].map((n) =>
		promisify(pbkdf2)('word', 'salt' + n, 60000, 32, 'sha512'));
	const parts = [...await Promise.all([timers(), files()]),
		churn(9, 200000)];

	parts.push(...(await Promise.all(keys)).map((k) => k.toString('hex')));
	while (Atomics.load(cells, 0) !== 6)
		await pause(5);
	Atomics.store(cells, 1, 1);
	Atomics.notify(cells, 1);
	parts.push(...await Promise.all(work));
	await fs.writeFile('result', parts.join('\n') + '\n');
}

main().catch((e) => { console.error(e); process.exit(1); });
JS
exec node main.js
