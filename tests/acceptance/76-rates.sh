#!/usr/bin/env bash
# Two nodes that count rates on one real Redis: a limit of N is N in total, by address and by user, however the requests
# are spread; Redis killed under load, gone, back, wiped and poisoned: nobody waits, each node keeps to its share, the
# verdict says so, and they find together by themselves.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 redis-server:redis-server redis-cli:redis-tools
cd "$TMP"

# --- one Redis, one application, two nodes ------------------------------------------------------------------------

free_port
redis_port=$port
redis_up() {
  serve redis "$redis_port" redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --appendonly no --dir "$TMP"
  redis=$started
}
in_redis() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@"; }
redis_up
free_port
app=$port
serve upstream "$app" python3 "$here/upstream.py" "$app"
# A minute for each request beyond the burst: within a step of this test, none comes back.
cat >policy.toml <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Rates"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.abuse]
title = "Abuse"
[clause.address]
section = "abuse"
text = "Each address is limited to {rate}, with bursts of at most {burst}."
control = "rate.ip"
with = { rate = "1/min", burst = 59 }
severity = "high"
[clause.user]
section = "abuse"
text = "Each user is limited to {rate}, with bursts of at most {burst}."
control = "rate.user"
with = { rate = "1/min", burst = 39 }
severity = "high"
TOML
for node in a b; do
  deploy "$node" demo "http://127.0.0.1:$app"
  declare "$node=$https"
  cp policy.toml "$node/policy.toml"
  sed -i "s|^# counters = .*|counters = \"redis://127.0.0.1:$redis_port\"|; s/^# cookie = .*/cookie = \"sid\"/" "$node/reeve.toml"
done
up first a
first=$gateway
# The nodes of one installation have its keys: so they know a subject by the same hash.
mkdir -p b/reeve-data
cp -r a/reeve-data/keys b/reeve-data/
cp a/reeve-data.seal b/
up second b
second=$gateway
# The two are found by either name; the test is about rates and not about certificates.
fetch() { # fetch NODE SOURCE COUNT [CURL OPTION...]: a line for each answer, with its status and how long it took
  local node=${!1} from=$2 count=$3
  shift 3
  curl --disable --noproxy '*' -ks -m 60 --interface "$from" -o /dev/null -w '%{http_code} %{time_total}\n' "$@" \
    "https://127.0.0.1:$node/[1-$count]" || true
}
both() { # both SOURCE COUNT [CURL OPTION...]: at once from both nodes; sets `served` and `refused`
  local from=$1 count=$2 one two
  shift 2
  fetch a "$from" "$count" "$@" >one &
  one=$!
  fetch b "$from" "$count" "$@" >two &
  two=$!
  wait "$one" "$two"
  served=$(cat one two | grep -c '^200' || true)
  refused=$(cat one two | grep -c '^429' || true)
}
# What a node says of its common count: standing NODE EXPRESSION
standing() {
  python3 - "$1/reeve-data/control.sock" "$2" <<'PY'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'"status"\n')
d = json.loads(s.makefile().readline())["data"]["rates"]["shared"]
print(eval(sys.argv[2]))
PY
}
stands() { [[ $(standing "$1" 'd["state"]') == "$2" ]]; }
knows() { [[ $(standing "$1" 'd["nodes"]') == "$2" ]]; }
sure() { [[ $(standing "$1" 'd["cause"]') == None ]]; }
# The verdict on a clause by node a: verdict CLAUSE
prove() { "$REEVE" prove --config a/reeve.toml --json >proof.json 2>proof.err || true; }
verdict() { json proof.json "next(r['verdict'] for r in d['clauses'] if r['clause'] == '$1')"; }
seen() { json proof.json "next(r['seen'] for r in d['clauses'] if r['clause'] == '$1')"; }

say "together"
within 10 stands a together && within 10 stands b together
check "both nodes count together" is "$(standing a 'd["state"]') $(standing b 'd["state"]')" "together together"
check "and know of each other" within 5 knows a 2
check "without a doubt" sure a

# --- a limit of N is N --------------------------------------------------------------------------------------------

both 127.0.0.11 50
check "of 100 requests of one address to two nodes, 60 pass" is "$served $refused" "60 40"
both 127.0.0.12 50
check "another address has 60 of its own" is "$served $refused" "60 40"
both 127.0.0.13 25 --cookie sid=zoe
first_part=$served
both 127.0.0.14 25 --cookie 'other=1; sid=zoe'
check "one user has 40, from two addresses at two nodes" is "$((first_part + served))" 40
both 127.0.0.14 5 --cookie sid=tom
check "another user is served" is "$served" 10
check "no address and no session stands in Redis" lacks "$(in_redis --raw KEYS "*")" zoe
prove
check "proved by address" is "$(verdict address)" kept
check "proved by user" is "$(verdict user)" kept

