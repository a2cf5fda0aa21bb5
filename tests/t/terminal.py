# SPDX-License-Identifier: GPL-2.0-or-later
# Terminals of local jobs: what a shell in one can do, and who looks at it.
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.environ["top_srcdir"] + "/tests/lib")
from terminal import *

SLEEP = "sh -c 'echo u\"\"p; exec sleep 1000'\n"
BASH = ["bash", "--norc", "--noprofile", "-i"]
os.environ["PS1"] = "> "
os.environ["TERM"] = "dumb"


def run(*argv, name="shell", options=(), **more):
    return Terminal([JOBCR, "run", "--name", name, "--pty", *options, "--",
                     *argv], **more)


def test_exit():
    t = run("sh", "-c", "tty; stty size; echo hello; exit 7", rows=33,
            columns=77)
    status = t.wait()
    ok(status == 7, "the exit status is the job's", (status, t.seen))
    ok("/dev/pts/0" in t.seen, "its terminal has a name", t.seen)
    ok("33 77" in t.seen, "and the size of the caller's", t.seen)
    ok("hello" in t.seen, "all it wrote is there, though it ended at once",
       t.seen)
    ok(t.restored(), "the caller's terminal is as it was")
    t = run("sh", "-c", "kill -USR1 $$")
    ok(t.wait() == -signal.SIGUSR1, "so is a signal that ends it", t.status)


def test_shell():
    t = run(*BASH)
    ok(t.expect("> "), "a shell comes up", t.seen)
    ok("job control" not in t.seen, "and has job control", t.seen)
    t.send("echo u\"\"p; cat\n")
    t.expect("up\r\n")
    t.send("echoed\n")
    ok(t.expect("echoed\r\nechoed"), "a command reads keys", t.seen)
    t.send("\x1a")
    ok(t.expect(r"Stopped.*> "), "ctrl-Z stops it", t.seen)
    t.send("jobs; echo rc=$?\n")
    ok(t.expect(r"Stopped +cat.*rc=0"), "and not the shell", t.seen)
    t.send("fg\n")
    t.expect("cat\r\n")
    t.send("again\n")
    ok(t.expect("again\r\nagain"), "fg goes on with it", t.seen)
    t.send("\x04")
    ok(t.expect("> "), "ctrl-D ends its input", t.seen)
    t.send(SLEEP)
    t.expect("up\r\n")
    t.send("\x03")
    ok(t.expect(r"\^C.*> "), "ctrl-C interrupts a command", t.seen)
    t.send(SLEEP)
    t.expect("up\r\n")
    t.send("\x1c")
    ok(t.expect(r"Quit.*> "), "ctrl-\\ makes it quit", t.seen)
    t.send("sleep 1000 & bg=$!; echo $bg started\n")
    t.expect("[0-9]+ started")
    t.send("echo /dev/tty works >/dev/tty\n")
    ok(t.expect("[\r\n]/dev/tty works"), "/dev/tty can be opened", t.seen)
    t.send("until [ \"$(stty size)\" = '41 99' ]; do :; done; echo now=$?\n")
    t.expect("done")
    t.resize(41, 99)
    ok(t.expect("now=0"), "a new size is told", t.seen)
    t.send("exit 3\n")
    ok(t.wait() == 3, "exit ends it", t.seen)
    ok(t.restored(), "the caller's terminal is as it was")


