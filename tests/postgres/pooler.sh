#!/bin/sh
# Runs PgBouncer with the settings in a folder until the end of standard input: when the test
# process ends, however it ends.
#
#   pooler.sh PROGRAM FOLDER
set -eu
"$1" "$2/pgbouncer.ini" &
pooler=$!
# A signal to the group of the tests must not end this script before it has stopped PgBouncer.
trap "" HUP INT TERM
cat >/dev/null
kill "$pooler"
wait "$pooler" || true
rm -rf "$2"
