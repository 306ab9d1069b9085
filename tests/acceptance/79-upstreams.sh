#!/usr/bin/env bash
# Two nginx behind one name: one is killed under load and comes back, routes lead to a third, a circuit opens and closes,
# a reload exchanges servers under load, and the site is closed for maintenance and opened again.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need nginx:nginx-light curl:curl python3:python3
cd "$TMP"

# --- the servers --------------------------------------------------------------------------------------------------

# Starts an nginx that answers with its name, and sets `started`: backend NAME PORT
backend() {
  mkdir -p "$1"
  cat >"$1/nginx.conf" <<CONF
daemon off;
master_process off;
worker_processes 1;
pid $TMP/$1/pid;
error_log $TMP/$1/error.log;
events { worker_connections 512; }
http {
  access_log $TMP/$1/access.log;
  client_body_temp_path $TMP/$1; proxy_temp_path $TMP/$1; fastcgi_temp_path $TMP/$1;
  uwsgi_temp_path $TMP/$1; scgi_temp_path $TMP/$1;
  server {
    listen 127.0.0.1:$2;
    location / { add_header Content-Type text/plain; return 200 "$1\n"; }
  }
}
CONF
  serve "nginx-$1" "$2" nginx -c "$TMP/$1/nginx.conf" -p "$TMP/$1" -e "$TMP/$1/error.log"
}
free_port; one=$port
free_port; two=$port
free_port; three=$port
backend one "$one"; first=$started
backend two "$two"
backend three "$three"

# --- a deployment -------------------------------------------------------------------------------------------------

cat >policy.toml <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Upstreams"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.edge]
title = "Edge"
[clause.floor]
section = "edge"
text = "TLS {min} or newer."
control = "tls.floor"
severity = "high"
[clause.uptime]
section = "edge"
text = "The site answers in {target} of each month, asked every {probe_every}."
control = "uptime.slo"
with = { target = "99.9 %", probe_every = "1s" }
severity = "high"
[clause.windows]
section = "edge"
text = "Only what is announced {notice} ahead stays outside."
control = "uptime.exclusions"
with = { notice = "48h" }
severity = "low"
TOML
free_port
https=$port
settings() { # settings URLS
  cat <<TOML
schema = "reeve.settings/1"
policy = "policy.toml"
data = "data"
[listen]
https = ["127.0.0.1:$https"]
[tls]
local = ["localhost", "127.0.0.1"]
[upstream]
urls = [$1]
health = { path = "/healthz", every = "1s", timeout = "1s", healthy = 1, unhealthy = 2 }
circuit = { failures = 3, window = "10s", open = "1s" }
[[upstreams]]
name = "three"
url = "http://127.0.0.1:$three"
[[route]]
path = "/three/"
upstream = "three"
[server]
workers = 2
drain = "2s"
TOML
}
both="\"http://127.0.0.1:$one\", \"http://127.0.0.1:$two\""
settings "$both" >reeve.toml
up reeve .
CA="$TMP/data/ca/ca.pem"
url="https://localhost:$https"
says() { ask "$url$1" 2>&1 || true; }
status_of() { ask --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }
state() { # state N: of the nth server
  python3 - "$TMP/data/control.sock" "$1" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'"status"\n')
f = s.makefile(); print(json.loads(f.readline())["data"]["upstreams"][int(sys.argv[2])]["state"])
PY
}
state_is() { [[ $(state "$1") == "$2" ]]; }

say "balance and routes"
names=$(for _ in {1..20}; do says /; done | sort | uniq -c | tr -s ' ' | tr '\n' ' ')
check "both servers answer" like "$names" '[0-9]+ one .*[0-9]+ two'
check "a route leads to its upstream" is "$(says /three/x)" three
check "a name that only begins like it does not" like "$(says /threex)" '^(one|two)$'
check "a path that two could claim is refused" is "$(status_of --path-as-is "$url/three/..%2fx")" 400

say "availability"
run "$REEVE" prove
check "every clause is kept" is "$status" 0
check "windows of the probe are taken back" is "$("$REEVE" maintenance list --json | grep -c reeve-probe)" 0

# --- kill -9 under load -------------------------------------------------------------------------------------------