def test_attach():
    r = jobcr("run", "--detach", "--pty", "--name", "kept", "--", *BASH)
    job = r.stdout.strip()
    ok(r.returncode == 0, "a shell in the background", r.stdout)
    t = Terminal([JOBCR, "attach", job])
    ok(t.expect("> "), "what it wrote before is shown", t.seen)
    t.send("echo one $((1+1))\n")
    ok(t.expect("one 2"), "keys arrive", t.seen)
    t.send("\x1dd")
    ok(t.wait() == 0, "ctrl-] d leaves it", t.seen)
    ok(t.restored() and "detached" in t.seen, "and says so", t.seen)
    a = Terminal([JOBCR, "attach", job])
    b = Terminal([JOBCR, "attach", job, "--read-only"])
    ok(a.expect("one 2") and b.expect("one 2"), "several can look",
       a.seen)
    a.send("echo two $((1+1))\n")
    ok(a.expect("two 2") and b.expect("two 2"), "at the same", b.seen)
    b.send("echo three $((1+1))\n")
    a.send("echo four $((2+2))\n")
    a.expect("four 4")
    ok(b.expect("four 4") and "three 2" not in b.seen,
       "who is to look only cannot type", b.seen)
    a.kill()
    b.send("\x03")
    ok(b.wait() in (0, -signal.SIGINT), "a reader leaves by ctrl-C")
    ok(state_of(job) == "running", "attachers that are killed change nothing",
       jobcr("list").stdout)
    a = Terminal([JOBCR, "attach", job])
    a.expect("four 4")
    b = Terminal([JOBCR, "attach", "--steal", "--detach-key", "ctrl-A", job])
    ok(b.expect("four 4"), "one takes it")
    ok(a.wait() == 0 and "taken" in a.seen, "from the other", a.seen)
    b.send("\x01\x01\x01d")
    ok(b.wait() == 0, "another key to leave by", b.seen)
    a = Terminal([JOBCR, "attach", job],
                 before=lambda: (os.setgroups([]), os.setgid(65534),
                                 os.setuid(65534)))
    ok(a.wait() == 6 and "another user" in a.seen, "not for another user",
       a.seen) if os.environ.get("HAVE_DAEMON") else None
    a = Terminal([JOBCR, "attach", job])
    a.expect("four 4")
    a.send("exit 5\n")
    ok(a.wait() == 5, "the exit status is the job's", a.seen)
    r = jobcr("attach", job)
    ok(r.returncode != 0, "it cannot be attached to afterwards", r.stdout)
    job = jobcr("run", "--detach", "--", "sleep", "1000").stdout.strip()
    r = jobcr("attach", job)
    ok(r.returncode != 0 and "no terminal" in r.stdout,
       "nor can a job without a terminal", r.stdout)
    jobcr("kill", job, "KILL")


def test_flood():
    job = jobcr("run", "--detach", "--pty", "--", "sh", "-c",
                "head -c 100000000 /dev/zero | tr '\\0' x; echo end"
                ).stdout.strip()
    r = jobcr("wait", job)
    ok(r.returncode == 0, "100 MB that nobody reads do not stop a job",
       r.stdout)
    job = jobcr("run", "--detach", "--pty", "--", "sh", "-c",
                "read x; head -c 20000000 /dev/zero | tr '\\0' x; echo end"
                ).stdout.strip()
    t = Terminal([JOBCR, "attach", job])
    t.send("\n")
    t.expect("xxxx")
    os.kill(t.pid, signal.SIGSTOP)
    r = jobcr("wait", job)
    ok(r.returncode == 0, "nor does one who looks and takes nothing",
       r.stdout)
    os.kill(t.pid, signal.SIGCONT)
    t.wait()
    t = run("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' y; echo end")
    t.wait()
    ok(t.seen.count("y") == 5000000 and "end" in t.seen,
       "one who takes all gets all", len(t.seen))
    r = subprocess.run([JOBCR, "run", "--pty", "--", "cat"],
                       input="from a pipe\n", stdout=subprocess.PIPE,
                       timeout=PATIENCE, text=True)
    ok(r.returncode == 0 and r.stdout.count("from a pipe") == 2,
       "the end of a pipe is an end of input", r.stdout)


def save(job, *how):
    r = jobcr("checkpoint", job, *how)
    ok(r.returncode == 0, "a checkpoint " + " ".join(how), r.stdout)


