# SPDX-License-Identifier: GPL-2.0-or-later
# sandbox.py UID WHAT COMMAND...: as that user, without a right that somebody
# has taken away; WHAT: nnp, seccomp (and nnp), limits.
import ctypes
import os
import resource
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
uid = int(sys.argv[1])


def prctl(*args):
    if libc.prctl(*args, *[0] * (5 - len(args))) != 0:
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))


def seccomp():
    # chmod(2) fails, all else is allowed.
    prog = [(0x20, 0, 0, 0), (0x15, 0, 1, 90),
            (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *p) for p in prog))
    fprog = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(prog), ctypes.addressof(code)))
    prctl(22, 2, fprog)


what = sys.argv[2].split(",")
if "limits" in what:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
if "nnp" in what or "seccomp" in what:
    prctl(38, 1)
if "seccomp" in what:
    seccomp()
os.execvp(sys.argv[3], sys.argv[3:])
