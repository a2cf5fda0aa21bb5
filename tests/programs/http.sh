#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# http.sh compile DIR; http.sh DIR: a web server in Java with a pool of threads,
# and clients in another Java: each request is answered, and counted once.
if [ "$1" = compile ]; then
	cat >"$2/Server.java" <<'JAVA'
import com.sun.net.httpserver.*;
import java.net.*;
import java.nio.file.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Server {
	static final AtomicLong count = new AtomicLong(), sum = new AtomicLong();

	static void answer(HttpExchange x) throws java.io.IOException {
		String text = new String(x.getRequestBody().readAllBytes());
		long n = Long.parseLong(text);
		byte[] reply = Long.toString(n * n).getBytes();

		count.incrementAndGet();
		sum.addAndGet(n);
		x.sendResponseHeaders(200, reply.length);
		x.getResponseBody().write(reply);
		x.close();
	}

	public static void main(String[] args) throws Exception {
		HttpServer server = HttpServer.create(
			new InetSocketAddress("127.0.0.1", 0), 50);
		ExecutorService pool = Executors.newFixedThreadPool(4);
		CountDownLatch end = new CountDownLatch(1);

		server.createContext("/square", Server::answer);
		server.createContext("/end", x -> {
			x.sendResponseHeaders(200, -1);
			x.close();
			end.countDown();
		});
		server.setExecutor(pool);
		server.start();
		Files.writeString(Path.of("port.new"),
			"" + server.getAddress().getPort());
		Files.move(Path.of("port.new"), Path.of("port"),
			StandardCopyOption.ATOMIC_MOVE);
		end.await();
		server.stop(1);
		pool.shutdown();
		Files.writeString(Path.of("served"), count + " " + sum + "\n");
	}
}
JAVA
	cat >"$2/Clients.java" <<'JAVA'
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.util.*;

public class Clients {
	static final int CLIENTS = 4, REQUESTS = 1500;
	static URI at;

	static String ask(HttpClient c, String where, String text)
			throws Exception {
		return c.send(HttpRequest.newBuilder(at.resolve(where))
			.POST(HttpRequest.BodyPublishers.ofString(text)).build(),
			HttpResponse.BodyHandlers.ofString()).body();
	}

	static void run(int client) {
		HttpClient c = HttpClient.newHttpClient();

		try {
			for (long i = client; i < REQUESTS; i += CLIENTS)
				if (!ask(c, "/square", "" + i).equals("" + i * i))
					throw new IllegalStateException("" + i);
		} catch (Exception e) {
			e.printStackTrace();
			System.exit(2);
		}
	}

	public static void main(String[] args) throws Exception {
		List<Thread> all = new ArrayList<>();

		at = URI.create("http://127.0.0.1:"
			+ Files.readString(Path.of("port")) + "/");
		for (int i = 0; i < CLIENTS; i++) {
			final int client = i;
			all.add(new Thread(() -> run(client)));
		}
		for (Thread t : all)
			t.start();
		for (Thread t : all)
			t.join();
		ask(HttpClient.newHttpClient(), "/end", "");
	}
}
JAVA
	exec javac -d "$2" "$2/Server.java" "$2/Clients.java"
fi
java -XX:-UsePerfData -Dsun.net.httpserver.nodelay=true -cp "$1" Server &
while [ ! -e port ]; do
	kill -0 $! || exit 1
	sleep 0.05
done
java -XX:-UsePerfData -cp "$1" Clients || exit 1
wait $! || exit 1
rm port
cat served
