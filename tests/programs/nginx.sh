#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A web server of a master and two workers, and clients that open a connection
# for each request, or keep it; at last as many as they can in two seconds.
port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
mkdir -p files
head -c 300000 /dev/zero >files/large
echo small >files/small
cat >nginx.conf <<CONF
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log /dev/null;
events { worker_connections 100; }
http {
	access_log off;
	client_body_temp_path $PWD/body;
	proxy_temp_path $PWD/proxy;
	fastcgi_temp_path $PWD/fastcgi;
	uwsgi_temp_path $PWD/uwsgi;
	scgi_temp_path $PWD/scgi;
	server {
		listen 127.0.0.1:$port;
		root $PWD/files;
	}
}
CONF
/usr/sbin/nginx -p "$PWD" -c "$PWD/nginx.conf" -e /dev/null &
server=$!
until ab -q -n 1 "http://127.0.0.1:$port/small" >/dev/null 2>&1; do
	sleep 0.02
done
told() {
	ab -q "$@" 2>/dev/null |
		grep -E '^(Complete requests|Failed requests|HTML transferred):'
}
told -c 8 -n 15000 "http://127.0.0.1:$port/small"
told -k -c 8 -n 30000 "http://127.0.0.1:$port/small"
told -c 4 -n 4000 "http://127.0.0.1:$port/large"
# It says so of whatever went wrong, and only then.
if command -v wrk >/dev/null 2>&1; then
	wrk -t 2 -c 16 -d 2s --timeout 30s "http://127.0.0.1:$port/small" \
		>wrk || echo "wrk failed"
	grep -E 'Socket errors|Non-2xx' wrk
	awk '/ requests in / && $1 > 100 { print "wrk was served" }' wrk
	rm wrk
fi
kill -QUIT $server
wait
rm -rf nginx.conf body proxy fastcgi uwsgi scgi
