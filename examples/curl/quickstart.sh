#!/usr/bin/env bash
# A back end that needs curl alone: registers an Application, asks for a grant, sends a notification
# and polls the presence of its user. In production a developer registers the Application once, on
# /myapps, and each user decides on the page /grant/<appid>.
#
# It needs a server in development mode, and python3 as the web server of its domain.
set -euo pipefail

server=${PRESENCE_SERVER:-http://127.0.0.1:8080}
site=$(mktemp -d)
trap 'kill "$web" 2>/dev/null || true; rm -rf "$site"' EXIT

# Calls the REST API: call TOKEN METHOD PATH [JSON]. An error of the server ends the program.
call() {
  curl --silent --show-error --fail-with-body --request "$2" "$server$3" \
    ${1:+--header "authorization: Bearer $1"} \
    ${4:+--header "content-type: application/json" --data "$4"}
}
# Takes a field out of a JSON answer.
field() { tr -d '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# Signs a user in. The development issuer takes the place of an identity provider.
sign_in() {
  assertion=$(call "" POST /dev/assertion "{\"email\":\"$1@dev.localhost\"}" | field assertion)
  call "" POST /session "{\"assertion\":\"$assertion\",\"scope\":\"account\"}" | field token
}

# The developer registers the Application, and shows its domain key on the domain.
developer=$(sign_in developer)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
application=$(call "$developer" POST /apps "{\"name\":\"Chat\",\"domain\":\"127.0.0.1:$port\",\"description\":\"A chat room\"}")
appid=$(field appid <<<"$application")
field domain_key <<<"$application" >"$site/__presence"
timeout 60 python3 -m http.server "$port" --bind 127.0.0.1 --directory "$site" >/dev/null 2>&1 &
web=$!
until curl --silent --fail "http://127.0.0.1:$port/__presence" >/dev/null; do sleep 0.1; done
call "$developer" POST "/apps/$appid/verify" >/dev/null
key=$(call "$developer" POST "/apps/$appid/activate" | field api_key)
echo "the Application is $appid"

# Alice gives the Application permission to see her. The Application gets a pseudonym.
uid=$(call "$(sign_in alice)" POST "/grant/$appid" '{}' | field uid)
echo "it knows alice as $uid"

# The back end sends her a notification, which waits for her device.
call "$key" POST "/apps/$appid/notifications" \
  "{\"notifications\":[{\"uid\":\"$uid\",\"message\":\"Lunch?\",\"action\":\"https://chat.example/lunch\"}]}"
echo

# The back end asks for her presence.
call "$key" GET "/apps/$appid/presence?uid=$uid"
echo