def test_restore():
    t = run(*BASH, name="saved")
    t.expect("> ")
    t.send("sleep 1000 & echo u\"\"p\n")
    t.expect("up")
    t.send("cat\n")
    t.expect("cat\r\n")
    t.send("before\n")
    t.expect("before\r\nbefore")
    t.send("\x1a")
    t.expect("Stopped")
    job = job_of("saved")
    save(job, "--leave-running")
    t.send("echo still $((1+1)) here\n")
    ok(t.expect("still 2 here"), "goes by unnoticed", t.seen)
    t.send("echo typed $((2+2)) ahead")
    t.expect("ahead")
    save(job, "--kill")
    ok(t.wait() == 75, "one that ends it says so", (t.status, t.seen))
    ok(t.restored(), "the caller's terminal is as it was")
    t = Terminal([JOBCR, "restore", job], rows=50, columns=101)
    t.send("\n")
    ok(t.expect("typed 4 ahead"), "the line is edited on", t.seen)
    t.send("jobs\n")
    ok(t.expect("Running +sleep"), "a job in the background runs on", t.seen)
    ok(t.expect("Stopped +cat") or t.expect("Stopped"),
       "one that is stopped is so still", t.seen)
    t.send("tty; stty size; ps -o tty= -p $$\n")
    ok(t.expect("/dev/pts/0"), "the terminal has its name", t.seen)
    ok(t.expect("50 101"), "and the size of the new one", t.seen)
    t.send("fg %2\n")
    t.expect("cat\r\n")
    t.send("after\n")
    ok(t.expect("after\r\nafter"), "fg goes on with it", t.seen)
    t.send("\x03")
    t.expect("> ")
    t.send("kill %1; wait; exit 4\n")
    ok(t.wait() == 4, "and ends with its exit status", t.seen)
    ok(t.restored(), "the caller's terminal is as it was")


SCREEN = """
import curses, sys
def main(s):
    key = 'none'
    while True:
        s.erase()
        s.addstr(2, 3, 'key %s size %dx%d' % ((key,) + s.getmaxyx()))
        s.refresh()
        key = s.getkey()
        if key == 'q':
            sys.exit(9)
curses.wrapper(main)
"""


def test_screen():
    os.environ["TERM"] = "xterm"
    r = jobcr("run", "--detach", "--pty", "--name", "screen", "--", "python3",
              "-c", SCREEN)
    job = r.stdout.strip()
    t = Terminal([JOBCR, "attach", job])
    ok(t.expect("size 24x80"), "a full screen program", t.seen)
    t.send("a")
    ok(t.expect("key a|a"), "takes single keys", t.seen)
    t.send("\x1dd")
    t.wait()
    save(job, "--kill")
    r = jobcr("restore", job, "--detach")
    ok(r.returncode == 0, "is restored in the background", r.stdout)
    t = Terminal([JOBCR, "attach", job], rows=30, columns=90)
    ok(t.expect("size 30x90"), "draws itself anew in another size", t.seen)
    t.send("b")
    ok(t.expect("b"), "takes single keys still", t.seen)
    t.send("q")
    ok(t.wait() == 9, "and ends", t.seen)
    os.environ["TERM"] = "dumb"


INPUT = r"""
import fcntl, os, sys, termios, time
out = open('/dev/tty', 'w')
if sys.argv[1] == 'raw':
    t = termios.tcgetattr(0)
    t[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(0, termios.TCSANOW, t)
before = termios.tcgetattr(0)
fcntl.ioctl(0, termios.TIOCEXCL)
print('up', file=out, flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
got = []
if sys.argv[1] == 'raw':
    got.append(os.read(0, 4096))
else:
    for i in range(4):
        got.append(os.read(0, 4096))
print('got', got, 'same', before == termios.tcgetattr(0), os.ttyname(0),
      'own', os.getpgrp() == os.tcgetpgrp(0), file=out, flush=True)
try:
    os.open('/dev/pts/0', os.O_RDWR)
    print('not exclusive', file=out, flush=True)
except OSError:
    print('exclusive', file=out, flush=True)
"""


