#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Four threads of numpy: products of matrices, in whole numbers and real ones.
exec /usr/bin/python3 - <<'PYTHON'
import hashlib, threading
import numpy

def work(n):
	rng = numpy.random.default_rng(n)
	m = rng.integers(-3, 4, size=(120, 120))
	x = rng.standard_normal((120, 120)) / 16
	power, y = m.copy(), x.copy()
	for step in range(150):
		power = power @ m % 1000003
		y = numpy.tanh(y @ x) + x
	return hashlib.sha256(power.tobytes() + y.tobytes()).hexdigest()

results = [None] * 4
def run(n):
	results[n] = work(n)
threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
for t in threads:
	t.start()
for t in threads:
	t.join()
with open("result", "w") as f:
	f.write("\n".join(results) + "\n")
print("done")
PYTHON
