#!/usr/bin/env bash
# The gateway with a rule set beside nginx with ModSecurity and the same rules, in one run on one machine.
#
#   benches/waf.sh                     Debian's Core Rule Set (modsecurity-crs)
#   benches/waf.sh --rules DIR         another: DIR/rules/*.conf, and crs-setup.conf or its example in DIR or DIR/rules
#   benches/waf.sh --peer              the engine alone, beside another one in Rust (benches/peer)
#   benches/waf.sh --help              the options
#
# As in benches/gateway.sh, what is compared is processor time for each request, read from /proc/PID/task/*/schedstat:
# the proxy has core 0, upstream and load have core 1.
#
# Both block, at paranoia level 1, with request bodies looked into and answers' not, and without an audit log. nginx: one
# worker, keep-alive on both sides, no access log. Reeve: one worker, every control of policies/demo.toml (rate and
# connections raised so that none refuses), every request into the ledger. Before anything is measured, each must let the
# four requests pass and refuse an attack in each of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C PATH="$PATH:/usr/sbin"
# shellcheck source=benches/lib.sh
source benches/lib.sh

readonly ALL_CASES=(get json-2k form-2k json-64k)
readonly CONNECTIONS=16
readonly MODULE=/usr/lib/nginx/modules/ngx_http_modsecurity_module.so
readonly DEBIAN=/usr/share/modsecurity-crs
seconds=6 rounds=3 rules=$DEBIAN binary="" peer=""
cases=("${ALL_CASES[@]}")

usage() {
  cat <<'TEXT'
Usage: benches/waf.sh [OPTIONS]

  --rules DIR      the rule set (default: Debian's modsecurity-crs)
  --seconds N      length of one measurement, from 1 (default 6)
  --rounds N       measurements of each case and proxy, interleaved (default 3)
  --cases LIST     of get,json-2k,form-2k,json-64k (default all)
  --reeve PATH     the binary (default: the release build)
  --peer           instead: our engine and zentinel-modsec in process, on the same requests and rules; needs cargo
  --help           this text

For each case: processor time per request in microseconds (median of the rounds), how many times nginx's that is (above 1:
cheaper than nginx), the spread of the rounds, and failed requests. Exit codes: 0 measured, 1 a request failed, 2 could
not measure.
TEXT
}

# --- requests -----------------------------------------------------------------------------------------------------------

# Bodies as applications send them, an attack in each, and for wrk a script for each case.
write_requests() {
  python3 - "$folder" <<'TEXT'
import json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
headers = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "https://localhost/start",
    "Cookie": "session=4f1c9a7be2d84c0f9d2e6a51; theme=dark; lang=en",
    "Sec-Fetch-Mode": "navigate",
}
attack = "1' UNION SELECT password FROM users--"

def items(count):
    return [{"id": n, "name": f"Article number {n}", "colour": "dark blue", "price": f"{n * 3}.95"} for n in range(count)]

def document(count, name="watering can"):
    return json.dumps({"customer": name, "items": items(count)})

def form(first):
    fields = [first] + [f"field_{n}=some+ordinary+words+that+people+type+{n}%2C+with+a+comma" for n in range(29)]
    return "&".join(fields)

path = "/articles/list?page=2&sort=price&category=garden%20tools&q="
cases = {
    "get": (path + "watering+can", path + "1%27%20UNION%20SELECT%20password%20FROM%20users--", None, "", ""),
    "json-2k": ("/api/orders",) * 2 + ("application/json", document(28), document(28, attack)),
    "form-2k": ("/contact",) * 2
    + ("application/x-www-form-urlencoded", form("name=someone"), form("name=1%27+UNION+SELECT+password+FROM+users--")),
    "json-64k": ("/api/orders",) * 2 + ("application/json", document(860), document(860, attack)),
}
done = """
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format("RESULT %d %d\\n", summary.requests, failed))
end
"""
for name, (target, bad_target, kind, body, bad_body) in cases.items():
    lines = [f"wrk.headers[{json.dumps(key)}] = {json.dumps(value)}" for key, value in headers.items()]
    (folder / f"{name}.body").write_text(body)
    (folder / f"{name}.attack").write_text(bad_body)
    (folder / f"{name}.target").write_text(f"{target}\n{bad_target}\n")
    (folder / f"{name}.curl").write_text(
        "".join(f'header = "{key}: {value}"\n' for key, value in headers.items())
        + (f'header = "Content-Type: {kind}"\n' if kind else "")
    )
    if kind:
        lines += ['wrk.method = "POST"', f'wrk.headers["Content-Type"] = "{kind}"']
        lines += [f'local file = io.open("{folder / (name + ".body")}", "rb")', 'wrk.body = file:read("*a")', "file:close()"]
    (folder / f"{name}.lua").write_text("\n".join(lines) + done)
