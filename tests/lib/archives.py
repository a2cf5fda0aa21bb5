# SPDX-License-Identifier: GPL-2.0-or-later
"""
usage: archives.py ARCHIVE DIRECTORY, or archives.py --damage N ARCHIVE DIR

Archives that nobody would get by jobcr export, made of one that is good.
Prints the name of each and what its refusal must say; with --damage, N with
one wrong bit or a wrong end, whose refusals may say anything.
"""
import gzip
import io
import os
import sys
import tarfile

import frames


def load(path):
    with tarfile.open(path) as tar:
        return [(m, tar.extractfile(m).read()) for m in tar.getmembers()]


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def write(directory, name, word, members):
    with tarfile.open(os.path.join(directory, name), "w",
                      format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    print(name, word)


def raw(directory, name, word, data):
    with open(os.path.join(directory, name), "wb") as f:
        f.write(data)
    print(name, word)


def by_hand(path, out):
    good = load(path)
    top = good[0][0].name.split("/")[0]
    manifest, meta, pages = good[0], good[1], good[2]
    job = top.rsplit(".", 1)[0].encode()

    def variant(name, word, members):
        write(out, name, word, members)

    def extra(name, word, info, data=b""):
        variant(name, word, good[:2] + [(info, data)] + good[2:])

    variant("order", "manifest", [meta, manifest, pages])
    variant("late-meta", "missing\\|not have\\|no file", [manifest, pages, meta])
    variant("empty", "cut off\\|cannot be read\\|begin with", [])
    variant("no-meta", "missing\\|no file", [manifest, pages])
    variant("no-pages", "missing", [manifest, meta])
    variant("only-manifest", "missing", [manifest])
    variant("twice", "twice", good + [pages])
    variant("two-manifests", "no file", [manifest, manifest] + good[1:])
    for name, path_ in (("up", top + "/../jobcr-escaped"),
                        ("above", "../jobcr-escaped"),
                        ("absolute", "/tmp/jobcr-escaped"),
                        ("root", "/jobcr-escaped"),
                        ("elsewhere", "other/here.meta"),
                        ("below", top + "/x/y"),
                        ("bare", "jobcr-escaped")):
        info, data = member(path_, b"x")
        extra(name, "outside\\|no file", info, data)
    extra("dot", "no file", *member(top + "/.", b"x"))
    extra("more", "no file", *member(top + "/more", b"x"))
    extra("kept", "no file", *member(top + "/kept", b"x"))
    extra("long", "too long", *member(top + "/" + "n" * 600, b"x"))
    extra("terminal", "evil", *member("x\033]0;evil\007", b"x"))
    for name, kind in (("symlink", tarfile.SYMTYPE),
                       ("hardlink", tarfile.LNKTYPE)):
        extra(name, "plain file", *member(
            pages[0].name, type=kind, linkname="/etc/passwd"))
        extra(name + "-in", "plain file", *member(
            pages[0].name, type=kind, linkname=meta[0].name))
    for name, kind in (("fifo", tarfile.FIFOTYPE), ("device", tarfile.CHRTYPE),
                       ("block", tarfile.BLKTYPE), ("folder", tarfile.DIRTYPE)):
        extra(name, "plain file", *member(pages[0].name, type=kind))
    variant("short", "bytes", [manifest, meta, member(
        pages[0].name, pages[1][:-4096])])
    variant("more-pages", "bytes", [manifest, meta, member(
        pages[0].name, pages[1] + b"\0" * 4096)])
    variant("zero-pages", "checksum\\|hash", [manifest, meta, member(
        pages[0].name, b"\0" * len(pages[1]))])
    variant("other-meta", "checksum\\|SHA", [manifest, member(
        meta[0].name, meta[1][:500] + b"!" + meta[1][501:]), pages])
    variant("holes", "holes\\|bytes\\|damaged", [manifest, meta, (member(
        pages[0].name, b"1\n0\n512\n".ljust(512, b"\0") + b"x" * 512,
        pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                     "GNU.sparse.name": pages[0].name,
                     "GNU.sparse.realsize": str(len(pages[1]))}))])
    variant("big-manifest", "limit", [member(
        manifest[0].name, b"\0" * (17 << 20))])
    variant("no-manifest", "manifest", [member(
        manifest[0].name, b"\0" * 100), meta, pages])
    variant("submit", "limit", good + [member(
        top + "/submit", b"#" * (5 << 20))])
    variant("submit-twice", "twice", good + 2 * [member(
        top + "/submit", b"#")])
    for name, new in (("job-up", b"../../x"), ("job-root", b"/etc/ab"),
                      ("job-odd", b"a b c d")):
        if len(job) == len(new):
            variant(name, "cannot be the id", [member(
                manifest[0].name,
                frames.edited(manifest[1], job, new))] + good[1:2])
    variant("name-up", "name of a stream", [member(
        manifest[0].name, frames.edited(
            manifest[1], b"here.meta", b"../.meta/"))] + good[1:])

    # Sizes that no file can have.
    with open(path, "rb") as f:
        whole = f.read()
    at = 512 + (len(manifest[1]) + 511) // 512 * 512
    header = bytearray(whole[at:at + 512])
    header[124:136] = b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    raw(out, "huge", "bytes\\|damaged\\|size", whole[:at] + header
        + whole[at + 512:])
    raw(out, "gzip", "no tar file\\|cannot be read\\|damaged\\|nrecognized",
        gzip.compress(whole))
    raw(out, "nothing", "cut off\\|cannot be read\\|begin with\\|nrecognized",
        b"")
    raw(out, "noise", "damaged\\|cannot be read\\|nrecognized\\|tar",
        bytes((i * 7919 >> 3) & 255 for i in range(100000)))


def damage(count, path, out):
    with open(path, "rb") as f:
        whole = f.read()
    for i in range(count):
        at = len(whole) * i // count
        name = "damaged-%d" % i
        if i % 3 == 2:
            data = whole[:at]
        else:
            data = bytearray(whole)
            # Headers are a small part of it, and the most fragile.
            if i % 3 == 0:
                at = (at * 31 + i) % 2048
            data[at] ^= 1 << i % 8
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)
        print(name)


if __name__ == "__main__":
    if sys.argv[1] == "--damage":
        damage(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        by_hand(sys.argv[1], sys.argv[2])
