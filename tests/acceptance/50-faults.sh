#!/usr/bin/env bash
# Bad input of every kind: settings, policies, certificates, an application that fails, clients that misbehave, a
# gateway that is killed. Each is a clear refusal or a clean answer, and nobody else is hurt.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl openssl:openssl python3:python3

cd "$TMP"
free_port
app=$port
serve upstream "$app" python3 "$here/upstream.py" "$app"

# --- what cannot start says why -----------------------------------------------------------------------------------

# A start that should fail, with these parts on stderr: refused WHAT PART...
refused() {
  local what=$1 part begun=$EPOCHREALTIME
  shift
  run timeout 20 "$REEVE" up --config site/reeve.toml
  check "$what: exit code 2" is "$status" 2
  for part in "$@"; do check "$what: says $part" has "$err" "$part"; done
  check "$what: no panic" lacks "$err" "panicked"
  check "$what: at once" at_most "$(seconds_since "$begun")" 5
}
afresh() {
  rm -rf site
  deploy site demo "http://127.0.0.1:$app"
}

say "a port in use"
afresh
free_port
taken=$port
serve taken "$taken" python3 "$here/upstream.py" "$taken"
sed -i "s/127\.0\.0\.1:$https/127.0.0.1:$taken/" site/reeve.toml
refused "port in use" "127.0.0.1:$taken" "reeve.toml:" "another program listens there"
afresh
sed -i "s/127\.0\.0\.1:$https/192.0.2.1:443/" site/reeve.toml
refused "address of another machine" "192.0.2.1:443" "reeve.toml:"

say "certificates"
for name in one two; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout $name.key -out $name.pem 2>/dev/null
done
openssl req -new -key one.key -subj /CN=localhost -out request.pem 2>/dev/null
openssl x509 -req -in request.pem -signkey one.key -days -1 -out past.pem 2>/dev/null
with_certificate() {
  afresh
  sed -i "s|^local = .*|certificate = \"$TMP/$1\"\nkey = \"$TMP/$2\"|" site/reeve.toml
}
# The line of the settings, and under it the marks.
underlined() { grep -A1 -E -- "│ +$1 = " <<<"$err" | grep -Eq '[┬─^~]{3}' || { say "$err"; return 1; }; }
with_certificate one.pem two.key
refused "key of another certificate" "two.key"
check "key of another certificate: its line is underlined" underlined key
with_certificate missing.pem one.key
refused "no such certificate" "missing.pem"
check "no such certificate: its line is underlined" underlined certificate
with_certificate one.key one.key
refused "a key in place of a certificate" "one.key"
with_certificate past.pem one.key
refused "a certificate that has ended" "past.pem" "is valid from"
with_certificate one.pem one.key
up own site
CA=$TMP/one.pem
check "a certificate of one's own is served" is "$(ask -o /dev/null -w '%{http_code}' "https://localhost:$https/")" 200
sed -i "s/one\.key/two.key/" site/reeve.toml
run "$REEVE" reload --config site/reeve.toml
check "a reload with another key is refused" is "$status" 1
check "and the key named" has "$err" "two.key"
check "the certificate before it goes on" is "$(ask -o /dev/null -w '%{http_code}' "https://localhost:$https/")" 200
CA=""
stop "$gateway" 15
check "SIGTERM ends it with 0" is "$status" 0

