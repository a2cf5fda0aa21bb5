#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The seal of a snapshot: what its user may do to a manifest of theirs, and
# what becomes of it.
set -u
command -v munged >/dev/null || {
	echo "1..0 # SKIP needs munged (Debian: munge)"
	exit 0
}
die_at=$(cd "${top_builddir:-.}/tests/lib" && pwd)/die_at
. "${top_srcdir:-.}/tests/lib/jobs.sh"

seals=$(cd "${top_srcdir:-.}" && pwd)/tests/lib/seals.py
alice=52001
mkdir -m 0777 a
mkdir -m 0755 munge
dd if=/dev/urandom of=key bs=1 count=128 2>/dev/null
chmod 0400 key
munged=
munge_up() {
	munged --force --foreground --key-file="$tmp/key" \
		--socket="$tmp/munge/socket" --pid-file="$tmp/munge/pid" \
		--log-file="$tmp/munge/log" --seed-file="$tmp/munge/seed" \
		--num-threads=1 >/dev/null 2>&1 &
	munged=$!
	wait_for 10 test -S munge/socket
}
munge_down() {
	[ -z "$munged" ] || kill "$munged" 2>/dev/null
	[ -z "$munged" ] || wait "$munged" 2>/dev/null
	munged=
	rm -f munge/socket
}
leave() {
	munge_down
	clean_up
}
trap leave EXIT
alice() {
	as $alice "$top_builddir/jobcr" "$@"
}
edit() { # arguments of seals: as its user
	as $alice env PATH=/usr/bin:/bin python3 -B "$seals" "$@"
}

munge_up
result $? "munged runs"
printf 'MungeSocket = "%s"\nSeal = "all"\n' "$tmp/munge/socket" \
	>>"$JOBCR_CONF"
start_daemon
job=$(cd a && alice run --detach --output o.txt -- sh -c "$(count_on 300)")
wait_for 10 has_lines a/o.txt 20
alice checkpoint "$job" >log 2>&1 && alice checkpoint "$job" --kill >log 2>&1
result $? "a job is saved twice, the second time it ends"
store=$tmp/store/local/$job
one=$store/0000000001/manifest
two=$store/0000000002/manifest
cp -p "$two" kept

matches "$(jobcr verify "$job" 2>&1)" "*: whole and undamaged" \
	"root sees that the seal is right"
matches "$(alice verify "$job" 2>&1)" \
	"*whole and undamaged (its seal can be checked by root only)" \
	"its user sees that the rest is"

# refused WHAT: neither verified nor restored, and the manifest is as it was.
refused() { # what text
	alice restore "$job" --detach >log 2>&1
	is "$?" 5 "$1: it is not restored"
	matches "$(cat log)" "*manifest: *$2*jobcr verify --seal*" \
		"with the reason, and what to do"
	jobcr verify "$job" >log 2>&1
	is "$?" 5 "nor is it called undamaged"
	cp -p kept "$two"
}
edit strip "$two"
alice verify "$job" >log 2>&1
result $? "a manifest without seal is none that is damaged"
refused "one without a seal" "it has no seal"
edit edit "$two" request rEquest
refused "one that was edited" "it is not of this snapshot"
edit take "$two" "$one"
refused "one with another's seal" "it is not of this snapshot"
edit own "$two" "$tmp/munge/socket"
refused "one that its user has sealed" "it is uid $alice's, not root's"
edit strip "$two"
printf 'jobcr' >more && cat more >>"$two"
alice restore "$job" --detach >log 2>&1
is "$?" 5 "something else behind it is damage"
cp -p kept "$two"

# The cluster gets another key.
munge_down
cp key key.was
dd if=/dev/urandom of=other bs=1 count=128 2>/dev/null
chmod 0600 key && cat other >key && chmod 0400 key
munge_up
refused "one of before another key" "munge: Invalid cred"
alice verify "$job" --seal >log 2>&1
is "$?" 6 "a user cannot seal it"
steps=0
while step=$("$die_at" $steps "$top_builddir/jobcr" verify "$job" --seal); do
	cmp -s kept "$two" || jobcr verify "$job" >log 2>&1
	result $? "root is killed at its $step: the seal is the old or the new"
	cp -p kept "$two"
	steps=$((steps + 1))
