#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# ssh-agent: it listens, looks who connects, and keeps a key in memory.
set -e
ssh-keygen -q -t ed25519 -N '' -C test -f key </dev/null
eval "$(ssh-agent -a "$PWD/agent")" >/dev/null
# It removes its socket when it has got the signal.
end_agent() {
	kill "$SSH_AGENT_PID"
	while [ -e agent ]; do
		sleep 0.02
	done
}
trap end_agent EXIT
ssh-add -q key
ssh-keygen -y -f key >expected
rm key
i=0
while [ $i -lt 60 ]; do
	ssh-add -L >now
	i=$((i + 1))
	sleep 0.02
done
awk '{ print $1 }' now >result
cut -d' ' -f1,2 now >now.short
cut -d' ' -f1,2 expected >expected.short
cmp now.short expected.short >>result && echo same >>result
rm -f key.pub expected* now now.short
