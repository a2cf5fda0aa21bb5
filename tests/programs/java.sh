#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: java.sh compile DIRECTORY, java.sh DIRECTORY
#
# Java: threads that fill and empty maps, keep some of what they make, and wait
# for each other; the garbage collector's own stop them all the time.  Compiled
# before: whatever uses channels, as the compiler does, has a socket for them.
set -eu
if [ "$1" = compile ]; then
	cd "$2"
	cat >Heap.java <<'JAVA'
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;

public class Heap {
	static final int THREADS = 4, STEPS = 5, OBJECTS = 40000;
	static final CyclicBarrier barrier = new CyclicBarrier(THREADS);

	static String work(int number) throws Exception {
		Map<String, byte[]> map = new HashMap<>();
		ArrayDeque<List<Integer>> old = new ArrayDeque<>();
		ByteBuffer direct = ByteBuffer.allocateDirect(1 << 16);
		CRC32 crc = new CRC32();
		long x = number + 1;

		for (int step = 0; step < STEPS; step++) {
			for (int i = 0; i < OBJECTS; i++) {
				x = x * 6364136223846793005L + 1442695040888963407L;
				int key = (int) (x >>> 40) % 5003;
				byte[] value = new byte[64 + (int) (x >>> 54)];
				value[0] = (byte) i;
				byte[] before = map.put("key " + key, value);
				if (before != null)
					crc.update(before);
				if (i % 100 == 0) {
					List<Integer> list = new ArrayList<>();
					for (int k = 0; k < 50; k++)
						list.add(k * i);
					old.add(list);
				}
				if (old.size() > 2000)
					crc.update(old.poll().hashCode());
				direct.putLong((int) (x >>> 51) * 8, x);
			}
			barrier.await();
		}
		direct.rewind();
		crc.update(direct);
		return number + " " + map.size() + " " + crc.getValue();
	}

	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(THREADS);
		ScheduledExecutorService clock =
			Executors.newSingleThreadScheduledExecutor();
		AtomicLong ticks = new AtomicLong();
		List<Callable<String>> jobs = new ArrayList<>();
		List<String> lines = new ArrayList<>();

		clock.scheduleAtFixedRate(ticks::incrementAndGet, 1, 1,
			TimeUnit.MILLISECONDS);
		for (int i = 0; i < THREADS; i++) {
			int number = i;
			jobs.add(() -> work(number));
		}
		for (Future<String> f : pool.invokeAll(jobs))
			lines.add(f.get());
		while (ticks.get() < 20)
			Thread.sleep(5);
		clock.shutdown();
		pool.shutdown();
		try (PrintWriter out = new PrintWriter("result")) {
			for (String line : lines)
				out.println(line);
		}
	}
}
JAVA
	exec javac -J-Xmx128m Heap.java
fi
exec java -Xmx96m -XX:+UseG1GC -XX:ParallelGCThreads=3 -XX:ConcGCThreads=2 \
	-cp "$1" Heap
