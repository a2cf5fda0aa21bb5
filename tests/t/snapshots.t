#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Snapshots in a store, by the commands: shown, verified, damaged, in the
# wrong place, seen by somebody else.  What is damaged names itself, the exit
# status is 5, and nothing is started.
set -u
if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP checkpoints need root"
	exit 0
fi
top_builddir=${top_builddir:-.}
JOBCR_LIBEXEC=${JOBCR_LIBEXEC:-$top_builddir}
jobcr=$top_builddir/jobcr
tmp=$(mktemp -d /tmp/jobcr-snapshots.XXXXXX) || exit 1
chmod 755 "$tmp"
JOBCR_CONF=$tmp/jobcr.conf
export JOBCR_LIBEXEC JOBCR_CONF
id=
finish() {
	[ -z "$id" ] || "$jobcr" kill "$id" KILL >/dev/null 2>&1
	[ -z "$id" ] || timeout 10 "$jobcr" wait "$id" >/dev/null 2>&1
	rm -rf "$tmp"
}
trap finish EXIT
. "${top_srcdir:-.}/tests/lib/flip.sh"
mkdir "$tmp/store" "$tmp/run"
cat >"$JOBCR_CONF" <<EOF
StoreDir = "$tmp/store"
RunDir = "$tmp/run"
NodeName = "node-a"
EOF

n=0
fail=0
ok() { # status message
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		fail=1
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/said"
	fi
}
# Run a command; true when it exits with a status and says a word.
says() { # status word command...
	want=$1
	word=$2
	shift 2
	timeout 60 "$@" >"$tmp/said" 2>&1
	got=$?
	[ "$got" = "$want" ] && grep -q -- "$word" "$tmp/said" && return 0
	echo "exit status $got" >>"$tmp/said"
	return 1
}
lines() {
	wc -l <"$tmp/out"
}
# Wait until the job has written more than a number of lines.
grows() {
	tries=0
	while [ "$(lines)" -le "$1" ]; do
		tries=$((tries + 1))
		[ "$tries" -le 500 ] || return 1
		sleep 0.02
	done
}

: >"$tmp/out"
: >"$tmp/said"
id=$("$jobcr" run --detach --output "$tmp/out" -- /bin/sh -c \
	'i=0; while :; do i=$((i + 1)); echo $i; sleep 0.02; done')
grows 3
ok $? "a job runs"
says 0 "generation 1" "$jobcr" checkpoint "$id" --kill
ok $? "it is checkpointed and ends"
job=$tmp/store/local/$id
gen=$job/0000000001

says 0 "Generation: 1" "$jobcr" show "$id"
ok $? "show tells of it"
says 0 '"generation":1' "$jobcr" show "$id" --json
ok $? "as JSON too"
says 0 RegsRecord "$jobcr" show "$id" --records
ok $? "and every record"
# kinds ARGUMENT...: which kinds of records are shown.
kinds() {
	"$jobcr" show "$@" --json 2>&1 | grep -o '"record": *"[A-Za-z]*"' |
		grep -o '[A-Z][A-Za-z]*' | sort -u | xargs
}
[ "$(kinds "$id.1" --records=mm)" = MmRecord ]
ok $? "or those of one kind: $(kinds "$id.1" --records=mm)"
[ "$(kinds "$id.1" --records VMARECORD,fd,thread_policy,vma)" = \
	"FdRecord ThreadPolicyRecord VmaRecord" ]
ok $? "or of several: $(kinds "$id.1" --records VMARECORD,fd,thread-policy)"
all=$(kinds "$id.1" --records)
[ "$(kinds --records "$id.1")" = "$all" ] &&
	[ "$(kinds --records=all "$id")" = "$all" ] &&
	[ "$(kinds --records fd "$id.1")" = FdRecord ] &&
	[ "$(kinds --dir "$gen" --records fd)" = FdRecord ]
ok $? "the id of the job may come behind it, too"
says 0 VmaRecord "$jobcr" show "$id" --records=Vma && ! grep Regs "$tmp/said"
ok $? "as text, too"
says 2 MemoryPolicy "$jobcr" show "$id" --records vma,vmas &&
	grep -q '"vmas"' "$tmp/said" && ! grep -q Processes "$tmp/said"
ok $? "for one that is not there all are named"
says 2 "no such kind" "$jobcr" show "$id" --records=
ok $? "for none, too"
says 2 "no such kind" "$jobcr" show "$id" --records=seal &&
	! grep -qw Seal "$tmp/said"
ok $? "and for one that is in no part"
says 0 "whole and undamaged" "$jobcr" verify "$id"
ok $? "verify finds it whole"
says 0 "whole and undamaged" "$jobcr" verify --dir "$gen"
ok $? "by its directory too"
says 4 "no snapshot" "$jobcr" verify local-9999
ok $? "a job without snapshots has none"

