#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# asyncio: its loop wakes itself over a pair of sockets; a server and clients
# that talk over a Unix socket, and datagrams between two with names.
exec /usr/bin/python3 - <<'PYTHON'
import asyncio, hashlib, os, socket

async def serve(reader, writer):
	while line := await reader.readline():
		answer = hashlib.sha256(line).hexdigest()
		writer.write(answer.encode() + b"\n")
		await writer.drain()
	writer.close()

async def client(number):
	reader, writer = await asyncio.open_unix_connection("server")
	digest = hashlib.sha256()
	for step in range(2000):
		writer.write(b"%d %d\n" % (number, step))
		# Some wait in the sockets when others are answered.
		if step % 7 == 6:
			for _ in range(7):
				digest.update(await reader.readline())
		if step % 50 == 0:
			await asyncio.sleep(0.05)
	for _ in range(2000 % 7):
		digest.update(await reader.readline())
	writer.close()
	return digest.hexdigest()

class Echo(asyncio.DatagramProtocol):
	def connection_made(self, transport):
		self.transport = transport

	def datagram_received(self, data, address):
		self.transport.sendto(data[::-1], address)

class Asker(asyncio.DatagramProtocol):
	def __init__(self):
		self.answers = asyncio.Queue()

	def datagram_received(self, data, address):
		self.answers.put_nowait((data, address))

async def datagrams(loop):
	await loop.create_datagram_endpoint(Echo, local_addr="echo",
		family=socket.AF_UNIX)
	transport, asker = await loop.create_datagram_endpoint(Asker,
		local_addr="asker", remote_addr="echo", family=socket.AF_UNIX)
	digest = hashlib.sha256()
	for step in range(2000):
		transport.sendto(b"question %d" % step)
		data, address = await asker.answers.get()
		digest.update(data + address.encode())
	return digest.hexdigest()

async def main():
	loop = asyncio.get_running_loop()
	server = await asyncio.start_unix_server(serve, "server")
	work = [client(n) for n in range(5)] + [datagrams(loop)]
	pool = [loop.run_in_executor(None, sum, range(n)) for n in range(50)]
	results = await asyncio.gather(*work) + await asyncio.gather(*pool)
	server.close()
	with open("result", "w") as f:
		f.write("\n".join(map(str, results)) + "\n")
	for name in "server", "echo", "asker":
		if os.path.exists(name):
			os.unlink(name)

asyncio.run(main())
print("done")
PYTHON