TEXT
}

# The status of one request: ask CASE PORT plain|attack
ask() {
  local target body=$folder/$1.body arguments=()
  { read -r target; if [[ $3 == attack ]]; then read -r target; body=$folder/$1.attack; fi; } <"$folder/$1.target"
  if [[ -s $body ]]; then arguments=(--data-binary "@$body"); fi
  curl -sk --max-time 20 -K "$folder/$1.curl" -o /dev/null -w '%{http_code}' "${arguments[@]}" "https://127.0.0.1:$2$target"
}

# --- servers --------------------------------------------------------------------------------------------------------------

start_upstream() {
  next_port
  upstream=127.0.0.1:$port
  nginx_config upstream <<TEXT
  client_body_buffer_size 256k;
  server { listen $upstream; location / { return 200 "done"; } }
TEXT
  start "$LOAD_CORE" upstream nginx -c "$folder/upstream/nginx.conf"
}

find_setup() {
  local place
  for place in "$rules/crs-setup.conf" "$rules/rules/crs-setup.conf" /etc/modsecurity/crs/crs-setup.conf \
    "$rules/crs-setup.conf.example" "$rules/rules/crs-setup.conf.example"; do
    if [[ $place == /etc/* && $rules != "$DEBIAN" ]]; then continue; fi
    if [[ -e $place ]]; then setup=$place; return; fi
  done
  could_not_measure "there is no crs-setup.conf in $rules"
}

start_nginx() {
  cat >"$folder/modsecurity.conf" <<TEXT
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 1048576
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
Include $setup
Include $rules/rules/*.conf
TEXT
  next_port
  nginx_config nginx <<TEXT
  upstream application { server $upstream; keepalive 64; keepalive_requests 1000000000; }
  client_body_buffer_size 256k;
  server {
    listen 127.0.0.1:$port ssl http2;
    ssl_certificate $folder/cert.pem;
    ssl_certificate_key $folder/key.pem;
    modsecurity on;
    modsecurity_rules_file $folder/modsecurity.conf;
    location / {
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$host;
    }
  }
TEXT
  sed -i "1i load_module $MODULE;" "$folder/nginx/nginx.conf"
  start "$PROXY_CORE" nginx nginx -c "$folder/nginx/nginx.conf"
  await nginx
  local worker
  read -r worker _ < <(cat "/proc/$pid/task/$pid/children"; echo)
  [[ -n $worker ]] || could_not_measure "nginx has no worker"
  ports[nginx]=$port pids[nginx]=$worker
}

start_reeve() {
  # The rate, the connections and the bodies of the demo's policy are raised; answers are not looked into, as nginx's are not.
  sed -e 's|rate = "[^"]*", burst = [0-9]*|rate = "60000000/min", burst = 1000000|' \
    -e 's|connections = [0-9]*|connections = 4096|' -e 's|body = "64 KiB"|body = "1 MiB"|' \
    -e 's|responses = true|responses = false|' policies/demo.toml >"$folder/policy.toml"
  next_port
  mkdir "$folder/reeve"
  cat >"$folder/reeve/reeve.toml" <<TEXT
schema = "reeve.settings/1"
policy = "$folder/policy.toml"
data = "data"
[listen]
https = ["127.0.0.1:$port"]
[tls]
certificate = "$folder/cert.pem"
key = "$folder/key.pem"
[upstream]
url = "http://$upstream"
connections = 64
[waf]
rules = ["$setup", "$rules/rules"]
[server]
workers = 1
[log]
access = "off"
TEXT
  start "$PROXY_CORE" reeve "$binary" up --config "$folder/reeve/reeve.toml"
  await reeve
  ports[reeve]=$port pids[reeve]=$pid
}

await() {
  local tries
  for tries in {1..300}; do
    if [[ $(ask get "$port" plain || true) == 200 ]]; then return; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  cat "$folder/$1.out" >&2
  could_not_measure "$1 does not answer an ordinary request (after $tries tries)"
}

declare -A ports pids

# Each lets the requests pass and refuses the attacks.
check() {
  local proxy case status
  for proxy in nginx reeve; do
    for case in "${cases[@]}"; do
      status=$(ask "$case" "${ports[$proxy]}" plain)
      [[ $status == 200 ]] || could_not_measure "$proxy answers $status to the ordinary request \`$case\`"
      status=$(ask "$case" "${ports[$proxy]}" attack)
      [[ $status == 403 ]] || could_not_measure "$proxy answers $status to the attack in \`$case\`"
    done
  done
}

# --- measurement ------------------------------------------------------------------------------------------------------------

# Prints `completed failed`: load CASE PORT SECONDS
load() {
  # Of the largest one at a time: with more, a proxy that takes seconds for each would have most of them unfinished.
  local target connections=$CONNECTIONS
  if [[ $1 == json-64k ]]; then connections=1; fi
  read -r target <"$folder/$1.target"
  taskset -c "$LOAD_CORE" wrk -t1 -c"$connections" -d"$3s" --timeout 30s -s "$folder/$1.lua" "https://127.0.0.1:$2$target" |
    awk '$1 == "RESULT" { print $2, $3; seen = 1 } END { exit !seen }'
}

# One point: prints `microseconds-per-request failed`: measure CASE PROXY
measure() {
  local before after completed failed result
  before=$(on_cpu_ns "${pids[$2]}")
  result=$(load "$1" "${ports[$2]}" "$seconds") || could_not_measure "no load could be put on $2"
  after=$(on_cpu_ns "${pids[$2]}")
  read -r completed failed <<<"$result"
  if ((completed == 0)); then could_not_measure "$2 answered nothing in case $1"; fi
  awk -v ns=$((after - before)) -v completed="$completed" -v failed="$failed" \
    'BEGIN { printf "%.3f %d\n", ns / completed / 1000, failed }'
}

report() {
  awk -v case="$1" -v proxy="$2" "$MEDIAN"'
    $1 == case && $2 == "nginx" { peer[++p] = $3 }
    $1 == case && $2 == proxy { own[++n] = $3; failed += $4 }
    END {
      middle = median(own, n)
      printf "%-9s %-6s %12.0f %12.1f %7.0f%% %8d\n", case, proxy, middle, median(peer, p) / middle,
        100 * (own[n] - own[1]) / middle, failed
    }' "$folder/points"
}

# --- the run ------------------------------------------------------------------------------------------------------------------

while (($# > 0)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --peer) peer=yes; shift ;;
    --rules | --seconds | --rounds | --cases | --reeve)
      (($# >= 2)) || could_not_measure "$1 needs a value"
      case $1 in
        --rules) rules=$(realpath "$2") ;;
        --seconds) seconds=$2 ;;
        --rounds) rounds=$2 ;;
        --cases) IFS=, read -r -a cases <<<"$2" ;;
        --reeve) binary=$2 ;;
      esac
      shift 2
      ;;
    *) usage >&2; could_not_measure "there is no option \`$1\`" ;;
  esac
done
[[ $seconds =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ ]] || could_not_measure "--seconds and --rounds are whole numbers from 1"
for case in "${cases[@]}"; do
  [[ " ${ALL_CASES[*]} " == *" $case "* ]] || could_not_measure "there is no case \`$case\`; there are: ${ALL_CASES[*]}"
done
if [[ -n $peer ]]; then
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve-peer} \
    cargo run --quiet --release --locked --manifest-path benches/peer/Cargo.toml -- "$rules"
  exit
fi
binary=${binary:-${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve-target}/release/reeve}
[[ -x $binary ]] || could_not_measure "there is no program at $binary; build it (cargo build --release) or name it with --reeve"
(($(nproc) >= 2)) || could_not_measure "the proxy and its load need a core each"

trap clean_up EXIT
trap 'exit 2' INT TERM
install_missing nginx:nginx wrk:wrk openssl:openssl taskset:util-linux curl:curl python3:python3 \
  "$MODULE":libnginx-mod-http-modsecurity "$DEBIAN":modsecurity-crs
find_setup
folder=$(mktemp -d)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
write_requests
start_upstream
start_nginx
start_reeve
idle=$(resident_kib "${pids[reeve]}")
check
for ((round = 1; round <= rounds; round++)); do
  for case in "${cases[@]}"; do
    for proxy in nginx reeve; do
      point=$(measure "$case" "$proxy")
      echo "$case $proxy $point" >>"$folder/points"
      if [[ -t 2 ]]; then printf 'round %d of %d: %s %s %s us\n' "$round" "$rounds" "$case" "$proxy" "${point% *}" >&2; fi
    done
  done
done

printf '%-9s %-6s %12s %12s %8s %8s\n' case proxy us/request "times nginx" spread failed
for case in "${cases[@]}"; do
  for proxy in nginx reeve; do report "$case" "$proxy"; done
done
echo "reeve: $((idle / 1024)) MiB resident after the start, $(($(resident_kib "${pids[reeve]}") / 1024)) MiB after the run"
failed=$(awk '{ sum += $4 } END { print sum + 0 }' "$folder/points")
if ((failed > 0)); then
  echo "$failed requests failed" >&2
  exit 1
fi