before=$(lines)
for f in manifest node-a.meta node-a.pages.0; do
	at=$(($(wc -c <"$gen/$f") / 2))
	flip "$gen/$f" $at
	says 5 "$f" "$jobcr" verify "$id"
	ok $? "verify names the damaged $f"
	says 5 "$f" "$jobcr" restore "$id" --detach
	ok $? "a restore from a damaged $f is refused by name"
	flip "$gen/$f" $at
done
mv "$gen" "$job/0000000007"
says 5 "generation 1, not of 7" "$jobcr" restore "$id" --detach
ok $? "a generation that was renamed is refused"
mv "$job/0000000007" "$gen"
mkdir -m 700 "$tmp/store/local/local-77"
cp -a "$gen" "$tmp/store/local/local-77/"
says 5 "of job $id, not of local-77" "$jobcr" verify local-77
ok $? "so is one that was copied from another job"
rm -r "$tmp/store/local/local-77"
mv "$gen" "$gen.new"
says 4 "no complete snapshot" "$jobcr" restore "$id" --detach
ok $? "one that is not published is none"
mv "$gen.new" "$gen"
if command -v setpriv >/dev/null 2>&1; then
	says 6 "ermission" setpriv --reuid 65534 --regid 65534 \
		--clear-groups "$jobcr" verify "$id"
	ok $? "another user cannot read it"
else
	n=$((n + 1))
	echo "ok $n # SKIP no setpriv"
fi
[ "$(lines)" = "$before" ]
ok $? "all this time nothing of the job has run"
says 0 restored "$jobcr" restore "$id" --detach && grows "$before"
ok $? "put back as it was it is restored and goes on"
count=$(lines)
head -n "$count" "$tmp/out" >"$tmp/head"
seq "$count" | cmp -s - "$tmp/head"
ok $? "without a gap in what it wrote"

says 0 "snapshot 1 of job $id is kept" "$jobcr" keep "$id.1"
ok $? "the first one is to be kept"
says 4 "generation 7" "$jobcr" keep "$id.7"
ok $? "but none that is not there"
for i in 1 2 3; do
	says 0 "generation" "$jobcr" checkpoint "$id" --leave-running
done
[ -f "$gen/manifest" ] && [ ! -e "$job/0000000002" ] &&
	[ -f "$job/0000000004/manifest" ]
ok $? "it stays where newer ones have replaced the second: $(ls "$job")"
says 0 "Kept: " "$jobcr" show "$id.1"
ok $? "show says so"
says 0 '"kept":true' "$jobcr" show "$id.1" --json
ok $? "as JSON too"
says 1 "to be kept: --force" "$jobcr" delete "$id" --generation 1
ok $? "it is not deleted by mistake"
tries=0
until says 0 "kept until that is taken back" "$jobcr" history "$id" ||
	[ "$tries" -gt 500 ]; do
	tries=$((tries + 1))
	sleep 0.02
done
grep -q "kept until that is taken back" "$tmp/said"
ok $? "the history tells of it"
says 0 "kept no more" "$jobcr" keep "$id.1" --off &&
	says 0 "1 snapshot deleted" "$jobcr" delete "$id" --generation 1
ok $? "taken back, it goes"
says 2 "keep JOBID" "$jobcr" keep
ok $? "keep wants a job"

# What a job calls itself commands no terminal: controls of 7 and of 8 bits.
"$jobcr" kill "$id" KILL >/dev/null 2>&1
timeout 10 "$jobcr" wait "$id" >/dev/null 2>&1
evil=$(printf 'a\302\233b\033c\342\200\256d')
: >"$tmp/out"
id=$("$jobcr" run --detach --output "$tmp/out" --name "$evil" -- /bin/sh -c \
	"printf '$evil' >/proc/\$\$/comm; i=0
	while :; do i=\$((i + 1)); echo \$i; sleep 0.02; done")
grows 3
raw=
for command in list "list --json" "checkpoint $id --leave-running" \
	"checkpoint $id --leave-running --json" "show $id" "show $id --json" \
	"show $id --records" "show $id --records --json" \
	"diff $id.1 $id.2" "diff $id.1 $id.2 --json" "status $id" \
	"status $id --json" "history $id" "history $id --json" \
	"core $id -o $tmp/core"; do
	# shellcheck disable=SC2086 # words
	timeout 60 "$jobcr" $command >"$tmp/said" 2>&1
	if [ ! -s "$tmp/said" ] ||
		LC_ALL=C grep -qaP '\x1b|\xc2[\x80-\x9f]|\xe2\x80\xae' \
			"$tmp/said"; then
		raw="$raw $command;"
	fi
done
[ -z "$raw" ]
ok $? "the name of a process or job commands no terminal:$raw"
"$jobcr" list --json | python3 -c 'import json, sys
sys.exit(not any("a\x9bb\x1bc\u202ed" in j["name"] for j in json.load(sys.stdin)))'
ok $? "as JSON it is as it was"
echo "1..$n"
exit $fail
