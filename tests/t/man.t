#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual pages are well formed, know every command, and quote the messages
# that the programs say.
set -u
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
n=0
fail=0

# result LINES TEXT: each line is one failure.
result() {
	n=$((n + 1))
	if [ -z "$1" ]; then
		echo "ok $n - $2"
	else
		fail=1
		echo "not ok $n - $2"
		printf '%s\n' "$1" | sed 's/^/# /'
	fi
}

if command -v man >/dev/null && command -v groff >/dev/null; then
	bad=$(for page in "$top_srcdir"/man/*.[1-8] "$top_builddir"/man/*.5; do
		LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 \
			-Z "$page" 2>&1 >/dev/null | sed "s,^,${page##*/}: ,"
	done)
	result "$bad" "no page draws a warning from groff"
else
	n=$((n + 1))
	echo "ok $n # SKIP no man or groff"
fi

missing=$(sed -n 's/^message \([A-Za-z]*\) .*/\1/p' \
	"$top_srcdir"/images/*.proto | while read -r message; do
	grep -q "^\.SS $message$" "$top_builddir/man/jobcr-images.5" ||
		echo "$message"
done)
result "$missing" "jobcr-images(5) describes every message of the schema"

page=$(sed 's/\\-/-/g; s/\\fR//g; s/\\fB//g; s/\\fP//g' "$top_srcdir/man/jobcr.1")
missing=$("$top_builddir/jobcr" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' |
	sort -u | while read -r command; do
	printf '%s\n' "$page" | grep -q "^\.SS $command" || echo "$command"
done)
result "$missing" "jobcr(1) describes every command of the help"

command -v python3 >/dev/null || {
	echo "1..$n"
	exit $fail
}
missing=$(python3 - "$top_srcdir" <<'PY'
import glob, re, sys
top = sys.argv[1]
source = ""
for path in glob.glob(top + "/src/**/*.c", recursive=True) + \
        glob.glob(top + "/storage/*.c") + glob.glob(top + "/slurm-plugin/*.c"):
    source += open(path).read()
# What the compiler joins is one text; what is filled in may be anything.
source = re.sub(r'"\s*"', "", source)
source = re.sub(r"%[-0-9.*]*l*[sudm]", "\0", source)
page = open(top + "/man/jobcr.7").read().split(".SH TROUBLESHOOTING")[1]
page = page.split(".SH SEE ALSO")[0]
found = re.findall(r'^\.TP\n\.B "(.*)"$', page, re.M)
if not found:
    print("no messages are quoted")
for message in found:
    for part in message.replace("\\-", "-").split("..."):
        part = part.strip()
        if part.strip(":,; ") and part.strip(": ") not in source:
            print("%s: %s" % (message, part))
PY
)
result "$missing" "every message that jobcr(7) explains is in the source"

missing=$(python3 - "$top_srcdir" <<'PY'
import re, sys
top = sys.argv[1]
keys = re.findall(r'CFG_(?:STR|INT|BOOL)(?:_LIST)?\("(\w+)"',
                  open(top + "/src/conf/conf.c").read())
page = open(top + "/man/jobcr.conf.5").read()
for key in keys:
    if not re.search(r"^\.BR %s " % key, page, re.M):
        print(key)
PY
)
result "$missing" "jobcr.conf(5) describes every key"
echo "1..$n"
exit $fail
