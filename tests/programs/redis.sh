#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A database server and the many connections of its clients: each command is
# carried out once.
port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no \
	--logfile /dev/null &
until redis-cli -p "$port" ping >/dev/null 2>&1; do
	sleep 0.02
done
redis-benchmark -p "$port" -c 30 -n 40000 -t incr,lpush -q >/dev/null ||
	echo "the benchmark failed"
redis-cli -p "$port" get counter:__rand_int__
redis-cli -p "$port" llen mylist
redis-cli -p "$port" shutdown nosave
wait
