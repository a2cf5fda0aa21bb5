#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# A program that knows nothing of jobcr: heat flowing through a plate, numpy
# in several threads.  usage: compute.py STEPS SIZE THREADS
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy

steps, size, threads = map(int, sys.argv[1:4])
plate = numpy.zeros((size, size))
plate[0, :] = 100.0
plate += numpy.random.default_rng(seed=7).random((size, size))
after = plate.copy()
bounds = numpy.linspace(1, size - 1, threads + 1).astype(int)


def flow(part):
    a, b = bounds[part], bounds[part + 1]
    after[a:b, 1:-1] = (plate[a - 1:b - 1, 1:-1] + plate[a + 1:b + 1, 1:-1]
                        + plate[a:b, :-2] + plate[a:b, 2:]) / 4


with ThreadPoolExecutor(threads) as pool:
    for step in range(1, steps + 1):
        for _ in range(10):
            list(pool.map(flow, range(threads)))
            plate, after = after, plate
        print(f"step {step}: mean {plate.mean():.12f}", flush=True)

print("result", hashlib.sha256(plate.tobytes()).hexdigest())