# --- killed under load --------------------------------------------------------------------------------------------

say "killed under load"
# From many addresses, so that no node can answer by itself: each request is one for Redis, until it is gone.
load() { # load NUMBER NODE
  local each
  for each in {1..30}; do fetch "$2" "127.1.$1.$each" 40; done >"load.$1"
}
loads=()
for number in {1..8}; do
  node=a
  if ((number > 4)); then node=b; fi
  load "$number" "$node" &
  loads+=($!)
done
counted() { (($(in_redis DBSIZE) > 40)); }
within 20 counted
kill -KILL "$redis"
began=$EPOCHREALTIME
within 5 stands a apart
within 5 stands b apart
say "  noticed within $(seconds_since "$began") s"
wait "${loads[@]}"
check "every request is answered" is "$(cat load.* | wc -l)" 9600
check "and in no other words than 200 and 429" is "$(cut -d' ' -f1 load.* | sort -u | tr '\n' ' ')" "200 429 "
slowest=$(cut -d' ' -f2 load.* | sort -n | tail -1)
say "  the slowest took $slowest s"
check "none of them is stuck" at_most "$slowest" 2
check "no node has ended" kill -0 "$first" "$second"
fetch a 127.0.0.21 50 >alone
check "a node alone gives its share, 30 of 60" is "$(grep -c '^200' alone)" 30
both 127.0.0.22 50
check "the two together no more than the whole" is "$served" 60
prove
check "the verdict by address is unknown" is "$(verdict address)" unknown
check "the verdict by user is unknown" is "$(verdict user)" unknown
check "and says why" has "$(seen address)" "common count"

# --- back ---------------------------------------------------------------------------------------------------------

say "back"
redis_up
began=$EPOCHREALTIME
within 10 stands a together && within 10 stands b together
say "  together again after $(seconds_since "$began") s"
check "both count together again by themselves" is "$(standing a 'd["state"]') $(standing b 'd["state"]')" "together together"
check "what was lost is told" has "$(standing a 'd["cause"]')" "lost its memory"
both 127.0.0.31 50
check "a limit of 60 is 60 again" is "$served $refused" "60 40"
# What one node does not know of another's requests, it cannot teach a server that has lost its memory: both have heard.
both 127.0.0.31 1
both 127.0.0.22 5
check "who had used up the limit meanwhile is still refused" is "$served" 0

# --- slow ---------------------------------------------------------------------------------------------------------

say "slow"
kill -STOP "$redis"
fetch a 127.0.0.41 20 >slow
kill -CONT "$redis"
slowest=$(cut -d' ' -f2 slow | sort -n | tail -1)
say "  the slowest of 20 requests took $slowest s"
check "all are served while Redis stands still" is "$(grep -c '^200' slow)" 20
check "and hardly wait for it" at_most "$slowest" 1
within 10 stands a together && within 10 stands b together

# --- wiped and poisoned -------------------------------------------------------------------------------------------

say "wiped"
in_redis FLUSHALL >/dev/null
both 127.0.0.31 5
check "who had used up the limit before is still refused" is "$served" 0
both 127.0.0.32 50
check "a limit of 60 is 60" is "$served $refused" "60 40"
say "poisoned"
for key in $(in_redis --raw KEYS 'reeve:*'); do
  in_redis DEL "$key" >/dev/null
  in_redis RPUSH "$key" poison >/dev/null
done
both 127.0.0.31 5
check "who had used up the limit before is still refused" is "$served" 0
both 127.0.0.33 50
check "a limit of 60 is 60" is "$served $refused" "60 40"
in_redis FLUSHALL >/dev/null
both 127.0.0.34 10
for key in $(in_redis --raw KEYS 'reeve:rate:*'); do in_redis SET "$key" 99999999999999999999 >/dev/null; done
both 127.0.0.35 10
check "others are served as before" is "$served" 20
both 127.0.0.34 1
check "a count that can be none is overwritten and told" has "$(standing a 'd["cause"]')$(standing b 'd["cause"]')" "under our keys"
prove
check "the verdict is unknown" is "$(verdict address)" unknown
check "after a minute without trouble there is no doubt left" within 90 sure a
prove
check "proved again by address" is "$(verdict address)" kept
check "proved again by user" is "$(verdict user)" kept

# --- the end ------------------------------------------------------------------------------------------------------

stop "$second" 10
check "a node that stops ends well" is "$status" 0
check "and is missed by nobody" within 5 knows a 1
stop "$first" 10
check "so does the other" is "$status" 0
finish
