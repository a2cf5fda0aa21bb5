#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# multiprocessing: a pool, a manager that listens, pipes that are pairs of
# sockets, and descriptors sent from one process to another.
cat >main.py <<'PYTHON'
import hashlib, multiprocessing, os, socket
from multiprocessing import reduction

def work(n):
	digest = hashlib.sha256(b"%d" % n)
	for _ in range(20000):
		digest.update(digest.digest())
	return digest.hexdigest()

def reader(connection, count):
	"""Each file comes as a descriptor; what it holds goes back."""
	for _ in range(count):
		fd = reduction.recv_handle(connection)
		with os.fdopen(fd, "rb") as f:
			connection.send(f.read())

def adder(shared, lock, times):
	for n in range(times):
		with lock:
			shared["sum"] = shared["sum"] + n

def send_files(results):
	here, there = multiprocessing.Pipe()
	child = multiprocessing.Process(target=reader, args=(there, 300))
	child.start()
	for n in range(300):
		with open("file", "w+b") as f:
			f.write(b"%d " % n * 100)
			f.seek(n)
			reduction.send_handle(here, f.fileno(), child.pid)
		results.append(hashlib.sha256(here.recv()).hexdigest())
	child.join()
	os.unlink("file")

def main():
	results = []
	with multiprocessing.Pool(3) as pool:
		pending = pool.map_async(work, range(120))
		send_files(results)
		results += pending.get()
	with multiprocessing.Manager() as manager:
		shared, lock = manager.dict(sum=0), manager.Lock()
		adders = [multiprocessing.Process(target=adder,
			args=(shared, lock, 400)) for _ in range(2)]
		for a in adders:
			a.start()
		for a in adders:
			a.join()
		results.append(shared["sum"])
	with open("result", "w") as f:
		f.write("\n".join(map(str, results)) + "\n")

if __name__ == "__main__":
	multiprocessing.set_start_method("fork")
	main()
	print("done")
PYTHON
TMPDIR=$PWD exec /usr/bin/python3 main.py
