#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# sqlite3 fills a database in many transactions; its dump is what counts.
set -eu
i=0
{
	echo "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);"
	echo "CREATE INDEX by_name ON t (name);"
	while [ $i -lt 60 ]; do
		i=$((i + 1))
		echo "BEGIN; WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL"
		echo "SELECT x + 1 FROM n WHERE x < 1500) INSERT INTO t"
		echo "(name, value) SELECT 'row ' || ((x * 7919 + $i) % 10007),"
		echo "x * 0.5 + $i FROM n; COMMIT;"
	done
	echo "UPDATE t SET value = value * 2 WHERE id % 3 = 0;"
	echo "PRAGMA integrity_check; SELECT count(*), sum(value) FROM t;"
} >script
sqlite3 database <script >answers
sqlite3 database .dump | sha256sum >digest
rm -f database
