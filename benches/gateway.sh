#!/usr/bin/env bash
# The gateway's cost for each request beside nginx as a plain TLS proxy, in one run on one machine.
#
#   benches/gateway.sh            every case, 3 rounds of 6 s; about 3 minutes
#   benches/gateway.sh --guarded  the bare gateway beside one with limits, 100,000 bans and validation
#   benches/gateway.sh --help     the options
#
# What is compared is processor time and not throughput: the time that the proxy's threads were on a processor
# (the first field of /proc/PID/task/*/schedstat), divided by the requests that were completed. The proxy has core 0;
# the upstream and the load have core 1 and usually set the pace, so requests per second would compare them.
# Background work on the same machine shows as spread: read the medians, and distrust differences below a few percent.
#
# nginx: one worker, keep-alive on both sides, no access log, otherwise as Debian ships it. Reeve: one worker, every
# control of policies/demo.toml but the firewall, which benches/waf.sh is for (rate and connections raised so that none
# refuses), every request into the ledger. What the ledger's threads spend counts; an older binary, which has none, writes
# its access log to a file instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C PATH="$PATH:/usr/sbin"
# shellcheck source=benches/lib.sh
source benches/lib.sh

readonly ALL_CASES=(h1-1k h1-64k h2-1k h2-64k)
readonly CONNECTIONS=16 STREAMS=16
# Upstream connections that each proxy keeps: more than there are requests at once, or it would measure connecting.
readonly POOL=512
# What a browser sends beside Host.
HEADERS=(
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
  "Accept-Language: en-GB,en;q=0.5"
  "Accept-Encoding: gzip, deflate, br"
  "Referer: https://localhost/start"
  "Cookie: session=4f1c9a7be2d84c0f9d2e6a51; theme=dark"
  "Sec-Fetch-Mode: navigate"
  "Cache-Control: max-age=0"
)

seconds=6 rounds=3 nginx_buffer="" guarded=""
# Bans that the guarded gateway holds, none of the load's own address.
readonly BANS=100000
cases=("${ALL_CASES[@]}")
reeves=()

usage() {
  cat <<'TEXT'
Usage: benches/gateway.sh [OPTIONS]

  --seconds N      length of one measurement, from 1 (default 6)
  --rounds N       measurements of each case and proxy, interleaved (default 3)
  --cases LIST     of h1-1k,h1-64k,h2-1k,h2-64k (default all): protocol and size of the answer
  --reeve PATH     the binary (default: the release build); given more than once, all are measured in the same run
  --guarded        instead of the demo's policy: `bare`, with nothing but a TLS version promised, beside `guarded`, with the
                   demo's controls, rates of address, user, key and route, lists of bots, characters, an OpenAPI document,
                   and 100,000 networks banned
  --nginx-buffer SIZE
                   nginx's proxy and TLS buffers, such as 64k (default: as nginx has them)
  --help           this text

For each case: processor time per request in microseconds (median of the rounds), requests per processor second,
their ratio to nginx's (above 1: cheaper than nginx), the spread of the rounds ((highest - lowest) / median), and
failed requests. Exit codes: 0 measured, 1 a request failed or an event is missing, 2 could not measure.
TEXT
}

# --- servers ----------------------------------------------------------------------------------------------------------

# Waits until both files are served whole: await NAME URL
await() {
  local name=$1 url=$2 tries size
  for size in 1k 64k; do
    for tries in {1..100}; do
      if [[ $(curl -sk --max-time 5 -o "$folder/got" -w '%{http_code}' "$url/$size" || true) == 200 ]] &&
        cmp -s "$folder/got" "$folder/files/$size"; then
        break
      fi
      if ((tries == 100)); then
        cat "$folder/$name.out" >&2
        could_not_measure "$name does not serve $url/$size"
      fi
      sleep 0.1
    done
  done
}

start_upstream() {
  mkdir "$folder/files"
  head -c 1024 /dev/urandom >"$folder/files/1k"
  head -c 65536 /dev/urandom >"$folder/files/64k"
  next_port
  upstream=127.0.0.1:$port
  nginx_config upstream <<TEXT
  sendfile on;
  tcp_nopush on;
  server { listen $upstream; root $folder/files; }
TEXT
  start "$LOAD_CORE" upstream nginx -c "$folder/upstream/nginx.conf"
  await upstream "http://$upstream"
}

