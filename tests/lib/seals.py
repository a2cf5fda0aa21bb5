#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user may do to the manifest of a snapshot of theirs.

usage: seals strip MANIFEST             without its seal
       seals edit MANIFEST OLD NEW      a text of the same length, checksum right
       seals take MANIFEST OTHER        with the seal of another
       seals own MANIFEST SOCKET        with one of whoever runs this
"""
import hashlib
import subprocess
import sys

import frames

SEAL = 0x0002


def split(path):
    with open(path, "rb") as f:
        data = f.read()
    end = frames.first(data)
    return data[:end], data[end:]


def own_seal(manifest, socket):
    payload = b"jobcr seal 1\n" + hashlib.sha256(manifest).digest()
    made = subprocess.run(
        ["munge", "--socket", socket, "--restrict-uid", "0"],
        input=payload, capture_output=True, check=True)
    credential = made.stdout.strip()
    size = bytes([len(credential) & 0x7F | 0x80, len(credential) >> 7])
    return frames.frame(SEAL, b"\x0a" + size + credential)


def main(how, path, *more):
    manifest, seal = split(path)
    if how == "strip":
        seal = b""
    elif how == "edit":
        old, new = (text.encode() for text in more)
        if len(old) != len(new) or manifest.count(old) != 1:
            sys.exit("no such text")
        manifest = frames.edited(manifest, old, new)
    elif how == "take":
        seal = split(more[0])[1]
    elif how == "own":
        seal = own_seal(manifest, more[0])
    else:
        sys.exit(__doc__)
    with open(path, "wb") as f:
        f.write(manifest + seal)


main(*sys.argv[1:])
