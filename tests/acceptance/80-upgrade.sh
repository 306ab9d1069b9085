#!/usr/bin/env bash
# Another binary takes over under load, and settings are reloaded under load: no request fails and none goes
# unrecorded, over HTTP/1.1 and HTTP/2. What does not start leaves the old one serving. What systemd is told.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl wrk:wrk h2load:nghttp2-client nginx:nginx-light python3:python3
cd "$TMP"

free_port
app=$port
free_port
busy=$port
mkdir nginx
cat >nginx.conf <<CONF
daemon off; worker_processes 1; pid $TMP/nginx/pid; error_log $TMP/nginx/error;
events { worker_connections 2048; }
http { access_log off; keepalive_requests 100000000;
  client_body_temp_path $TMP/nginx/a; proxy_temp_path $TMP/nginx/b; fastcgi_temp_path $TMP/nginx/c;
  uwsgi_temp_path $TMP/nginx/d; scgi_temp_path $TMP/nginx/e;
  server { listen 127.0.0.1:$app; listen 127.0.0.1:$busy; location / { return 200 "hello\n"; } } }
CONF
serve nginx "$app" nginx -c "$TMP/nginx.conf"

deploy site demo "http://127.0.0.1:$app"
sed -i 's/^# access = .*/access = "off"/; s/^# upgrade = .*/upgrade = "20s"/' site/reeve.toml
cat >site/policy.toml <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Upgrades"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.log]
title = "Logs"
[clause.access]
section = "log"
text = "Every request is recorded."
control = "log.access"
severity = "high"
TOML
up gateway site
CA="$TMP/site/reeve-data/ca/ca.pem"
url="https://localhost:$https"
first=$gateway
# Every process that took over is stopped at the end, too.
upgrade() { # upgrade [PROGRAM]: sets `status` and `new`
  run "$REEVE" upgrade --config site/reeve.toml --json "$@"
  new=""
  if ((status == 0)); then
    new=$(json run.out 'd["new"]')
    children+=("$new")
  fi
}
reload() { run "$REEVE" reload --config site/reeve.toml; }
# What was recorded a moment ago is found once it is sealed.
recorded() { sleep 1; "$REEVE" ledger --config site/reeve.toml tail --json -n 100000000 --where activity=http.request | grep -c .; }
served() { ask -o /dev/null -w '%{http_code}' "$url/"; }

# --- HTTP/1.1, kept alive, under wrk ------------------------------------------------------------------------------

say "HTTP/1.1 under wrk: a reload and two upgrades"
before=$(recorded || true)
wrk -t2 -c16 -d10s "$url/" >wrk.out 2>&1 &
load=$!
sleep 2
reload
check "reloaded" is "$status" 0
sleep 1
upgrade
check "upgraded" is "$status" 0
check "by another process" is "$([[ $new != "$first" ]] && echo another)" another
second=$new
sleep 2
upgrade
check "upgraded once more, by one that has taken over itself" is "$status" 0
check "by yet another process" is "$([[ $new != "$second" ]] && echo another)" another
wait "$load"
requests=$(awk '/requests in/ { print $1 }' wrk.out)
say "  $requests requests"
check "there was load" at_least "$requests" 2000
check "no request failed" lacks "$(cat wrk.out)" "Socket errors"
check "and each was answered with 200" lacks "$(cat wrk.out)" "Non-2xx"
check "the first process has ended" within 15 gone "$first"
check "the second one, too" within 15 gone "$second"
after=$(recorded)
check "every request was recorded ($((after - before)) of $requests and those cut off at the end)" at_least \
  "$((after - before))" "$requests"
# What wrk has under way when its time is over is not in its count.
check "and none twice" at_most "$((after - before))" "$((requests + 16))"

# --- HTTP/2 -------------------------------------------------------------------------------------------------------

say "HTTP/2: an upgrade among 40,000 requests of curl, 40 at a time"
before=$(recorded)
curl --disable --noproxy '*' -s --cacert "$CA" --http2 --parallel --parallel-max 40 "$url/?n=[1-40000]" -o /dev/null \
  -w '%{http_version} %{http_code}\n' >curl.out 2>/dev/null &
load=$!
sleep 0.7
upgrade
check "upgraded" is "$status" 0
check "while they ran" kill -0 "$load"
status=0
wait "$load" || status=$?
check "curl had no error" is "$status" 0
check "each was answered with 200, over HTTP/2" is "$(sort curl.out | uniq -c | xargs)" "40000 2 200"
check "and recorded" is "$(($(recorded) - before))" 40000
say "HTTP/2 under h2load: what was begun is finished"
h2load -t1 -c8 -m8 -D 8 "$url/" >h2load.out 2>&1 &
load=$!
sleep 1.5
upgrade
check "upgraded" is "$status" 0
wait "$load"
check "no request failed" has "$(cat h2load.out)" " 0 failed, 0 errored, 0 timeout"
check "and each was answered with 200" has "$(cat h2load.out)" " 0 3xx, 0 4xx, 0 5xx"