start_nginx() {
  local buffers=""
  if [[ -n $nginx_buffer ]]; then
    buffers="proxy_buffers 8 $nginx_buffer; proxy_buffer_size $nginx_buffer; proxy_busy_buffers_size $nginx_buffer;
    ssl_buffer_size $nginx_buffer;"
  fi
  next_port
  nginx_config nginx <<TEXT
  upstream application { server $upstream; keepalive $POOL; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:$port ssl http2;
    ssl_certificate $folder/cert.pem;
    ssl_certificate_key $folder/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    $buffers
    location / {
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$host;
      proxy_set_header X-Forwarded-For \$remote_addr;
      proxy_set_header X-Forwarded-Proto \$scheme;
      proxy_set_header X-Forwarded-Host \$host;
    }
  }
TEXT
  start "$PROXY_CORE" nginx nginx -c "$folder/nginx/nginx.conf"
  await nginx "https://127.0.0.1:$port"
  # The master does nothing while the worker serves.
  local worker
  read -r worker _ < <(cat "/proc/$pid/task/$pid/children"; echo)
  [[ -n $worker ]] || could_not_measure "nginx has no worker"
  add_proxy nginx "$worker"
}

# start_reeve NAME BINARY POLICY [DOCUMENT]
start_reeve() {
  local name=$1 binary=$2 policy=$3 more=""
  if (($# > 3)); then more=$(printf 'openapi = "%s"\n[session]\ncookie = "session"' "$4"); fi
  next_port
  mkdir "$folder/$name"
  cat >"$folder/$name/reeve.toml" <<TEXT
schema = "reeve.settings/1"
policy = "$policy"
data = "data"
[listen]
https = ["127.0.0.1:$port"]
[tls]
certificate = "$folder/cert.pem"
key = "$folder/key.pem"
[upstream]
url = "http://$upstream"
connections = $POOL
$more
[server]
workers = 1
[log]
TEXT
  if "$binary" ledger --help >/dev/null 2>&1; then
    echo 'access = "off"' >>"$folder/$name/reeve.toml"
    has_ledger[$name]=$binary
  else
    echo 'access = "access.log"' >>"$folder/$name/reeve.toml"
  fi
  start "$PROXY_CORE" "$name" "$binary" up --config "$folder/$name/reeve.toml"
  await "$name" "https://127.0.0.1:$port"
  add_proxy "$name" "$pid"
}

# Every control of the demo's policy but the firewall, at a rate and a number of connections that the load stays below.
write_policy() {
  sed -e 's|rate = "[^"]*", burst = [0-9]*|rate = "60000000/min", burst = 1000000|' \
    -e 's|connections = [0-9]*|connections = 4096|' -e '/^\[clause\.attacks\]$/,/^severity/d' policies/demo.toml >"$folder/policy.toml"
  if (($(grep -c -e 'rate = "60000000/min", burst = 1000000' -e 'connections = 4096' "$folder/policy.toml") != 2)); then
    could_not_measure "policies/demo.toml no longer has the two limits that must be raised here"
  fi
}

# The two ends of what a policy can ask of a request.
write_guarded() {
  cat >"$folder/bare.toml" <<'TEXT'
schema = "reeve.policy/1"
[policy]
title = "Bare"
company = "Example Ltd"
version = "1"
owner = "ops@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.all]
title = "All"
[clause.tls]
section = "all"
text = "We speak {min} or newer."
control = "tls.floor"
severity = "high"
TEXT
  {
    cat "$folder/policy.toml"
    local name control with
    while IFS='|' read -r name control with; do
      printf '\n[clause.%s]\nsection = "requests"\ntext = "Something is promised."\ncontrol = "%s"\nseverity = "high"\n%s\n' \
        "$name" "$control" "${with:+with = $with}"
    done <<'TEXT'
bench-user|rate.user|{ rate = "60000000/min", burst = 1000000, routes = [{ path = "/1k", rate = "60000000/min", burst = 1000000 }] }
bench-key|rate.header|{ header = "X-API-Key", rate = "60000000/min", burst = 1000000 }
bench-agents|bot.ua|
bench-signature|bot.signature|
bench-schema|input.schema|
bench-type|input.type|
bench-format|input.format|
bench-charset|input.charset|
TEXT
  } >"$folder/guarded.toml"
  cat >"$folder/api.yaml" <<'TEXT'
openapi: 3.1.0
info: { title: Two files, version: "1" }
paths:
  /1k: { get: { responses: { "200": { description: a file } } } }
  /64k: { get: { responses: { "200": { description: a file } } } }
TEXT
  HEADERS+=("X-API-Key: 9f2c4e61d0b84a7c")
}

# Bans that many networks over the control socket of a gateway: ban_many NAME
ban_many() {
  python3 - "$folder/$1/data/control.sock" "$BANS" <<'TEXT'
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

path, count = sys.argv[1], int(sys.argv[2])

def ban(number):
    network = f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}/32"
    question = {"bans": {"add": {"network": network, "seconds": 86400, "reason": "bench"}}}
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        stream.sendall(json.dumps(question).encode() + b"\n")
        answer = json.loads(stream.makefile().readline())
    if not answer["done"]:
        sys.exit(answer["text"])

with ThreadPoolExecutor(64) as pool:
    for _ in pool.map(ban, range(count), chunksize=64):
        pass
TEXT
}

# Those that are measured: names in order; port and process by name.
proxies=()
declare -A ports pids idle_memory has_ledger
add_proxy() {
  proxies+=("$1")
  ports[$1]=$port
  pids[$1]=$2
}

# --- measurement ------------------------------------------------------------------------------------------------------

write_load() {
  local header
  {
    for header in "${HEADERS[@]}"; do printf 'wrk.headers["%s"] = "%s"\n' "${header%%: *}" "${header#*: }"; done
    cat <<'LUA'
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format("RESULT %d %d %d\n", summary.requests, failed, summary.bytes))
end
LUA
  } >"$folder/load.lua"
}

