#!/bin/sh
# Starts a private PostgreSQL cluster in a folder, prints "ready", and stops it at the end of
# standard input: when the test process ends, however it ends. A folder with data, such as a base
# backup, is used as it is.
#
#   cluster.sh PROGRAMS FOLDER PORT [SETTING=VALUE]...
set -eu
programs=$1 folder=$2 port=$3
shift 3
[ -d "$folder/data" ] ||
  "$programs/initdb" -D "$folder/data" -U presence -A trust -E UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 ||
  { cat "$folder/initdb.log" >&2; exit 1; }
{
  echo "listen_addresses = '127.0.0.1'"
  echo "port = $port"
  echo "unix_socket_directories = '$folder'"
  echo "fsync = off"
  echo "max_connections = 400"
  echo "shared_buffers = 64MB"
  echo "autovacuum_naptime = 10s"
  for setting in "$@"; do echo "$setting"; done
} >>"$folder/data/postgresql.conf"
"$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -w -s start || { cat "$folder/log" >&2; exit 1; }
echo ready
# A signal to the group of the tests must not end this script before it has stopped the cluster.
trap "" HUP INT TERM
cat >/dev/null
"$programs/pg_ctl" -D "$folder/data" -m immediate -w -s stop || true
rm -rf "$folder"