# --- what does not start ------------------------------------------------------------------------------------------

say "what does not start, under load"
now=$new
wrk -t1 -c8 -d12s "$url/" >wrk.out 2>&1 &
load=$!
printf '#!/bin/sh\n[ "$1" = --version ] && echo "reeve 9.9" && exit\nexit 3\n' >ends.sh
printf '#!/bin/sh\n[ "$1" = --version ] && echo "reeve 9.9" && exit\nexec sleep 30\n' >hangs.sh
chmod +x ends.sh hangs.sh
upgrade "$TMP/ends.sh"
check "a binary that ends: exit code 1" is "$status" 1
check "and it says so" has "$err" "ended before it was ready"
upgrade /bin/true
check "one that is no Reeve" has "$status $err" "is no Reeve"
cp ends.sh site/reeve-data/reeve
upgrade "$TMP/site/reeve-data/reeve"
check "one that the gateway could have written" has "$err" "which the gateway may write to"
rm site/reeve-data/reeve
mv site/policy.toml aside.toml
upgrade
check "settings with a fault are told to whoever asked" has "$status $err" "cannot read"
mv aside.toml site/policy.toml
# A port that is taken is found out only when the ledger was let go of: it is taken up again.
cp site/reeve.toml good.toml
sed -i "s/^\(https *= *\)\[.*/\1[\"127.0.0.1:$https\", \"127.0.0.1:$busy\"]/" site/reeve.toml
upgrade
check "a port that is taken: exit code 1" is "$status" 1
check "and it says which" has "$err" "cannot listen on 127.0.0.1:$busy"
cp good.toml site/reeve.toml
sed -i 's/^upgrade = .*/upgrade = "2s"/' site/reeve.toml
reload
upgrade "$TMP/hangs.sh"
check "a binary that hangs is ended in time" has "$status $err" "was not ready within 2 seconds"
check "and is gone" is "$(pgrep -f "sleep 30" -P "$now" || true)" ""
wait "$load"
check "no request failed" lacks "$(cat wrk.out)" "Socket errors"
check "and each was answered with 200" lacks "$(cat wrk.out)" "Non-2xx"
check "the same process serves" is "$(served) $(kill -0 "$now" && echo alive)" "200 alive"
"$REEVE" ledger --config site/reeve.toml tail --json -n 100 --where activity=gateway.upgrade_failed >failed.json
check "each failure is recorded" is "$(grep -c . failed.json)" 6
cp good.toml site/reeve.toml
upgrade
check "and then it can still be upgraded" is "$status $(served)" "0 200"
run "$REEVE" ledger --config site/reeve.toml verify
check "the ledger is whole after all that" is "$status" 0
last=$new
kill -TERM "$last"
check "the last one stops" within 15 gone "$last"

# --- systemd ------------------------------------------------------------------------------------------------------

say "what systemd sees"
cat >supervisor.py <<'PY'
"""Starts a service as systemd does: with a socket that is open already, and one for its notifications."""
import os, socket, sys

port, notices, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
door = socket.socket()
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("127.0.0.1", port))
door.listen(128)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notices + ".sock")
if os.fork() == 0:
    os.dup2(door.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=notices + ".sock")
    os.execv(command[0], command)
while True:
    with open(notices, "a") as out:
        out.write(notify.recv(4096).decode() + "\n")
PY
start supervisor python3 supervisor.py "$https" "$TMP/notices" "$REEVE" up --config site/reeve.toml
check "it says that it serves" within 10 grep -qs '^READY=1' notices
check "on the socket that was open" within 5 grep -q "serving.* https://127.0.0.1:$https" supervisor.err
check "where requests are answered" is "$(served)" 200
upgrade
check "upgraded" is "$status" 0
check "the new process is the service" within 5 grep -qs "^MAINPID=$new\$" notices
check "and it serves" is "$(served)" 200
kill -USR2 "$new"
check "SIGUSR2 upgrades as well" within 10 test "$(grep -c '^MAINPID=' notices)" = 1
within 15 gone "$new" || true
second_pid() { [[ $(grep -c '^MAINPID=' notices) == 2 ]]; }
check "and is told" within 10 second_pid
children+=("$(sed -n 's/^MAINPID=//p' notices | tail -1)")
check "and it serves on" is "$(served)" 200

finish
