# SPDX-License-Identifier: GPL-2.0-or-later
# Programs in a terminal, as somebody who sits in front of it, and TAP.
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

PATIENCE = 30
JOBCR = os.environ["top_builddir"] + "/jobcr"
count = 0
failed = 0


def ok(passed, what, more=""):
    global count, failed
    count += 1
    print("%s %d - %s" % ("ok" if passed else "not ok", count, what))
    if not passed:
        failed = 1
        for line in repr(more)[-1500:].split("\\n"):
            print("#", line)
    sys.stdout.flush()
    return passed


def finish():
    print("1..%d" % count)
    sys.exit(failed)


def jobcr(*args, **more):
    return subprocess.run([JOBCR] + list(args), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE, text=True, **more)


def until(condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    return None


class Terminal:
    """A program in a terminal of rows x columns."""

    def __init__(self, argv, rows=24, columns=80, before=None):
        self.seen = ""
        self.at = 0
        self.status = None
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))
        self.slave = slave
        self.settings = termios.tcgetattr(slave)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.closerange(3, 64)
            if before:
                before()
            os.execvp(argv[0], argv)
        self.fd = master

    def read(self, seconds=0.05):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            self.seen += data.decode("latin-1")
            return bool(data)
        return True

    def expect(self, pattern, patience=PATIENCE):
        """What matches in what was not looked at before; None: never."""
        end = time.monotonic() + patience
        while True:
            found = re.search(pattern, self.seen[self.at:], re.S)
            if found:
                self.at += found.end()
                return found
            if time.monotonic() > end:
                return None
            self.read()

    def send(self, text):
        os.write(self.fd, text.encode("latin-1"))

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, patience=PATIENCE):
        """Its exit status, negative: a signal; None: it goes on."""
        end = time.monotonic() + patience
        while self.status is None and time.monotonic() < end:
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        while select.select([self.fd], [], [], 0)[0] and self.read(0):
            pass
        return self.status

    def restored(self):
        """Are the settings of the terminal as they were?"""
        return termios.tcgetattr(self.slave) == self.settings

    def kill(self, sig=signal.SIGKILL):
        os.kill(self.pid, sig)
        return self.wait()


def job_of(terminal_name):
    """The newest job with this name."""
    for line in reversed(jobcr("list").stdout.splitlines()):
        if terminal_name in line:
            return line.split()[0]
    return None


def state_of(job):
    for line in jobcr("list").stdout.splitlines():
        words = line.split()
        if words and words[0] == job:
            return words[2]
    return None