def test_input():
    user = None
    for mode, want in (
            ("raw", r"\[b'one\\ntwo\\x04\\x04thr'\]"),
            ("lines", r"\[b'one\\n', b'two', b'', b'three\\n'\]")):
        go = os.getcwd() + "/go-" + mode
        t = run("python3", "-c", INPUT, mode, go, name="input-" + mode)
        t.expect("up")
        t.send("one\ntwo\x04\x04thr")
        if mode == "lines":
            t.expect("thr")
        job = job_of("input-" + mode)
        save(job, "--leave-running")
        save(job, "--kill")
        t.wait()
        t = Terminal([JOBCR, "restore", job])
        open(go, "w").close()
        if mode == "lines":
            t.send("x\x7fee\n")
        found = t.expect("got (.*) same True /dev/pts/0 own True")
        ok(found and re.search(want, found.group(1)),
           "input that was not read is there, " + mode,
           found.group(1) if found else t.seen)
        ok(t.expect("exclusive") and "not exclusive" not in t.seen or
           os.getuid() == 0, "exclusive use is kept")
        t.wait()


NEVER_OPENED = "import os, time; os.open('/dev/ptmx', 2); time.sleep(1000)"
OPENED = "import pty, time; pty.openpty(); print('up'); time.sleep(1000)"


def test_refused():
    job = jobcr("run", "--detach", "--pty", "--", "python3", "-c",
                NEVER_OPENED).stdout.strip()
    r = until(lambda: (lambda r: r.returncode and r)(
        jobcr("checkpoint", job)))
    ok(r and r.returncode == 3 and "/dev/pts/1" in r.stdout,
       "a terminal that nobody has opened is refused by name", r and r.stdout)
    jobcr("kill", job, "KILL")
    t = Terminal([JOBCR, "run", "--name", "node", "--", "python3", "-c",
                  OPENED])
    t.expect("up")
    r = jobcr("checkpoint", job_of("node"))
    ok(r.returncode == 3 and "not the job's own" in r.stdout and
       "--pty or --detach" in r.stdout,
       "in a terminal of the node others are the node's, too", r.stdout)
    jobcr("kill", job_of("node"), "KILL")
    t.wait()


# Its answers go to a file: what it runs has a terminal of the job's own.
DRIVER = r"""
import os, pty, re, sys, time
count, go, answers = int(sys.argv[1]), sys.argv[2], sys.argv[3]
children = []
for i in range(count):
    pid, master = pty.fork()
    if pid == 0:
        os.execvp('sh', ['sh', '-c',
                  'read a; echo got $a; read b; tty; echo then $b'])
    os.write(master, b'typed %d\nhalf' % i)
    children.append((pid, master))
for pid, master in children:
    seen = b''
    while b'got' not in seen:
        seen += os.read(master, 100)
open(answers, 'w').write('up\n')
while not os.path.exists(go):
    time.sleep(0.01)
with open(answers, 'a') as out:
    for pid, master in children:
        os.write(master, b'way\n')
        seen = b''
        try:
            while True:
                seen += os.read(master, 100)
        except OSError:
            pass
        os.waitpid(pid, 0)
        print(re.search(rb'/dev/pts/\d+', seen).group().decode(),
              b'then halfway' in seen, file=out)
"""


