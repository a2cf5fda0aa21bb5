# SPDX-License-Identifier: GPL-2.0-or-later
# hang.py DIR: whatever looks into this directory hangs, as on the store of a
# file server that is gone.  A FUSE file system whose server never answers is
# mounted on it; the end of this program ends that with errors.
import os, signal, subprocess, sys

fd = os.open("/dev/fuse", os.O_RDWR)
made = subprocess.run(["mount", "-i", "-t", "fuse", "-o",
	"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % fd,
	"hang", sys.argv[1]], pass_fds=[fd])
if made.returncode:
	sys.exit(1)
print("hangs", flush=True)
signal.pause()
