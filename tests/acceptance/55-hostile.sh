#!/usr/bin/env bash
# Slow clients in the four ways of slowhttptest, and clients that cancel what they ask for, hold nobody else up: a
# visitor from another address is served throughout, and the attackers are shed. With the control taken out of the
# policy the same attack holds the gateway's connections, so the check can fail.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need nginx:nginx-light slowhttptest:slowhttptest python3:python3

SECONDS_EACH="${SECONDS_EACH:-12}"

cat >"$TMP/policy.toml" <<'POLICY'
schema = "reeve.policy/1"

[policy]
title   = "Under attack"
company = "Example Ltd"
version = "2026.1"
owner   = "ops@example.com"
review  = { every = "12 months", last = 2026-11-01, approvers = 1 }

[section.all]
title = "All"

[clause.slow]
section  = "all"
text     = "Heads are complete after {header_deadline}, bodies and readers below {least_rate} a second end after {grace}, {connections} connections an address."
control  = "edge.slow_and_flood"
with     = { header_deadline = "3s", least_rate = "500 B", grace = "3s", connections = 100 }
severity = "high"

[clause.framing]
section  = "all"
text     = "We refuse requests with ambiguous framing."
control  = "edge.smuggling"
severity = "high"
POLICY

cd "$TMP"
mkdir site
printf 'hello\n' >site/index.html
head -c 32M /dev/zero >site/large
free_port
app=$port
cat >nginx.conf <<NGINX
daemon off; master_process off; pid nginx.pid; error_log nginx.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $TMP/body;
  server {
    listen 127.0.0.1:$app;
    root $TMP/site;
    # Reads the body to its end before it goes on.
    location /form { proxy_pass http://127.0.0.1:$app/; }
  }
}
NGINX
serve nginx "$app" nginx -e nginx.log -c nginx.conf -p "$TMP"

# Starts a gateway whose connections all together are few, so that one attacker could take them: begin NAME POLICY
begin() {
  deploy "$TMP/$1" demo "http://127.0.0.1:$app"
  cp "$2" "$TMP/$1/policy.toml"
  sed -i 's/^# connections = 10000/connections = 300/' "$TMP/$1/reeve.toml"
  up "$1" "$TMP/$1"
  CA="$TMP/$1/reeve-data/ca/ca.pem"
}

# Attacks for a while and sets `visits` to what the canary saw: attack NAME COMMAND...
attack() {
  local name=$1
  shift
  start "canary-$name" python3 "$here/canary.py" "$https" "$CA" 127.0.0.2 "$SECONDS_EACH"
  local canary=$started
  "$@" >"$TMP/$name.attack" 2>&1 || true
  wait "$canary" || true
  visits=$(cat "$TMP/canary-$name.out")
  say "  $name: $visits"
}

visit() { json "$TMP/canary-$1.out" "d['$2']"; }
# How many events tell of this cause.
told() { grep -c "\"cause\":\"$1\"" "$TMP/$gateway_name.out" || true; }

served() {
  check "$1: the visitor is served every time" is "$(visit "$1" failed)" 0
  check "$1: and at a pace" at_least "$(visit "$1" requests)" $((SECONDS_EACH * 4))
}

slow=(slowhttptest -c 600 -r 300 -l "$SECONDS_EACH" -p 2)

say "with the control"
gateway_name=guarded
begin guarded "$TMP/policy.toml"
within 10 test -s "$CA" || could_not_judge "there is no certificate authority in $CA"

attack headers "${slow[@]}" -H -i 2 -x 24 -u "https://127.0.0.1:$https/"
served headers
attack body "${slow[@]}" -B -i 1 -x 10 -s 8192 -u "https://127.0.0.1:$https/form"
served body
attack read "${slow[@]}" -X -w 10 -y 20 -n 2 -z 10 -k 3 -u "https://127.0.0.1:$https/large"
served read
attack range "${slow[@]}" -R -a 10 -b 3000 -u "https://127.0.0.1:$https/"
served range
attack reset python3 "$here/rapid_reset.py" "$https" "$SECONDS_EACH"
served reset
say "  rapid reset: $(cat "$TMP/reset.attack")"

within 5 grep -q http.connection "$TMP/guarded.out" || true
check "slow heads were cut off" at_least "$(told 'head not complete in time')" 50
check "slow bodies were cut off" at_least "$(told 'body too slow')" 50
check "slow readers were cut off" at_least "$(told 'answer taken too slowly')" 20
check "the gateway has not fallen" kill -0 "$gateway"
stop "$gateway" 20
check "and ends in order" is "$status" 0

say "without it, the same attack takes every connection"
gateway_name=open
sed '/^\[clause.slow\]/,/^severity/d' "$TMP/policy.toml" >"$TMP/open.toml"
begin open "$TMP/open.toml"
within 10 test -s "$CA" || could_not_judge "there is no certificate authority in $CA"
attack unguarded "${slow[@]}" -H -i 2 -x 24 -u "https://127.0.0.1:$https/"
check "the visitor is shut out" at_least "$(visit unguarded failed)" 5
stop "$gateway" 20
finish
