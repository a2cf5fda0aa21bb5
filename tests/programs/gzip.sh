#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# gzip -9 of a large file, and back.
set -eu
seq 1 2000000 >large
gzip -9 -n large
gzip -dc large.gz | sha256sum >digest
