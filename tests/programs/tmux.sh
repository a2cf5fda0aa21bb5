#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# tmux: a server with a shell in a terminal of its own, a client in another
# terminal, which has handed that to the server, and clients that type into
# the shell and wait until it has done what they typed.
TMUX_TMPDIR=$PWD TERM=xterm SHELL=/bin/sh
export TMUX_TMPDIR TERM SHELL
t() {
	tmux -L test -f /dev/null "$@"
}

t new-session -d -s work -x 80 -y 24 'exec sh' || exit 1
# Its input must not end, or the shell's would.
mkfifo keys
script -qec 'tmux -L test attach -t work' /dev/null <>keys >/dev/null &
i=0
while [ "$(t list-clients | wc -l)" != 1 ] && [ $i -lt 500 ]; do
	sleep 0.02
	i=$((i + 1))
done
t list-clients -F '#{client_width}x#{client_height} #{client_session}'
i=1
while [ $i -le 120 ]; do
	t send-keys -t work "seq $i ${i}00 | sha256sum >>typed" Enter \
		"tmux -L test wait-for -S done$i" Enter
	t wait-for done$i
	i=$((i + 1))
done
t display-message -p -t work '#{pane_width}x#{pane_height} #{pane_dead}'
t kill-server
wait
rm -rf keys "tmux-$(id -u)"
