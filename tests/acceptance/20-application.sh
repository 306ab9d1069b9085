#!/usr/bin/env bash
# A real application, from the Python package index, behind `reeve init --from public-api` and `reeve up`: it works
# with curl over HTTP/1.1 and HTTP/2, with a browser and with a WebSocket client; policies change while it runs.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl chromium:chromium
need_python httpbin==0.10.4 gunicorn==27.0.1 websockets==17.4

MIB=1048576

# The code of an answer: code CURL_ARGUMENT...
code() { ask --output /dev/null --write-out '%{http_code}' "$@"; }
# A field of the answer's head, which must stand there once.
field() {
  local name=$1
  shift
  ask --head "$@" | tr -d '\r' | sed -n "s/^$name: //Ip"
}

say "httpbin under gunicorn"
# Its own limits, 4,094 bytes and 100 fields with those of the gateway, would be stricter than what the policy grants.
free_port
app=$port
serve httpbin "$app" "$PYTHON" -m gunicorn --bind "127.0.0.1:$app" --workers 1 --threads 16 --graceful-timeout 1 \
  --limit-request-line 0 --limit-request-fields 200 httpbin:app

say "reeve init, check, up"
site="$TMP/site"
deploy "$site" public-api "http://127.0.0.1:$app"
check "what init writes has no fault" "$REEVE" check --quiet --config "$site/reeve.toml"
up reeve "$site"
CA="$site/reeve-data/ca/ca.pem"
url="https://localhost:$https"
check "it says where it serves" within 2 grep -q "serving https://127.0.0.1:$https" "$TMP/reeve.err"
check "it says whom clients should trust" within 2 grep -q "reeve-data/ca/ca.pem" "$TMP/reeve.err"
check "its data folder is closed to others" is \
  "$(find "$site/reeve-data" -type f -perm /044 ! -name '*.pem' -printf '%f ')" ""
check "no key of it is readable by others" is "$(grep -rl 'PRIVATE KEY' "$site" | xargs -r -I{} find {} -perm /077)" ""