# Puts load on a proxy and prints `completed failed bytes`: load CASE PORT SECONDS
load() {
  local url=https://127.0.0.1:$2/${1#*-} header arguments=()
  if [[ $1 == h1-* ]]; then
    taskset -c "$LOAD_CORE" wrk -t1 -c"$CONNECTIONS" -d"$3s" -s "$folder/load.lua" "$url" |
      awk '$1 == "RESULT" { print $2, $3, $4; seen = 1 } END { exit !seen }'
  else
    for header in "${HEADERS[@]}"; do arguments+=(-H "$header"); done
    taskset -c "$LOAD_CORE" h2load -t1 -c"$CONNECTIONS" -m"$STREAMS" -D"$3" "${arguments[@]}" "$url" |
      # An answer counts when it is complete, and one that is not 2xx counts as failed.
      sed -n -E 's/^requests:.* ([0-9]+) succeeded, ([0-9]+) failed, ([0-9]+) errored, ([0-9]+) timeout$/\1 \2 \3 \4/p
        s/^traffic:.*\(([0-9]+)\) data$/\1/p' | tr '\n' ' ' | awk '{ print $1, $2 + $3 + $4, $5; exit NF != 5 }'
  fi
}

# How many entries the ledger of a gateway has: sealed PROXY
sealed() {
  "${has_ledger[$1]}" ledger --config "$folder/$1/reeve.toml" status --json | sed -n 's/^ *"sealed": \([0-9]*\),*$/\1/p' | head -1
}

# One point: prints `microseconds-per-request failed`: measure CASE PROXY
measure() {
  local case=$1 proxy=$2 before after completed failed bytes result size=1024 log=$folder/$2/access.log first=0 events
  if [[ $case == *-64k ]]; then size=65536; fi
  if [[ -e $log ]]; then : >"$log"; fi
  if [[ -n ${has_ledger[$proxy]:-} ]]; then first=$(sealed "$proxy"); fi
  before=$(on_cpu_ns "${pids[$proxy]}")
  result=$(load "$case" "${ports[$proxy]}" "$seconds") || could_not_measure "no load could be put on $proxy"
  after=$(on_cpu_ns "${pids[$proxy]}")
  read -r completed failed bytes <<<"$result"
  if ((completed == 0)); then could_not_measure "$proxy answered nothing in case $case"; fi
  # An answer that is too short is none, whatever its status.
  if ((bytes < completed * size)); then failed=$((failed + 1)); fi
  if [[ -e $log ]]; then
    # The last lines come with the gateway's next look at its log.
    sleep 1
    if (($(wc -l <"$log") < completed)); then
      echo "$proxy: $completed requests, $(wc -l <"$log") events" >&2
      failed=$((failed + 1))
    fi
    : >"$log"
  fi
  if [[ -n ${has_ledger[$proxy]:-} ]]; then
    # The last events come with the gateway's next look at its log, and are sealed a quarter of a second later.
    sleep 1
    events=$("${has_ledger[$proxy]}" ledger --config "$folder/$proxy/reeve.toml" export --from "$first" 2>/dev/null |
      grep -o '"http.request"' | wc -l)
    if ((events < completed)); then
      echo "$proxy: $completed requests, $events events" >&2
      failed=$((failed + 1))
    fi
  fi
  awk -v ns=$((after - before)) -v completed="$completed" -v failed="$failed" \
    'BEGIN { printf "%.3f %d\n", ns / completed / 1000, failed }'
}

