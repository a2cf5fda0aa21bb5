# SPDX-License-Identifier: GPL-2.0-or-later
"""Records in their frames, as jobcr-images(5) has them."""
import struct

HEAD = 12


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


def first(data):
    """Where the first frame ends."""
    return HEAD + struct.unpack_from("<I", data, 4)[0]


def edited(data, old, new):
    """The first record has other bytes of the same length in it."""
    tag, = struct.unpack_from("<I", data)
    body, rest = data[HEAD:first(data)], data[first(data):]
    assert len(old) == len(new) and old in body
    return frame(tag, body.replace(old, new)) + rest
