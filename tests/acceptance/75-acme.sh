#!/usr/bin/env bash
# Certificates from a real ACME server (pebble), for a gateway that is shut in and serves meanwhile: issued in three ways,
# kept over a restart, exchanged under load, renewed in time; and what happens when the authority is slow or gone.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl openssl:openssl python3:python3 pebble:pebble pebble-challtestsrv:pebble wrk:wrk

cd "$TMP"
free_port
app=$port
serve upstream "$app" python3 "$here/upstream.py" "$app"

# --- pebble -------------------------------------------------------------------------------------------------------

# The package brings no certificate for pebble itself: an authority and one for localhost.
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${ec[@]}" -keyout minica.key -out minica.pem -days 2 -subj "/CN=minica" 2>/dev/null
openssl req "${ec[@]}" -keyout pebble.key -out pebble.csr -subj "/CN=localhost" 2>/dev/null
openssl x509 -req -in pebble.csr -CA minica.pem -CAkey minica.key -CAcreateserial -days 2 -out pebble.pem \
  -extfile <(echo "subjectAltName=DNS:localhost") 2>/dev/null

site="$TMP/site"
deploy "$site" public-api "http://127.0.0.1:$app"
free_port
dns=$port
free_port
dns_management=$port
serve challtestsrv "$dns_management" pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 "" -http01 "" \
  -https01 "" -tlsalpn01 "" -dns01 "127.0.0.1:$dns" -management "127.0.0.1:$dns_management"
free_port
directory=$port
free_port
management=$port

# Starts pebble, whose certificates last so many seconds: authority SECONDS
authority() {
  cat >pebble.json <<JSON
{"pebble": {"listenAddress": "127.0.0.1:$directory", "managementListenAddress": "127.0.0.1:$management",
  "certificate": "pebble.pem", "privateKey": "pebble.key", "httpPort": $http, "tlsPort": $https,
  "ocspResponderURL": "", "externalAccountBindingRequired": false, "certificateValidityPeriod": $1}}
JSON
  PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=15 PEBBLE_AUTHZREUSE=0 \
    serve pebble "$directory" pebble -config pebble.json -dnsserver "127.0.0.1:$dns" -strict
  pebble=$started
  # It makes its authorities anew each time.
  ask --insecure "https://127.0.0.1:$management/roots/0" >root.pem
  cat pebble.out >>pebble.log
}
orders() { grep -c "Added order" pebble.out || true; }
authority 7776000

# --- the deployment -----------------------------------------------------------------------------------------------

# Sets what [tls] and [acme] say: asks_for NAMES MORE...
asks_for() {
  local names=$1
  shift
  python3 - "$site/reeve.toml" "$names" "https://localhost:$directory/dir" "$TMP/minica.pem" "$@" <<'PY'
import re, sys
path, names, directory, ca, *more = sys.argv[1:]
text = re.sub(r"\n\[acme\]\n.*?(?=\n\[)", "", open(path).read(), flags=re.S)
text = re.sub(r"(?m)^(local|acme) = .*$", f"acme = [{names}]", text, count=1)
acme = [f'directory = "{directory}"', f'ca = "{ca}"', "terms_agreed = true", 'contact = ["mailto:admin@site.test"]']
text = text.replace("\n[upstream]\n", "\n[acme]\n" + "\n".join(acme + more) + "\n\n[upstream]\n", 1)
open(path, "w").write(text)
PY
}
# Load would run into the policy's rate, and is not what is tried here.
sed -i 's|with     = { rate = "600/min", burst = 100 }|with     = { rate = "6000000/min", burst = 100000 }|' "$site/policy.toml"
sed -i "s|^public = .*|public = \"https://www.site.test:$https\"|; s|^# access = .*|access = \"off\"|" "$site/reeve.toml"
asks_for '"www.site.test", "site.test"'

reeve() { "$REEVE" "$@" --config "$site/reeve.toml"; }
# The code and the certificate that a visitor gets who trusts the authority: visit NAME [CURL_ARGUMENT...]
visit() {
  local name=$1
  shift
  CA=root.pem ask --resolve "$name:$https:127.0.0.1" -o /dev/null -w '%{http_code}' "$@" "https://$name:$https/ok"
}
shown() { # NAME
  openssl s_client -connect "127.0.0.1:$https" -servername "$1" </dev/null 2>/dev/null |
    openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//'
}
status_of() { # EXPRESSION over the first certificate `c`
  reeve cert status --json >"$TMP/status.json" 2>/dev/null || true
  json "$TMP/status.json" "(lambda c: ($1))(d['certificates'][0])"
}
issued() { [[ $(status_of 'c["temporary"], c["failures"]') == "(False, 0)" ]]; }
# The events of the ledger with this member: recorded KEY=VALUE
recorded() { "$REEVE" ledger --config "$site/reeve.toml" tail -n 1000 --json --where "$1" 2>/dev/null; }

