#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nio.sh compile DIR; nio.sh DIR: channels of java.nio, a selector, which has
# a pair of sockets to be woken, and a server and a client over a Unix socket.
if [ "$1" = compile ]; then
	cat >"$2/Nio.java" <<'JAVA'
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.security.*;
import java.util.*;

public class Nio {
	static final int QUESTIONS = 40000;

	static void ask(SocketAddress address) {
		try (SocketChannel c = SocketChannel.open(address)) {
			ByteBuffer b = ByteBuffer.allocate(8);
			for (int i = 0; i < QUESTIONS; i++) {
				b.clear();
				b.putLong(i).flip();
				while (b.hasRemaining())
					c.write(b);
				b.clear();
				while (b.hasRemaining())
					c.read(b);
				if (b.getLong(0) != i)
					throw new IllegalStateException("" + i);
			}
		} catch (Exception e) {
			e.printStackTrace();
			System.exit(2);
		}
	}

	// False: the other side has closed it.
	static boolean answer(SocketChannel s, ByteBuffer b, MessageDigest md)
			throws Exception {
		if (s.read(b) < 0)
			return false;
		if (b.hasRemaining())
			return true;
		b.flip();
		md.update(b.duplicate());
		while (b.hasRemaining())
			s.write(b);
		b.clear();
		return true;
	}

	public static void main(String[] args) throws Exception {
		Path path = Path.of("socket");
		SocketAddress address = UnixDomainSocketAddress.of(path);
		ServerSocketChannel server =
			ServerSocketChannel.open(StandardProtocolFamily.UNIX);
		Selector selector = Selector.open();
		MessageDigest md = MessageDigest.getInstance("SHA-256");
		ByteBuffer b = ByteBuffer.allocate(8);
		boolean open = true;

		server.bind(address);
		server.configureBlocking(false);
		server.register(selector, SelectionKey.OP_ACCEPT);
		Thread client = new Thread(() -> ask(address));
		client.start();
		while (open) {
			selector.select();
			for (SelectionKey k : selector.selectedKeys()) {
				if (k.isAcceptable()) {
					SocketChannel s = server.accept();
					s.configureBlocking(false);
					s.register(selector, SelectionKey.OP_READ);
				} else {
					open = answer((SocketChannel) k.channel(),
						b, md);
				}
			}
			selector.selectedKeys().clear();
		}
		client.join();
		Files.writeString(Path.of("result"),
			HexFormat.of().formatHex(md.digest()) + "\n");
		Files.delete(path);
	}
}
JAVA
	exec javac -d "$2" "$2/Nio.java"
fi
exec java -XX:-UsePerfData -cp "$1" Nio
