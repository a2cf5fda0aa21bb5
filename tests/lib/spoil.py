# SPDX-License-Identifier: GPL-2.0-or-later
# spoil.py FILE DISK: a bit in the middle of a file is another on its disk,
# an image mounted by a loop device; the page cache keeps the file as it was.
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
os.lseek(f, os.fstat(f).st_size // 2 & ~4095, os.SEEK_SET)
page = os.read(f, 4096)
m = mmap.mmap(os.open(sys.argv[2], os.O_RDWR), 0)
at = m.find(page)
m[at] ^= 1
