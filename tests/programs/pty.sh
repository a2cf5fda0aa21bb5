#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Python drives shells in terminals of their own, line by line.
exec /usr/bin/python3 - <<'PYTHON'
import os, pty, select

def start():
	pid, master = pty.fork()
	if pid == 0:
		os.execvp('sh', ['sh'])
	return pid, master

def expect(master, text):
	seen = b''
	while not seen.endswith(text):
		seen += os.read(master, 512)
	return seen

shells = [start() for _ in range(3)]
with open('result', 'wb') as out:
	for pid, master in shells:
		os.write(master, b'stty -echo; PS1=; echo rea""dy\n')
		expect(master, b'ready\r\n')
	for n in range(1500):
		for pid, master in shells:
			os.write(master, b'a=$(( (a * 31 + %d) %% 65521 )); '
				 b'echo $a .\n' % n)
			out.write(expect(master, b'.\r\n'))
	for pid, master in shells:
		os.write(master, b'tty; exit 3\n')
		try:
			while True:
				out.write(os.read(master, 512))
		except OSError:
			pass
		out.write(b'%d\n' % os.waitpid(pid, 0)[1])
PYTHON
