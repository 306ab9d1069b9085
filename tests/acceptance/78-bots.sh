#!/usr/bin/env bash
# Who is answered: a real proxy in front (haproxy, with the PROXY protocol and with X-Forwarded-For), clients of people and of
# operators, tools that nobody wants, fingerprints that agree with a second reading, and the host's firewall in a namespace.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl wget:wget python3:python3 haproxy:haproxy nft:nftables ip:iproute2
need_python requests==2.32.5
cd "$TMP"

# --- an application, the gateway, and haproxy ---------------------------------------------------------------------

mkdir site
mkdir site/chromium
echo hello >site/index.html
echo '<p>chromium</p>' >site/chromium/index.html
for page in curl wget requests proxied spoofed forwarded listed again; do echo "$page" >"site/$page"; done
free_port
application=$port
serve application "$application" python3 -m http.server --bind 127.0.0.1 --directory site "$application"
deploy gate demo "http://127.0.0.1:$application"
free_port
behind=$port
cat >gate/policy.toml <<POLICY
schema = "reeve.policy/1"
[policy]
title   = "Callers"
company = "Example Ltd"
version = "1"
owner   = "cto@example.com"
review  = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.callers]
title = "Who is answered"
[clause.tls]
section  = "callers"
text     = "TLS {min} or newer."
control  = "tls.floor"
severity = "high"
[clause.admin]
section  = "callers"
text     = "{routes} answers {networks} only."
control  = "edge.ip_allow"
with     = { routes = ["/admin"], networks = ["127.0.0.1", "127.0.0.8"] }
severity = "high"
[clause.agents]
section  = "callers"
text     = "Known bad user agents are refused, by a list at most {age} old."
control  = "bot.ua"
severity = "low"
[clause.signatures]
section  = "callers"
text     = "Bots are refused by {signatures}."
control  = "bot.signature"
severity = "medium"
POLICY
sed -i "s/^https .*/https  = [\"127.0.0.1:$https\", \"127.0.0.1:$behind\"]\nproxies = [\"127.0.0.1\"]\nproxy_protocol = [\"127.0.0.1:$behind\"]/" \
  gate/reeve.toml
sed -i 's/^\[bots\]/&\ndeny = ["unwanted-crawler"]\nallow = ["nikto of our own"]/' gate/reeve.toml
check "the deployment is sound" "$REEVE" check --config gate/reeve.toml
up gateway gate
CA=gate/reeve-data/ca/ca.pem
free_port
passing=$port
free_port
speaking=$port
cat >haproxy.cfg <<HAPROXY
defaults
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend passing
  mode tcp
  bind 127.0.0.1:$passing
  default_backend preamble
backend preamble
  mode tcp
  server reeve 127.0.0.1:$behind send-proxy-v2
frontend speaking
  mode http
  bind 127.0.0.1:$speaking
  option forwardfor
  default_backend fields
backend fields
  mode http
  server reeve 127.0.0.1:$https ssl verify none
HAPROXY
serve haproxy "$passing" haproxy -db -f haproxy.cfg

# A member of the newest event about a path: event PATH MEMBER
event() {
  python3 - "$1" "$2" gateway.out <<'PYTHON'
import json, sys
path, member, file = sys.argv[1:]
found = [event for line in open(file) for event in [json.loads(line)] if event.get("object") == path]
print(found[-1].get(member) if found else "no event")
PYTHON
}
# The same, once there is one.
told() {
  within 3 there_is "$1" || true
  event "$@"
}
there_is() { [[ $(event "$1" id) != "no event" ]]; }
code() { ask --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }

say "a proxy in front"
check "through haproxy with send-proxy-v2" is "$(code --interface 127.0.0.5 "https://localhost:$passing/proxied")" 200
check "the event names the client and not haproxy" is "$(told /proxied actor)" 127.0.0.5
check "a route for some networks: refused from elsewhere, through haproxy" \
  is "$(code --interface 127.0.0.5 "https://localhost:$passing/admin")" 403
check "answered (not found) to an address on the list, through haproxy" \
  is "$(code --interface 127.0.0.8 "https://localhost:$passing/admin")" 404
check "and for the addresses themselves without a proxy" \
  is "$(code --interface 127.0.0.9 "https://localhost:$https/%61dmin/x") $(code --interface 127.0.0.8 "https://localhost:$https/admin")" \
  "403 404"