head -c "$MIB" /dev/urandom >"$TMP/mib"
{ cat "$TMP/mib"; printf x; } >"$TMP/mib-and-one"
# What curl calls a form unless it is told otherwise is none.
bytes="Content-Type: application/octet-stream"
for version in 1.1 2; do
  say "curl over HTTP/$version"
  protocol=--http$version
  check "the protocol is spoken" is "$(ask $protocol -o /dev/null -w '%{http_version}' "$url/get")" "$version"
  got=$(ask $protocol "$url/get?a=1&b=%C3%A4")
  check "GET, with its query" has "$got" '"b": "\u00e4"'
  check "the application sees the public URL" has "$got" "\"url\": \"$url/get?a=1&b="
  check "and the client's address" has "$got" '"origin": "127.0.0.1"'
  check "a client cannot invent its address" has \
    "$(ask $protocol -H 'X-Forwarded-For: 6.6.6.6' "$url/get")" '"origin": "127.0.0.1"'
  check "POST of JSON" has "$(ask $protocol --json '{"a": [1, 2]}' "$url/post" | tr -d ' \n')" '"json":{"a":[1,2]}'
  check "POST of a form" has "$(ask $protocol -d a=1 -d b=2 "$url/post" | tr -d ' \n')" '"form":{"a":"1","b":"2"}'
  check "upload of a file in a form" has \
    "$(ask $protocol -F "file=@$here/lib.sh" "$url/post")" "What the acceptance tests share"
  check "PUT, PATCH, DELETE" is \
    "$(for m in PUT PATCH DELETE; do code $protocol -X $m -d x=1 "$url/${m,,}"; printf ' '; done)" "200 200 200 "
  check "a body of 1 MiB, the limit, passes" is "$(code $protocol -H "$bytes" --data-binary "@$TMP/mib" "$url/post")" 200
  check "one byte more is refused" is "$(code $protocol -H "$bytes" --data-binary "@$TMP/mib-and-one" "$url/post")" 413
  check "so it is without a stated length" is "$(code $protocol -T - "$url/put" <"$TMP/mib-and-one")" 413
  check "a body without a stated length passes" has "$(printf 'a=1' | ask $protocol -T - "$url/put")" '"data": "a=1"'
  check "bytes come through unchanged" is \
    "$(ask $protocol "$url/bytes/100000?seed=7" | cksum)" "$(ask "http://127.0.0.1:$app/bytes/100000?seed=7" | cksum)"
  check "a range" is "$(ask $protocol -r 10-19 "$url/range/1024")" "klmnopqrst"
  check "HEAD" is "$(code $protocol --head "$url/get")" 200
  check "relative and absolute redirects stay on HTTPS" is \
    "$(ask $protocol -L -o /dev/null -w '%{http_code} %{num_redirects} %{scheme}' "$url/redirect/2") $(
      ask $protocol -L -o /dev/null -w '%{http_code} %{num_redirects} %{scheme}' "$url/absolute-redirect/2")" \
    "200 2 HTTPS 200 2 HTTPS"
  check "cookies come back, with Secure" is \
    "$(ask $protocol -L -c "$TMP/jar" -b "$TMP/jar" "$url/cookies/set?k=v" | tr -d ' \n') $(
      awk '$6 == "k" { print $4 }' "$TMP/jar")" \
    '{"cookies":{"k":"v"}} TRUE'
  check "a stream of lines" is "$(ask $protocol "$url/stream/20" | grep -c '"id":')" 20
  drip="$url/drip?duration=1.5&numbytes=6&delay=0"
  read -r first total < <(ask $protocol -o /dev/null -w '%{time_starttransfer} %{time_total}\n' "$drip")
  check "a slow answer is passed on as it comes ($first s of $total s)" at_most "$first" 1
  check "gzip, deflate and brotli" is \
    "$(for coding in gzip deflate brotli; do ask $protocol --compressed "$url/$coding"; done |
      grep -Ec '"(gzipped|deflated|brotli)": true')" 3
  check "the application's own refusals are passed on" is \
    "$(for path in status/404 status/418 basic-auth/u/p; do code $protocol "$url/$path"; printf ' '; done)" \
    "404 418 401 "
  check "and its passwords work" is "$(code $protocol -u u:p "$url/basic-auth/u/p")" 200
  check "Expect: 100-continue" is \
    "$(code $protocol -H "$bytes" -H "Expect: 100-continue" --data-binary "@$TMP/mib" "$url/post")" 200
done
check "50 requests at once on one connection" is \
  "$(ask --http2 --parallel --parallel-max 50 -o /dev/null -w '%{http_code}\n' "$url/get?n=[1-50]" 2>/dev/null |
    sort | uniq -c | xargs)" "50 200"
check "several requests use one connection" is \
  "$(ask --http1.1 -o /dev/null -w '%{num_connects} ' "$url/get?n=[1-4]")" "1 0 0 0 "
check "plain HTTP leads to HTTPS" is \
  "$(ask -o /dev/null -w '%{http_code} %{redirect_url}' "http://localhost:$http/get?a=1")" "308 $url/get?a=1"
check "TLS 1.2 is refused" is "$(ask --tls-max 1.2 "$url/get" 2>&1 | grep -c 'alert\|error')" 1

say "a browser"
# It takes its certificate errors from the command line: its own store of authorities is not ours to change.
browse() {
  timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --no-proxy-server \
    --ignore-certificate-errors --virtual-time-budget=20000 --user-data-dir="$TMP/browser" --dump-dom "$1" \
    2>"$TMP/browser.err"
}
check "shows a page of the application" has "$(browse "$url/html")" "Herman Melville"
# shellcheck disable=SC2016 # the expressions are the script's
# httpbin answers with whatever stands in the path; this page posts to the application and says over which protocol.
script='<p>…</p><script>fetch("/post", { method: "POST", body: "from the browser" }).then(answer => answer.json())
  .then(seen => document.querySelector("p").textContent =
    `${seen.data}, over ${performance.getEntriesByType("navigation")[0].nextHopProtocol}`)</script>'
check "runs scripts that talk to the application, over HTTP/2" has \
  "$(browse "$url/base64/$(printf '%s' "$script" | base64 --wrap 0 | tr '+/' '-_')")" "<p>from the browser, over h2</p>"
say "  $(chromium --version 2>/dev/null | xargs)"