# The table line of one case and proxy: report CASE PROXY
report() {
  awk -v case="$1" -v proxy="$2" "$MEDIAN"'
    $1 == case && $2 == "nginx" { peer[++p] = $3 }
    $1 == case && $2 == proxy { own[++n] = $3; failed += $4 }
    END {
      middle = median(own, n)
      printf "%-7s %-9s %12.2f %14.0f %12.2f %7.0f%% %8d\n", case, proxy, middle, 1e6 / middle,
        median(peer, p) / middle, 100 * (own[n] - own[1]) / middle, failed
    }' "$folder/points"
}

# --- the run ----------------------------------------------------------------------------------------------------------

while (($# > 0)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --guarded) guarded=yes; shift ;;
    --seconds | --rounds | --cases | --reeve | --nginx-buffer)
      (($# >= 2)) || could_not_measure "$1 needs a value"
      case $1 in
        --seconds) seconds=$2 ;;
        --rounds) rounds=$2 ;;
        --cases) IFS=, read -r -a cases <<<"$2" ;;
        --reeve) reeves+=("$2") ;;
        --nginx-buffer) nginx_buffer=$2 ;;
      esac
      shift 2
      ;;
    *) usage >&2; could_not_measure "there is no option \`$1\`" ;;
  esac
done
[[ $seconds =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ ]] || could_not_measure "--seconds and --rounds are whole numbers from 1"
[[ -z $nginx_buffer || $nginx_buffer =~ ^[1-9][0-9]*k$ ]] || could_not_measure "--nginx-buffer is a size such as 64k"
for case in "${cases[@]}"; do
  [[ " ${ALL_CASES[*]} " == *" $case "* ]] || could_not_measure "there is no case \`$case\`; there are: ${ALL_CASES[*]}"
done
if ((${#reeves[@]} == 0)); then
  reeves=("${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve-target}/release/reeve")
fi
for binary in "${reeves[@]}"; do
  [[ -x $binary ]] || could_not_measure "there is no program at $binary; build it (cargo build --release) or name it with --reeve"
done
(($(nproc) >= 2)) || could_not_measure "the proxy and its load need a core each"

trap clean_up EXIT
trap 'exit 2' INT TERM
install_missing nginx:nginx wrk:wrk h2load:nghttp2-client openssl:openssl taskset:util-linux curl:curl
folder=$(mktemp -d)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
write_policy
if [[ -n $guarded ]]; then write_guarded; fi
write_load
start_upstream
start_nginx
if [[ -n $guarded ]]; then
  start_reeve bare "${reeves[0]}" "$folder/bare.toml"
  start_reeve guarded "${reeves[0]}" "$folder/guarded.toml" "$folder/api.yaml"
  for name in bare guarded; do idle_memory[$name]=$(resident_kib "${pids[$name]}"); done
  ban_many guarded || could_not_measure "the networks could not be banned"
else
  for number in "${!reeves[@]}"; do
    name=reeve
    if ((number > 0)); then name=reeve-$((number + 1)); fi
    start_reeve "$name" "${reeves[$number]}" "$folder/policy.toml"
    idle_memory[$name]=$(resident_kib "${pids[$name]}")
  done
fi

for case in "${cases[@]}"; do
  for proxy in "${proxies[@]}"; do load "$case" "${ports[$proxy]}" 1 >/dev/null || true; done
done
for ((round = 1; round <= rounds; round++)); do
  for case in "${cases[@]}"; do
    for proxy in "${proxies[@]}"; do
      point=$(measure "$case" "$proxy")
      echo "$case $proxy $point" >>"$folder/points"
      if [[ -t 2 ]]; then printf 'round %d of %d: %s %s %s us\n' "$round" "$rounds" "$case" "$proxy" "${point% *}" >&2; fi
    done
  done
done

printf '%-7s %-9s %12s %14s %12s %8s %8s\n' case proxy us/request requests/cpu-s "vs nginx" spread failed
for case in "${cases[@]}"; do
  for proxy in "${proxies[@]}"; do report "$case" "$proxy"; done
done
for proxy in "${proxies[@]:1}"; do
  echo "$proxy: $(awk -v before="${idle_memory[$proxy]}" -v after="$(resident_kib "${pids[$proxy]}")" \
    'BEGIN { printf "%.1f MiB resident after the start, %.1f MiB after the run", before / 1024, after / 1024 }')"
done
failed=$(awk '{ sum += $4 } END { print sum + 0 }' "$folder/points")
if ((failed > 0)); then
  echo "$failed requests failed" >&2
  exit 1
fi