# Entries are sealed some times a second, and read only then: recorded_soon KEY=VALUE TEXT
recorded_soon() { within 5 told "$1" "$2"; }
told() { [[ $(recorded "$1") == *"$2"* ]]; }

say "issued at the first start, over http-01, past the redirect"
check "the settings have no fault" reeve check --quiet
up reeve "$site"
check "it serves before there is a certificate" like "$(CA='' ask --insecure -o /dev/null -w '%{http_code}' "https://127.0.0.1:$https/")" "^[234]"
check "within ten seconds there is one" within 10 issued
check "whoever trusts the authority is served" is "$(visit www.site.test) $(visit site.test)" "200 200"
check "plain HTTP still leads to HTTPS" is "$(ask -o /dev/null -w '%{http_code}' "http://127.0.0.1:$http/x")" 308
check "the gateway is shut in meanwhile" lacks "$(cat reeve.err)" "sandbox:"
check "the issue is in the security trail" recorded_soon activity=certificate.issued '"www.site.test","site.test"'
run reeve cert status
check "cert status: exit code 0" is "$status" 0
check "cert status: it names the issuer" has "$out" "Pebble"
check "no key lies on the disk in clear" is "$(grep -rlE 'PRIVATE KEY|key_pkcs8' "$site/reeve-data" || true)" ""

say "a restart keeps it"
first=$(shown www.site.test)
before=$(orders)
stop "$gateway" 10
up restarted "$site"
check "the same certificate from the first handshake on" is "$(shown www.site.test)" "$first"
sleep 2
check "something was before" at_least "$before" 1
check "nothing was ordered" is "$(orders)" "$before"

say "exchanged under load"
url="https://127.0.0.1:$https/ok"
start wrk wrk -t2 -c16 -d8s --latency -H "Host: www.site.test" "$url"
wrk=$started
# shellcheck disable=SC2016 # the expressions are the inner shell's
start visitors bash -c 'while :; do curl --disable -s --http1.1 --max-time 10 --cacert "$0" --resolve "$1" -o /dev/null -w "%{http_code} %{errormsg}\n" "$2"; done' \
  root.pem "www.site.test:$https:127.0.0.1" "https://www.site.test:$https/ok"
visitors=$started
for round in 1 2 3; do
  last=$(shown www.site.test)
  run reeve cert renew www.site.test
  check "renewal $round is done" is "$status" 0
  check "renewal $round: new handshakes see it" lacks "$(shown www.site.test)" "$last"
done
within 20 gone "$wrk" || true
stop "$visitors" 5
check "the visitors who come anew were all served ($(wc -l <visitors.out))" is "$(grep -vc '^200 $' visitors.out || true)" 0
check "there were many of them" at_least "$(wc -l <visitors.out)" 50
check "no request over an open connection failed" lacks "$(cat wrk.out)" "Non-2xx"
check "and no connection broke" lacks "$(cat wrk.out)" "Socket errors"
say "  $(grep 'requests in' wrk.out | xargs) meanwhile"
check "each renewal is an act on record" is "$(recorded activity=certificate.renew | wc -l)" 3

say "over tls-alpn-01, by a reload"
asks_for '"www.site.test", "site.test"' 'challenge = "tls-alpn-01"'
check "reload" reeve reload
last=$(shown www.site.test)
check "renewed" reeve cert renew
check "another certificate is shown" lacks "$(shown www.site.test)" "$last"
check "visitors are served" is "$(visit www.site.test)" 200

say "a wildcard over dns-01, by a command that runs outside the sandbox"
cat >hook.sh <<SH
#!/bin/sh
set -eu
echo "\$1 \$2" >>"$TMP/hook.log"
case \$1 in
  present) curl -sf -d "{\"host\": \"\$2.\", \"value\": \"\$3\"}" http://127.0.0.1:$dns_management/set-txt ;;
  cleanup) curl -sf -d "{\"host\": \"\$2.\"}" http://127.0.0.1:$dns_management/clear-txt ;;