say "a WebSocket client"
free_port
echo=$port
serve echo "$echo" "$PYTHON" "$here/websocket.py" serve "$echo"
mkdir "$TMP/chat"
first_https=$https
deploy "$TMP/chat" public-api "http://127.0.0.1:$echo"
first=$gateway
up chat "$TMP/chat"
chat=$gateway gateway=$first
check "100 messages up to 1 MiB, pings, and the close handshake" is \
  "$("$PYTHON" "$here/websocket.py" talk "wss://localhost:$https/" "$TMP/chat/reeve-data/ca/ca.pem" 100 2>&1 |
    tail -3)" \
  "100 messages, subprotocol echo, closed 1000"
check "the application saw the close" within 3 grep -q "^closed 1000 thanks" "$TMP/echo.out"
stop "$chat" 15
check "its gateway ends with 0" is "$status" 0
https=$first_https

say "reeve prove"
# It has its own opinion of the application, so each clause is shown.
run "$REEVE" prove --config "$site/reeve.toml"
say "$out"
# No witness is named here, no log is old enough to be purged, and no document says what requests are like: none of these
# may count as kept.
check "what can be judged is kept, and what cannot is unknown" is "$status" 2
check "nothing is broken" like "$out" '^kept 19, broken 0, unknown 3 of 22$'
check "for want of a witness" has "$out" "0 witnesses are named and 1 are"
check "and of old logs" has "$out" "no day of request logs has expired yet"

say "reeve reload"
hsts() { field strict-transport-security "$url/get"; }
check "HSTS is what the policy says" is "$(hsts)" "max-age=31536000; includeSubDomains; preload"
sed -i '/"hdr.hsts"/,+1 s/max_age = "365d"/max_age = "730d"/' "$site/policy.toml"
run "$REEVE" reload --config "$site/reeve.toml"
check "a tightened policy is taken" is "$status" 0
check "and holds in the next answer" is "$(hsts)" "max-age=63072000; includeSubDomains; preload"
sed -i '/"hdr.hsts"/,+1 s/max_age = "730d"/max_age = "four years"/' "$site/policy.toml"
run "$REEVE" reload --config "$site/reeve.toml"
check "a broken policy is refused" is "$status" 1
check "with the line" has "$err" "four years"
check "and the remedy" like "$err" 'help:|remedy'
check "and what holds now" like "$err" 'goes on with'
check "the policy before it goes on" is "$(hsts)" "max-age=63072000; includeSubDomains; preload"
sed -i '/"hdr.hsts"/,+1 s/max_age = "four years"/max_age = "800d"/' "$site/policy.toml"
kill -HUP "$gateway"
lasts() { [[ $(hsts) == "max-age=$1; includeSubDomains; preload" ]]; }
check "SIGHUP reloads too" within 3 lasts 69120000

say "SIGTERM"
begun=$EPOCHREALTIME
ask --http1.1 "$url/drip?duration=2&numbytes=8&delay=0" >"$TMP/drip.1" &
drip1=$!
ask --http2 "$url/drip?duration=2&numbytes=8&delay=0" >"$TMP/drip.2" &
drip2=$!
begun_both() { [[ -s $TMP/drip.1 && -s $TMP/drip.2 ]]; }
within 5 begun_both || fail "the drips do not begin"
kill -TERM "$gateway"
check "nothing new is accepted" within 2 closed_port "$https"
drained=0
wait "$drip1" || drained=$?
wait "$drip2" || drained=$?
check "answers on their way arrive whole" is "$drained $(cat "$TMP/drip.1" "$TMP/drip.2")" "0 ****************"
stop "$gateway" 15
check "it ends with 0" is "$status" 0
say "  $(seconds_since "$begun") s with two answers of 2 s on their way"
check "its socket is gone" is "$(find "$site/reeve-data" -name '*.sock')" ""
check "its log is one JSON object a line" \
  python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$TMP/reeve.out"
check "with the requests of the browser" has "$(grep '"/html"' "$TMP/reeve.out" | tail -1)" '"/html"'
run "$REEVE" reload --config "$site/reeve.toml"
check "reload without a gateway says so, with 2" is "$status" 2
check "in these words" has "$err" "no gateway runs"

finish