def test_own():
    # The last one comes to a terminal of the node.
    for n, (options, first) in enumerate(((("--detach",), 0),
                                          (("--detach", "--pty"), 1),
                                          (("--detach",), 0))):
        go = os.getcwd() + "/go%d" % n
        answers = os.getcwd() + "/answers%d" % n
        job = jobcr("run", *options, "--", "python3", "-c", DRIVER, "3", go,
                    answers).stdout.strip()
        up = until(lambda: os.path.exists(answers) and
                   open(answers).read() == "up\n")
        ok(up, "programs in terminals of the job's own")
        save(job, "--kill")
        t = None
        if n < 2:
            r = jobcr("restore", job, "--detach")
            ok(r.returncode == 0, "are restored", r.stdout)
        else:
            t = Terminal([JOBCR, "restore", job])
        open(go, "w").close()
        want = "up\n" + "".join("/dev/pts/%d True\n" % i
                                for i in range(first, first + 3))
        until(lambda: open(answers).read() == want)
        ok(open(answers).read() == want, "each has its name and its input",
           open(answers).read())
        if t:
            ok(t.wait() == 0, "and it ends", t.seen)
    job = jobcr("run", "--detach", "--", "sh", "-c",
                "stat -c %d /dev/pts >pts; "
                "until [ -e more ]; do sleep 0.02; done; "
                "stat -c %d /dev/pts >then; exec sleep 1000").stdout.strip()
    until(lambda: os.path.exists("pts") and open("pts").read())
    ok(open("pts").read() != "%d\n" % os.stat("/dev/pts").st_dev,
       "a job without terminals has its own /dev/pts")
    ok(sum(" /dev/pts " in line for line in open("/proc/mounts")) == MOUNTED,
       "nothing of that is mounted on the node")
    save(job, "--kill")
    t = Terminal([JOBCR, "restore", job])
    open("more", "w").close()
    until(lambda: os.path.exists("then") and open("then").read())
    ok(open("then").read() != "%d\n" % os.stat("/dev/pts").st_dev,
       "also when it is restored in a terminal of the node")
    jobcr("kill", job, "KILL")
    t.wait()


# A shell that is driven has a stopped command and one in the foreground.
SHELL = r"""
import os, pty, sys, time
go, answers = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])

def expect(text):
    seen = b''
    while text not in seen:
        seen += os.read(master, 512)
    return seen

expect(b'> ')
os.write(master, b'sh -c "echo a\'\'b; exec sleep 1000"\n')
expect(b'ab')
os.write(master, b'\x1a')
expect(b'> ')
os.write(master, b'sh -c "echo c\'\'d; exec sleep 2000"\n')
expect(b'cd')
open(answers, 'w').write('up\n')
while not os.path.exists(go):
    time.sleep(0.01)
with open(answers, 'a') as out:
    os.write(master, b'\x03')
    print('^C' in expect(b'> ').decode(), file=out)
    os.write(master, b'jobs\n')
    print('Stopped' in expect(b'> ').decode(), file=out)
    os.write(master, b'fg; echo rc=$?\n')
    expect(b'sleep 1000"\r\n')
    # The shell tells which command it is before it gives it the terminal.
    while os.tcgetpgrp(master) == pid:
        time.sleep(0.01)
    os.write(master, b'\x03')
    expect(b'> ')
    os.write(master, b'tty; exit 5\n')
    print('/dev/pts/0' in expect(b'exit\r\n').decode(), file=out)
    print(os.waitpid(pid, 0)[1] >> 8, file=out)
"""


def test_driven():
    go, answers = os.getcwd() + "/go", os.getcwd() + "/answers"
    job = jobcr("run", "--detach", "--", "python3", "-c", SHELL, go,
                answers).stdout.strip()
    ok(until(lambda: os.path.exists(answers) and
             open(answers).read() == "up\n"), "a shell is driven by a program")
    save(job, "--leave-running")
    save(job, "--kill")
    r = jobcr("restore", job, "--detach")
    ok(r.returncode == 0, "both are restored", r.stdout)
    open(go, "w").close()
    want = "up\nTrue\nTrue\nTrue\n5\n"
    until(lambda: open(answers).read() == want)
    ok(open(answers).read() == want, "ctrl-C, jobs and fg do what they did",
       open(answers).read())


MOUNTED = sum(" /dev/pts " in line for line in open("/proc/mounts"))


def main():
    for name in sys.argv[1:]:
        globals()["test_" + name]()
    finish()


main()