check "past haproxy to the listener behind it: closed" is "$(code "https://localhost:$behind/past")" 000
check "a stranger's preamble: closed" is "$(code --interface 127.0.0.5 --haproxy-protocol "https://localhost:$behind/past")" 000
closed() { grep -c '"activity":"proxy.preamble".*"outcome":"refused"' gateway.out; }
both_recorded() { (($(closed) == 2)); }
check "both are recorded" within 3 both_recorded
check "nothing of either came further" is "$(event /past id)" "no event"
check "X-Forwarded-For of haproxy is believed" is "$(code --interface 127.0.0.6 "http://localhost:$speaking/forwarded")" 200
check "the event names its client" is "$(told /forwarded actor)" 127.0.0.6
check "what the client claimed before is not" \
  is "$(code --interface 127.0.0.6 -H 'X-Forwarded-For: 127.0.0.8' "http://localhost:$speaking/admin")" 403
check "X-Forwarded-For of a stranger is not believed" \
  is "$(code --interface 127.0.0.9 -H 'X-Forwarded-For: 127.0.0.8' "https://localhost:$https/spoofed")$(told /spoofed actor)" 200127.0.0.9
"$REEVE" --quiet ban --config gate/reeve.toml add 127.0.0.5 >/dev/null 2>&1 && fail "loopback can be banned"

say "clients of people and of operators"
check "curl" is "$(code "https://localhost:$https/curl")" 200
check "wget" wget --quiet --no-proxy --ca-certificate="$CA" -O /dev/null "https://localhost:$https/wget"
requests_get() { # requests_get URL: prints the status, or what kept it from coming
  "$PYTHON" -c '
import sys, requests
session = requests.Session()
session.trust_env = False
try: print(session.get(sys.argv[1], verify=sys.argv[2], timeout=10).status_code)
except requests.exceptions.ConnectionError: print("refused")' "$1" "$CA"
}
check "Python requests" is "$(requests_get "https://localhost:$https/requests")" 200
check "no User-Agent, as health checks" is "$(code -H 'User-Agent:' "https://localhost:$https/")" 200
for agent in kube-probe/1.34 Go-http-client/2.0 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'; do
  check "$agent" is "$(code -A "$agent" "https://localhost:$https/")" 200
done
browser=$(command -v chromium || true)
chromium_gets() { # chromium_gets URL
  # Its sandbox needs a user of its own; it visits nobody but this machine.
  timeout 60 "$browser" --headless --no-sandbox --disable-gpu --no-first-run --user-data-dir="$TMP/profile-$RANDOM" \
    --ignore-certificate-errors --no-proxy-server --dump-dom "$1" 2>/dev/null || true
}
if [[ -n $browser ]]; then
  check "Chromium" has "$(chromium_gets "https://localhost:$https/chromium/")" chromium
else
  say "  --    there is no Chromium here"
fi

say "tools that nobody wants"
for agent in 'sqlmap/1.9.10#stable (https://sqlmap.org)' 'Mozilla/5.00 (Nikto/2.5.0)' masscan/1.3 'UNWANTED-Crawler/7'; do
  check "$agent" is "$(code -A "$agent" "https://localhost:$https/")" 403
done
check "one that the settings allow" is "$(code -A 'Nikto of our own' "https://localhost:$https/")" 200
chrome='Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
check "curl that says it is Chrome" is "$(code -A "$chrome" "https://localhost:$https/")" 403
check "a blank User-Agent" is "$(code -H 'User-Agent;' "https://localhost:$https/")" 403

say "fingerprints"
# What a second reading makes of a client's hello: printed COMMAND... with `PORT` for the port
printed() {
  local name=print-$RANDOM
  free_port
  start "$name" python3 "$here/hello_print.py" "$port"
  wait_for_port "$port"
  "${@//PORT/$port}" >/dev/null 2>&1 || true
  within 20 test -s "$TMP/$name.out" || true
  print=$(cat "$TMP/$name.out")
}
printed ask "https://localhost:PORT/"
curl_print=$print
check "of curl, as a second reading: $curl_print" is "$(told /curl ja4)" "$curl_print"
printed requests_get "https://localhost:PORT/"
python_print=$print
check "of Python requests: $python_print" is "$(told /requests ja4)" "$python_print"
check "and they differ" lacks "$curl_print" "$python_print"
check "through haproxy it is the client's" is "$(told /proxied ja4)" "$curl_print"
check "of a request that a proxy speaks for there is none" is "$(told /forwarded ja4)" None
if [[ -n $browser ]]; then
  printed chromium_gets "https://localhost:PORT/"
  check "of Chromium: $print" is "$(told /chromium/ ja4)" "$print"