esac
SH
chmod +x hook.sh
asks_for '"*.site.test", "site.test"' 'challenge = "dns-01"' "dns_hook = [\"$TMP/hook.sh\"]" 'dns_wait = "0s"'
check "the settings have no fault" reeve check --quiet
check "a reload says that the hook needs a restart" has "$(reeve reload 2>&1)" "dns_hook"
stop "$gateway" 10
up wildcard "$site"
check "issued" within 15 issued
check "any host below it is served" is "$(visit any.site.test) $(visit site.test)" "200 200"
check "two labels below it are not" lacks "$(visit a.b.site.test 2>&1)" "200"
# Once for each name; less where the authority still knows a proof, more where it had to be asked again.
check "something was put into the DNS" at_least "$(grep -c present hook.log)" 1
check "what was put into the DNS was taken out" is "$(grep -c cleanup hook.log)" "$(grep -c present hook.log)"
cat >hook.sh <<'SH'
#!/bin/sh
echo "no such zone" >&2
exit 3
SH
run reeve cert renew
check "a hook that fails is quoted" has "$err" "no such zone"
check "visitors are served" is "$(visit any.site.test)" 200

say "the keys are rotated"
check "everything is sealed anew" "$REEVE" key rotate --config "$site/reeve.toml"
last=$(shown any.site.test)
stop "$gateway" 10
up rotated "$site"
check "the certificate opens" is "$(shown any.site.test)" "$last"

say "an authority that says nothing"
free_port
silent=$port
serve silent "$silent" python3 -c "
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(64)
kept = []
while True: kept.append(s.accept())" "$silent"
speaks=$directory
directory=$silent
asks_for '"www.site.test", "site.test"'
directory=$speaks
check "reload" reeve reload
begun=$EPOCHREALTIME
run reeve cert renew
check "is given up after half a minute" at_most "$(seconds_since "$begun")" 40
check "and said so" has "$err" "within 30s"
run reeve cert status
check "cert status: exit code 1" is "$status" 1
check "cert status: why, and when it goes on" like "$err" "failed.*within 30s.*tried again at"
check "it is in the security trail" recorded_soon activity=acme.failed "within 30s"
stop "$gateway" 10

say "renewed by itself, before two thirds of a life of 45 s"
stop "$pebble" 5 KILL
authority 45
asks_for '"www.site.test"' 'retry = "10s"'
up short "$site"
check "issued" within 15 issued
last=$(status_of 'c["fingerprint"]')
due=$(status_of 'c["due"]')
changed() { [[ $(status_of 'c["fingerprint"]') != "$last" ]]; }
check "replaced within 30 s" within 31 changed
# Wherever the second is cut, the moment lies before two thirds of the life.
check "not before it was due ($due)" at_least "$(date +%s.%N)" "$(date -d "$due" +%s.%N)"
check "served by whoever trusts the authority" is "$(visit www.site.test)" 200
awk -v RS= -v ORS='\n\n' '!/\[clause\./ || index($0, "\"tls.acme\"")' "$site/policy.toml" >acme.toml
verdict() {
  run reeve prove --policy acme.toml --json
  say "$status $(json "$TMP/run.out" '[c["verdict"] for c in d["clauses"]]')"
}
check "tls.acme is kept" is "$(verdict)" "0 ['kept']"

say "an authority that is gone"
stop "$pebble" 5 KILL
last=$(status_of 'c["fingerprint"]')
tried() { [[ $(status_of 'c["failures"]') != 0 ]]; }
check "it is noticed when the next one is due" within 32 tried
check "the old certificate goes on" is "$(status_of 'c["fingerprint"]') $(visit www.site.test)" "$last 200"
check "the cause is on record" recorded_soon activity=acme.failed "cannot connect to localhost:$directory"
overdue() { [[ $(verdict) == "1 ['broken']" ]]; }
check "past two thirds of its life, tls.acme is broken" within 8 overdue
authority 7776000
check "when it is back, the next attempt succeeds by itself" within 25 issued
check "under its new authority" is "$(visit www.site.test)" 200
check "tls.acme is kept" is "$(verdict)" "0 ['kept']"
check "the attempts were few" at_most "$(recorded activity=acme.failed | wc -l)" 6
check "nothing panicked" lacks "$(cat reeve.err restarted.err wildcard.err rotated.err short.err)" "panicked"
stop "$gateway" 10
check "it ends well" is "$status" 0

finish
