#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A database of many processes with shared memory, semaphores and sockets, and
# clients that change it: nothing is lost and nothing is done twice.
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
PATH=$bin:$PATH
PGHOST=$PWD PGUSER=db PGDATABASE=postgres
export PGHOST PGUSER PGDATABASE
initdb -D data -U db --auth=trust --no-sync >/dev/null 2>&1 || echo "no initdb"
postgres -D data -F -c listen_addresses= -c unix_socket_directories="$PWD" \
	-c logging_collector=off >/dev/null 2>&1 &
server=$!
until psql -qc 'select 1' >/dev/null 2>&1; do
	sleep 0.05
done
pgbench -i -q -s 2 >/dev/null 2>&1
pgbench -n -c 4 -j 2 -t 500 --random-seed=7 >/dev/null 2>&1 ||
	echo "pgbench failed"
psql -Atc 'select count(*), sum(delta) from pgbench_history'
psql -Atc 'select sum(abalance) from pgbench_accounts'
psql -Atc 'select sum(tbalance) from pgbench_tellers'
kill -INT $server
wait
rm -rf data