fi
order=$(told /curl header_order)
check "every event has the order of the header: $order" like "$order" '^(11|20)ge[0-9]{2}_[0-9a-f]{16}$'

ban() { "$REEVE" ban --config gate/reeve.toml "$@"; }
check "a ban by fingerprint" ban add --fingerprint "$python_print" --for 10m
check "Python is shut out" is "$(requests_get "https://localhost:$https/listed")" refused
check "curl is not" is "$(code "https://localhost:$https/listed")" 200
check "the list shows it" has "$(ban list 2>&1)" "$python_print"
stop "$gateway" 15
up gateway gate
check "it outlasts a restart" is "$(requests_get "https://localhost:$https/again")" refused
check "it is lifted" ban lift "$python_print"
check "Python is served again" is "$(requests_get "https://localhost:$https/again")" 200
check "the ledger knows of both" has "$("$REEVE" ledger --config gate/reeve.toml tail --json 2>&1)" "$python_print"
run ban add --fingerprint nonsense
check "nonsense is refused" has "$err" "is no fingerprint"

say "the proof"
run "$REEVE" prove --config gate/reeve.toml --json
printf '%s' "$out" >report.json
verdicts="sorted((row['clause'], row['verdict']) for row in d['clauses'])"
check "all four clauses are kept" is "$(json report.json "$verdicts")" \
  "[('admin', 'kept'), ('agents', 'kept'), ('signatures', 'kept'), ('tls', 'kept')]"
stop "$gateway" 15

# --- the host's firewall, in a network that is this test's own ----------------------------------------------------

say "the host's firewall"
if ((EUID == 0)); then
  unshare --net sleep 3600 &
  apart=$!
  children+=("$apart")
  other() { [[ $(readlink "/proc/$apart/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
  within 5 other || could_not_judge "no second network namespace"
  there() { nsenter --target "$apart" --net "$@"; }
  there ip link set lo up
  rules() { # rules POLICY PORTS
    there nft -f - <<RULES
flush ruleset
table inet host {
  chain input {
    type filter hook input priority 0; policy $1;
    iif lo accept
    ct state established,related accept
    meta l4proto { icmp, icmpv6 } accept
    tcp dport { $2 } accept
  }
}
RULES
  }
  sed -i '/^\[clause.admin\]/,$d' gate/policy.toml
  cat >>gate/policy.toml <<'POLICY'
[clause.firewall]
section  = "callers"
text     = "The host's firewall admits {ports} only."
control  = "host.firewall"
with     = { ports = [22, 443], ruleset = "DIGEST" }
severity = "high"
POLICY
  rules drop "22, 443"
  digest=$(there "$REEVE" firewall digest)
  check "the digest: $digest" like "$digest" '^sha256:[0-9a-f]{64}$'
  sed -i "s/DIGEST/$digest/" gate/policy.toml
  start inside-application nsenter --target "$apart" --net python3 -m http.server --bind 127.0.0.1 --directory site "$application"
  start inside nsenter --target "$apart" --net "$REEVE" up --config gate/reeve.toml
  inside=$started
  within 10 grep -qs 'serving.* https://' inside.err || fail "it does not serve in the namespace"
  judged() {
    run there "$REEVE" prove --config gate/reeve.toml --json
    printf '%s' "$out" >report.json
    json report.json "[row['verdict'] for row in d['clauses'] if row['clause'] == 'firewall'][0]"
  }
  # The gateway says that it serves before it has looked at the host's rules.
  is_kept() { [[ $(judged) == kept ]]; }
  check "rules that drop the rest are kept" within 15 is_kept
  rules drop "443, 22"
  check "in another order too" is "$(judged)" kept
  rules drop "22, 443, 5432"
  check "one port more is found" is "$(judged)" broken
  rules accept "22, 443"
  check "rules that admit the rest are found" is "$(judged)" broken
  there nft flush ruleset
  check "and no rules at all" is "$(judged)" broken
  stop "$inside" 15
else
  say "  --    a namespace needs root"
fi
finish
