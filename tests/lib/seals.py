#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user may do to the manifest of a snapshot of theirs.

usage: seals strip MANIFEST             without its seal
       seals edit MANIFEST OLD NEW      a text of the same length, checksum right
       seals take MANIFEST OTHER        with the seal of another
       seals own MANIFEST SOCKET        with one of whoever runs this
"""
import hashlib
import struct
import subprocess
import sys

SEAL = 0x0002


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(tag, body):
    head = struct.pack("<II", tag, len(body))
    return head + struct.pack("<I", crc32c(head + body)) + body


def split(path):
    with open(path, "rb") as f:
        data = f.read()
    end = 12 + struct.unpack("<I", data[4:8])[0]
    return data[:end], data[end:]


def own_seal(manifest, socket):
    payload = b"jobcr seal 1\n" + hashlib.sha256(manifest).digest()
    made = subprocess.run(
        ["munge", "--socket", socket, "--restrict-uid", "0"],
        input=payload, capture_output=True, check=True)
    credential = made.stdout.strip()
    size = bytes([len(credential) & 0x7F | 0x80, len(credential) >> 7])
    return frame(SEAL, b"\x0a" + size + credential)


def main(how, path, *more):
    manifest, seal = split(path)
    if how == "strip":
        seal = b""
    elif how == "edit":
        old, new = (text.encode() for text in more)
        if len(old) != len(new) or manifest.count(old) != 1:
            sys.exit("no such text")
        manifest = frame(1, manifest[12:].replace(old, new))
    elif how == "take":
        seal = split(more[0])[1]
    elif how == "own":
        seal = own_seal(manifest, more[0])
    else:
        sys.exit(__doc__)
    with open(path, "wb") as f:
        f.write(manifest + seal)


main(*sys.argv[1:])