say "policies"
# A policy that neither `reeve check` nor `reeve up` takes: faulty WHAT FILE CODE PART...
# CODE is that of `check`: 1 for a fault in what was read, 2 for a file that could not be read as text at all.
faulty() {
  local what=$1 file=$2 code=$3 part begun=$EPOCHREALTIME verb
  shift 3
  afresh
  cp "$file" site/policy.toml
  for verb in "check:$code" up:2; do
    run timeout 20 "$REEVE" "${verb%:*}" --config site/reeve.toml
    check "$what: \`reeve ${verb%:*}\` refuses it" is "$status" "${verb#*:}"
    verb=${verb%:*}
    for part in "$@"; do check "$what: \`reeve $verb\` says $part" has "$out$err" "$part"; done
    check "$what: no panic" lacks "$out$err" "panicked"
    check "$what: what it prints has an end" at_most "$(printf '%s' "$out$err" | wc -c)" 20000
  done
  check "$what: at once" at_most "$(seconds_since "$begun")" 5
}
afresh
cp site/policy.toml good.toml
{ cat good.toml; head -c 10485760 < <(yes '# filling' 2>/dev/null); } >big.toml
faulty "10 MB of policy" big.toml 2 "larger than 4 MiB"
{ cat good.toml; printf '# caf\xe9\n'; } >latin.toml
faulty "a policy in Latin-1" latin.toml 2 "UTF-8"
head -c 100000 /dev/urandom >noise.toml
faulty "noise" noise.toml 2 "policy.toml"
{ cat good.toml; printf 'x = '; head -c 200000 /dev/zero | tr '\0' '['; } >nested.toml
faulty "arrays in arrays, 200,000 deep" nested.toml 1 "policy.toml"
{ cat good.toml; printf 'x = %s\n' "$(printf '{a=%.0s' {1..20000})"; } >tables.toml
faulty "tables in tables" tables.toml 1 "policy.toml"
{ cat good.toml; printf 'a%.0s.' {1..20000}; printf 'a = 1\n'; } >dotted.toml
faulty "a key of 20,000 parts" dotted.toml 1 "policy.toml"
{
  cat good.toml
  for number in {1..3000}; do
    printf '[clause.c%d]\nsection = "transport"\ntext = "We."\ncontrol = "no.such"\nseverity = "high"\n' "$number"
  done
} >faults.toml
afresh
cp faults.toml site/policy.toml
begun=$EPOCHREALTIME
run timeout 20 "$REEVE" check site/policy.toml
check "3,000 faults: refused in time" is "$status" 1
say "  $(seconds_since "$begun") s, $(wc -c <"$TMP/run.out") bytes on stdout and $(wc -c <"$TMP/run.err") on stderr"
: >empty.toml
faulty "an empty policy" empty.toml 1 "schema"
afresh
rm site/policy.toml
refused "no policy" "policy.toml" "reeve init"
afresh
mkdir site/folder
sed -i 's/^policy = .*/policy = "folder"/' site/reeve.toml
refused "a folder as policy" "folder"
afresh
sed -i 's/^policy = .*/policy = "\/dev\/zero"/' site/reeve.toml
refused "a policy without end" "/dev/zero"
rm -rf site

# --- an application that fails ------------------------------------------------------------------------------------

say "the application"
afresh
sed -i 's/^# answer = .*/answer = "1s"/' site/reeve.toml
sed -i '/"rate.ip"/,+1 s/with .*/with = { rate = "60000\/min", burst = 10000 }/' site/policy.toml
up reeve site
CA=$TMP/site/reeve-data/ca/ca.pem
url="https://localhost:$https"
code() { ask -o "$TMP/body" -D "$TMP/head" -w '%{http_code}' "$@" || true; }
# An answer of our own: the status, an event to quote, and nothing of the application.
ours() {
  local got
  got=$(code "$2" "$url$1")
  is "$got" "$3" || return 1
  like "$(<"$TMP/body")" '[0-9A-HJKMNP-TV-Z]{26}' || return 1
  lacks "$(<"$TMP/body")$(<"$TMP/head")" Traceback || return 1
  lacks "$(<"$TMP/body")$(<"$TMP/head")" secret.py || return 1
  lacks "$(<"$TMP/body")$(<"$TMP/head")" Werkzeug || return 1
  lacks "$(<"$TMP/body")$(<"$TMP/head")" "127.0.0.1:$app" || return 1
}
# A broken-off answer must not look whole: curl says 18 (too short), 92 (stream reset), 52 or 56 (closed).
broken_off() {
  local failed=0
  ask "$2" -o /dev/null "$url$1" 2>/dev/null || failed=$?
  [[ " 18 52 55 56 92 " == *" $failed "* ]] || { say "curl ended with $failed"; return 1; }
}
for protocol in --http1.1 --http2; do
  check "$protocol: well" is "$(code $protocol "$url/")" 200
  check "$protocol: garbage" ours /garbage $protocol 502
  check "$protocol: closes without a word" ours /close $protocol 502
  check "$protocol: half a head" ours /cut-head $protocol 502
  check "$protocol: a head of 1.6 MB" ours /huge-head $protocol 502
  check "$protocol: two lengths" ours /two-lengths $protocol 502
  check "$protocol: a carriage return in a field" ours /split $protocol 502
  begun=$EPOCHREALTIME
  check "$protocol: slow" ours /slow $protocol 504
  check "$protocol: after the time that the settings give" at_most "$(seconds_since "$begun")" 2.5
  check "$protocol: 500 with a stack trace" ours /trace $protocol 500
  check "$protocol: 503 with a stack trace" ours /unavailable $protocol 503
  check "$protocol: says when to come back" like "$(tr -d '\r' <"$TMP/head")" '^[Rr]etry-[Aa]fter: 120$'
  check "$protocol: a body that is cut does not look whole" broken_off /cut $protocol
  check "$protocol: nor does a chunked one" broken_off /cut-chunks $protocol
  code $protocol "$url/banner" >/dev/null
  check "$protocol: its banners are taken off" is \
    "$(grep -Eic '^(server|x-powered-by|x-aspnet-version):.*[0-9]' "$TMP/head" || true)" 0
  check "$protocol: well again" is "$(code $protocol "$url/")" 200