done
[ "$steps" -ge 5 ]
result $? "and so at each of $steps steps"
jobcr verify "$job" --seal >log 2>&1 && jobcr verify "$job" >log 2>&1
result $? "root can, who trusts it"
munge_down
chmod 0600 key && cat key.was >key && chmod 0400 key
jobcr verify "$job" >log 2>&1
cp -p kept "$two"
alice restore "$job" --detach >log 2>&1
matches "$? $(cat log)" "6 *its seal: munge: *does munged run?*" \
	"without munge nobody can tell: no restore, and no word of damage"
matches "$(cat log)" "*Seal = \"none\"*" "who has none is told what to set"
munge_up
step=$("$die_at" $((steps - 2)) "$top_builddir/jobcr" verify "$job" --seal)
[ "$step" = rename ] && [ -e "$two.new" ]
result $? "somebody was killed who was about to seal it"
munge_down
alice restore "$job" --detach >log 2>&1 &
asker=$!
sleep 1
munge_up
wait $asker
result $? "munge is away for a second: then it goes on"
munge_down
alice checkpoint "$job" >log 2>&1
matches "$? $(cat log)" "6 *seal: munge: *does munged run?*Seal = \"none\"*" \
	"without it no checkpoint is made"
matches "$(alice list)" "*$job *running*" "and the job runs on"

# munged goes when the job stands still.
before=$(lines a/o.txt)
munge_up
stop_daemon
echo 'Timeout = 2' >>"$JOBCR_CONF"
steps checkpoint "$job" --kill
step_to publish
munge_down
exec 9>&-
wait "$asker"
matches "$? $(cat err)" "8 *Timeout*" \
	"without munge until Timeout it is not saved"
wait_for 10 has_lines a/o.txt $((before + 10))
result $? "and goes on"
sed -i '$d' "$JOBCR_CONF"
munge_up
steps checkpoint "$job" --kill
step_to publish
munge_down
exec 9>&-
sleep 1
kill -0 "$asker" 2>/dev/null
result $? "who saves it waits for munge"
munge_up
wait "$asker"
result $? "and with it it is saved"
start_daemon
newest=$(find "$store" -name manifest | sort | tail -n 1)
edit strip "$newest"
alice export "$job" -o a/x.tar >log 2>&1
result $? "one without a seal can be exported"
jobcr verify "$job" --seal >log 2>&1 && jobcr verify "$job" >log 2>&1
result $? "or be sealed"
edit strip "$newest"
jobcr delete "$job" --force >log 2>&1
jobcr import a/x.tar --user $alice --as local-77 >log 2>&1 &&
	alice restore local-77 --detach >log 2>&1
result $? "root imports and so seals it: it is restored"
: >a/go
wait_for 20 test -e a/end && alice wait local-77 >log 2>&1
is "$?" 6 "and ends as undisturbed"

# A copy that is nearer than the store's has a seal of its own.
stop_daemon
mkdir -p fast/local
chmod 1777 fast/local
printf 'FastDir = "%s"\n' "$tmp/fast" >>"$JOBCR_CONF"
start_daemon
rm -f a/go a/end a/o.txt
job=$(cd a && alice run --detach --output o.txt -- sh -c "$(count_on 300)")
wait_for 10 has_lines a/o.txt 20
alice checkpoint "$job" --leave-running >log 2>&1
wait_for 20 test -e "store/local/$job/0000000001/manifest"
result $? "a snapshot is in the fast directory, and in the store"
alice kill "$job" KILL && alice wait "$job" >log 2>&1
edit strip "$tmp/fast/local/$job/0000000001/manifest"
alice restore "$job" --detach --json >out 2>log
is "$? $(grep -c '"fast": *true' out)" "0 0" \
	"if only the copy has no seal the store's is restored"
: >a/go
wait_for 20 test -e a/end && alice wait "$job" >log 2>&1
is "$?" 6 "and ends as undisturbed"

# Seal = "auto": what a node has had once it is not without.
stop_daemon
munge_down
rm -f run/munged.rec
echo 'Seal = "auto"' >>"$JOBCR_CONF"
job=$(jobcr run --detach -- sleep 300)
jobcr checkpoint "$job" >log 2>&1
result $? "a node that has no munged saves without a seal"
munge_up
jobcr run -- true
munge_down
jobcr checkpoint "$job" >log 2>&1
matches "$? $(cat log)" "6 *seal: munge: *" \
	"one that has had one does not, while it is away"
rm run/munged.rec
jobcr checkpoint "$job" --kill >log 2>&1
result $? "until that is forgotten"
finish
