#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# http.sh compile DIR; http.sh DIR: a web server in Java with a pool of threads,
# and clients in another Java: each request is answered, and counted once.  Half
# of them keep their connection, which must not need a second attempt.  That is
# HttpURLConnection: java.net.http (of Java 17, and of 25) loses an answer that
# comes when a connection has just left its pool, if only its selector's thread
# has to wait for a CPU then (JDK-8338569).  It has a connection per request.
if [ "$1" = compile ]; then
	cat >"$2/Server.java" <<'JAVA'
import com.sun.net.httpserver.*;
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.logging.*;

public class Server {
	static final AtomicLong count = new AtomicLong(), sum = new AtomicLong();

	// Why it closes a connection, and what it does not throw at us.
	static Handler log() throws IOException {
		Logger logger = Logger.getLogger("com.sun.net.httpserver");
		Handler all = new StreamHandler(new FileOutputStream("log"),
				new SimpleFormatter()) {
			public synchronized void publish(LogRecord r) {
				super.publish(r);
				flush();
			}
		};

		all.setLevel(Level.ALL);
		logger.setLevel(Level.ALL);
		logger.setUseParentHandlers(false);
		logger.addHandler(all);
		return all;
	}

	static void answer(HttpExchange x) throws IOException {
		String text = new String(x.getRequestBody().readAllBytes());
		long n = Long.parseLong(text);
		byte[] reply = Long.toString(n * n).getBytes();

		count.incrementAndGet();
		sum.addAndGet(n);
		if (x.getRequestURI().getPath().equals("/once"))
			x.getResponseHeaders().set("Connection", "close");
		x.sendResponseHeaders(200, reply.length);
		x.getResponseBody().write(reply);
		x.close();
	}

	public static void main(String[] args) throws Exception {
		Handler log = log();
		HttpServer server = HttpServer.create(
			new InetSocketAddress("127.0.0.1", 0), 50);
		ExecutorService pool = Executors.newFixedThreadPool(4);
		CountDownLatch end = new CountDownLatch(1);

		server.createContext("/square", Server::answer);
		server.createContext("/once", Server::answer);
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
		log.close();
		Files.delete(Path.of("log"));
		Files.writeString(Path.of("served"), count + " " + sum + "\n");
	}
}
JAVA
	cat >"$2/Clients.java" <<'JAVA'
import java.io.*;
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.util.*;

public class Clients {
	static final int CLIENTS = 4, REQUESTS = 1500;
	static URI at;

	static String askOnce(HttpClient c, String where, String text)
			throws Exception {
		return c.send(HttpRequest.newBuilder(at.resolve(where))
			.POST(HttpRequest.BodyPublishers.ofString(text)).build(),
			HttpResponse.BodyHandlers.ofString()).body();
	}

	static String ask(String where, String text) throws Exception {
		HttpURLConnection c = (HttpURLConnection)
			at.resolve(where).toURL().openConnection();

		c.setDoOutput(true);
		c.setFixedLengthStreamingMode(text.length());
		try (OutputStream out = c.getOutputStream()) {
			out.write(text.getBytes());
		}
		try (InputStream in = c.getInputStream()) {
			return new String(in.readAllBytes());
		}
	}

	static void run(int client) {
		HttpClient c = HttpClient.newHttpClient();

		try {
			for (long i = client; i < REQUESTS; i += CLIENTS) {
				String got = client % 2 == 0 ? ask("/square", "" + i)
					: askOnce(c, "/once", "" + i);
				if (!got.equals("" + i * i))
					throw new IllegalStateException(i + ": " + got);
			}
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
		askOnce(HttpClient.newHttpClient(), "/end", "");
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
if ! java -XX:-UsePerfData -Dsun.net.http.retryPost=false -cp "$1" Clients; then
	cat log
	exit 1
fi
wait $! || exit 1
rm port
cat served