done
stop "${children[0]}" 2
check "down" ours / --http1.1 502
check "down, over HTTP/2" ours / --http2 502
serve upstream "$app" python3 "$here/upstream.py" "$app"
check "up again, the next request passes" is "$(code "$url/")" 200

# --- a crowd that misbehaves --------------------------------------------------------------------------------------

descriptors() { find "/proc/$gateway/fd" -mindepth 1 | wc -l; }
resident() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$gateway/status"; }
say "600 clients that misbehave, for 10 s"
before=$(descriptors)
start crowd timeout 60 python3 "$here/crowd.py" "$https" "$CA" 600 10
crowd=$started
canaries=0 well=0 slowest=0 most=0
while ! gone "$crowd"; do
  canaries=$((canaries + 1))
  read -r status took < <(
    ask --max-time 5 -o /dev/null -w '%{http_code} %{time_total}\n' "$url/" 2>>canary.err || true
  ) || true
  if [[ ${status:-} == 200 ]]; then well=$((well + 1)); fi
  slowest=$(awk "BEGIN { print (${took:-9} > $slowest) ? ${took:-9} : $slowest }")
  now=$(descriptors)
  if ((now > most)); then most=$now; fi
  within 0 sleep 0.05
done
wait "$crowd" || check "the crowd came to its end" is "$(tail -5 "$TMP/crowd.err")" ""
say "  $(<"$TMP/crowd.out"); canary: $well of $canaries, slowest $slowest s; $most descriptors, $(resident) MB"
check "a canary is always served" is \
  "$well of $canaries, $(sort canary.err 2>/dev/null | uniq -c | head -3)" "$canaries of $canaries, "
check "the canary was asked often" at_least "$canaries" 20
check "and within two seconds" at_most "$slowest" 2
check "the crowd was one" at_least "$(sed 's/.*, \([0-9]*\) at once.*/\1/' "$TMP/crowd.out")" 200
few() { (($(descriptors) <= before + 10)); }
check "every connection is let go" within 20 few
check "memory stays small" at_most "$(resident)" 300
check "nothing panicked" lacks "$(<"$TMP/reeve.err")" "panicked"

# --- killed, twice, and two at once -------------------------------------------------------------------------------

say "kill -9 and restart"
run "$REEVE" up --config site/reeve.toml
check "a second gateway with the same data folder is refused" is "$status" 2
check "and told why" has "$err" "already runs with the data folder"
cp -r site other
sed -i "s/127\.0\.0\.1:\($https\|$http\)/127.0.0.1:0/; s|^data .*|data = \"$TMP/site/reeve-data\"|" other/reeve.toml
run timeout 5 "$REEVE" up --config other/reeve.toml
check "so it is on other ports" is "$status" 2
check "the first is not disturbed" is \
  "$(code "$url/") $("$REEVE" reload --config site/reeve.toml >/dev/null; echo $?)" "200 0"
authority=$(cksum <"$CA")
for round in 1 2; do
  stop "$gateway" 5 KILL
  check "killed, round $round" is "$status" 137
  check "its socket is left behind" test -S site/reeve-data/control.sock
  up reeve site
  check "it starts again on the same ports" is "$(code "$url/")" 200
  check "with the authority that clients trust" is "$(cksum <"$CA")" "$authority"
  check "and hears \`reeve reload\`" "$REEVE" reload --quiet --config site/reeve.toml
done
stop "$gateway" 15
check "SIGTERM ends it with 0" is "$status" 0

say "eight at once with one data folder"
for round in 1 2 3; do
  crowd=()
  for number in {1..8}; do
    start "racer$number" "$REEVE" up --config site/reeve.toml
    crowd+=("$started")
  done
  one_left() {
    local pid left=0
    for pid in "${crowd[@]}"; do gone "$pid" || left=$((left + 1)); done
    ((left == 1))
  }
  check "one stays, round $round" within 10 one_left
  wait_for_port "$https" 10 || true
  check "it serves" is "$(code "$url/")" 200
  check "and hears \`reeve reload\`" "$REEVE" reload --quiet --config site/reeve.toml
  for pid in "${crowd[@]}"; do stop "$pid" 15; done
done

finish