# Sends GETs, and POSTs beside them, until a file is there, and counts what fails: load SECONDS
load() { python3 "$here/steady.py" "localhost" "$https" "$CA" "$1"; }
say "kill -9 under load"
load 10 >load.json &
loading=$!
children+=("$loading")
sleep 2
stop "$first" 2 KILL
check "it is noticed" within 5 state_is 0 sick
sleep 2
backend one "$one"
check "it comes back" within 5 state_is 0 up
wait "$loading"
say "  $(cat load.json)"
check "some thousand GETs were sent" at_least "$(json load.json 'd["gets"]')" 1000
check "no GET failed" is "$(json load.json 'd["gets_failed"]')" 0
# Each carries a number of its own; nginx logs what it was sent.
twice() { cat "$TMP"/{one,two}/access.log | grep -o 'POST /[^ ]*' | sort | uniq -d | wc -l; }
check "POSTs were sent" at_least "$(json load.json 'd["posts"]')" 100
check "none was sent twice" is "$(twice)" 0
say "  POSTs that failed with the server: $(json load.json 'd["posts_failed"]')"
check "the one that came back is used" like "$(for _ in {1..20}; do says /; done)" '^one$'
check "what happened to the server is recorded" has "$(cat reeve.out)" '"upstream.server"'

# --- reload under load --------------------------------------------------------------------------------------------

say "reload under load"
load 4 >load.json &
loading=$!
children+=("$loading")
for round in 1 2 3; do
  sleep 0.5
  settings "\"http://127.0.0.1:$two\"" >reeve.toml
  check "server removed, round $round" "$REEVE" reload
  sleep 0.5
  settings "$both" >reeve.toml
  check "server added, round $round" "$REEVE" reload
done
wait "$loading"
say "  $(cat load.json)"
check "no GET failed" is "$(json load.json 'd["gets_failed"]')" 0
check "no POST failed" is "$(json load.json 'd["posts_failed"]')" 0

# --- maintenance --------------------------------------------------------------------------------------------------

say "maintenance"
check "it is open" "$REEVE" maintenance list
check "it is closed" "$REEVE" maintenance on --for 1h --reason "new disks"
run ask --include "$url/"
check "visitors are told so" has "$out" "<h1>Maintenance</h1>"
check "with a status" like "$out" '^HTTP/[0-9.]+ 503'
check "and when to come back" like "$out" '^retry-after: 3[56][0-9][0-9]'
check "as a program reads it" has "$(ask --header 'Accept: application/json' "$url/")" '"title":"Maintenance"'
run "$REEVE" maintenance list
check "the list says so" is "$status" 1
check "with the reason" has "$out" "new disks"
stop "$gateway" 10 KILL
up reeve .
check "it is closed after a kill, too" is "$(status_of "$url/")" 503
found_shut() { "$REEVE" ledger tail --where activity=uptime.sample --lines 5 | grep -q 503; }
check "what is closed and not announced is bad" within 5 found_shut
check "it is opened" "$REEVE" maintenance off
check "visitors are served" is "$(status_of "$url/")" 200
check "closed to all but one network" "$REEVE" maintenance on --for 1h --allow 127.0.0.0/8
check "which is served" is "$(status_of "$url/")" 200
check "opened" "$REEVE" maintenance off
check "closed for two seconds" "$REEVE" maintenance on --for 2s
check "closed" is "$(status_of "$url/")" 503
is_open() { [[ $(status_of "$url/") == 200 ]]; }
check "opens by itself" within 5 is_open
soon=$(date -u -d '+2 seconds' +%FT%TZ)
late=$(date -u -d '+6 seconds' +%FT%TZ)
check "a window is announced" "$REEVE" maintenance announce --from "$soon" --to "$late" --reason "upgrade" --shut
check "it is open until then" is_open
is_shut() { [[ $(status_of "$url/") == 503 ]]; }
check "it closes on time" within 5 is_shut
check "and opens on time" within 8 is_open
run "$REEVE" maintenance announce --from 2020-01-01T00:00:00Z --to 2020-01-02T00:00:00Z --reason "too late"
check "nothing is announced afterwards" is "$status" 2
check "each change is in the ledger" has "$("$REEVE" ledger tail --where activity=maintenance.announce)" upgrade

# --- all down -----------------------------------------------------------------------------------------------------

say "all down"
settings "\"http://127.0.0.1:9\", \"http://127.0.0.1:10\"" >reeve.toml
check "reloaded" "$REEVE" reload
check "it is 503 then" within 8 is_shut
run ask --include "$url/"
check "with Retry-After" like "$out" '^retry-after: [0-9]+'
# Events are handed over every 100 ms.
check "the event names the upstream" within 3 grep -q 'no server of upstream `default` takes requests' reeve.out
check "the route is not touched" is "$(says /three/x)" three

finish
