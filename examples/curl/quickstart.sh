#!/usr/bin/env bash
# A back end that needs curl alone: registers an Application, asks for a grant, sends a notification
# and polls the presence of its user. In production a developer registers the Application once, on
# /myapps, and each user decides on the page /grant/<appid>.
#
# It needs a server in development mode, and presence-server on the PATH, which takes the place of
# the web server of the domain. The argument is another domain than 127.0.0.1:9090.
set -euo pipefail
shopt -s inherit_errexit

server=${PRESENCE_SERVER:-http://127.0.0.1:8080}
domain=${1:-127.0.0.1:9090}

# Calls the REST API: call METHOD PATH [TOKEN [JSON]]. An error of the server ends the program.
call() {
  curl --silent --show-error --fail-with-body --request "$1" "$server$2" \
    ${3:+--header "authorization: Bearer $3"} \
    ${4:+--header "content-type: application/json" --data "$4"}
}
# Takes a field out of a JSON answer.
field() {
  local answer
  answer=$(tr -d '\n')
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" <<<"$answer" | grep . ||
    { echo "the answer has no $1: $answer" >&2; exit 1; }
}

# Signs a user in. The development issuer takes the place of an identity provider.
sign_in() {
  local assertion
  assertion=$(call POST /dev/assertion "" "{\"email\":\"$1@dev.localhost\"}" | field assertion)
  call POST /session "" "{\"assertion\":\"$assertion\",\"scope\":\"account\"}" | field token
}

# The developer registers the Application, and shows its domain key on the domain.
developer=$(sign_in developer)
application=$(call POST /apps "$developer" "{\"name\":\"Chat\",\"domain\":\"$domain\",\"description\":\"A chat room\"}")
appid=$(field appid <<<"$application")
presence-server prove-domain --domain "$domain" --key "$(field domain_key <<<"$application")" &
trap "kill $! 2>/dev/null || true" EXIT
curl --silent --retry 9 --retry-delay 1 --retry-connrefused "http://$domain/__presence" >/dev/null ||
  echo "nothing answers at http://$domain" >&2
state=$(call POST "/apps/$appid/verify" "$developer" | field state)
key=$(call POST "/apps/$appid/activate" "$developer" | field api_key)
echo "the Application is $appid, and its domain is $state"

# Alice gives the Application permission to see her. The Application gets a pseudonym.
alice=$(sign_in alice)
uid=$(call POST "/grant/$appid" "$alice" '{}' | field uid)
echo "it knows alice as $uid"

# The back end sends her a notification, which waits for her device.
call POST "/apps/$appid/notifications" "$key" \
  "{\"notifications\":[{\"uid\":\"$uid\",\"message\":\"Lunch?\",\"action\":\"https://chat.example/lunch\"}]}"
echo

# The back end asks for her presence.
call GET "/apps/$appid/presence?uid=$uid" "$key"
echo
