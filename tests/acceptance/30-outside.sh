#!/usr/bin/env bash
# `reeve prove --target` judges a real application behind nginx, where no Reeve is: every fault planted in a careless
# configuration is named, none is invented for a careful one, and testssl.sh and sslscan, which know nothing of Reeve,
# agree with every verdict on TLS, on both and on Reeve itself.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need nginx:nginx-light openssl:openssl curl:curl testssl:testssl.sh sslscan:sslscan
need_python httpbin==0.10.4 gunicorn==27.0.1 websockets==17.4

policy="$here/outside.toml"

say "httpbin under gunicorn"
free_port
app=$port
serve httpbin "$app" "$PYTHON" -m gunicorn --bind "127.0.0.1:$app" --workers 1 --threads 16 --graceful-timeout 1 \
  httpbin:app

# --- certificates: an authority, and by it one key with a certificate that ends soon and one that does not --------

cd "$TMP"
openssl req -x509 -newkey rsa:2048 -nodes -days 100 -subj "/CN=Acceptance test" -keyout authority.key -out ca.pem \
  2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout key.pem -out request.pem 2>/dev/null
for pair in short:10 long:90; do
  openssl x509 -req -in request.pem -CA ca.pem -CAkey authority.key -days "${pair#*:}" -out "${pair%:*}.pem" \
    -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature,keyEncipherment\n') \
    2>/dev/null
done

# Starts an nginx in one process and sets `https` and `http`: nginx_with NAME CONFIGURATION
nginx_with() {
  local name=$1
  free_port
  https=$port
  free_port
  http=$port
  mkdir -p "$name/site"
  cp ./*.pem "$name"
  printf '<!doctype html><title>Something is wrong</title><h1>Something is wrong</h1>\n' >"$name/site/error.html"
  {
    printf 'daemon off;\nmaster_process off;\npid nginx.pid;\nevents { worker_connections 2048; }\n'
    sed "s/@https@/$https/; s/@http@/$http/; s/@app@/$app/" "$2"
  } >"$name/nginx.conf"
  serve "$name" "$https" nginx -e error.log -c nginx.conf -p "$TMP/$name"
}

# Judges a target and sets `status` and the file NAME.json: judge NAME HTTPS HTTP CA
judge() {
  run "$REEVE" prove --target "https://localhost:$2" --http-port "$3" --ca "$4" --policy "$policy" --json
  cp "$TMP/run.out" "$TMP/$1.json"
}

clauses() { json "$TMP/$1.json" '" ".join(c["clause"] for c in d["clauses"] if c["verdict"] == "'"$2"'")'; }
# All that was observed for a clause, a line each.
seen() {
  json "$TMP/$1.json" '"\n".join(line for c in d["clauses"] if c["clause"] == "'"$2"'" for line in c["observations"])'
}

nginx_with careless "$here/careless.conf"
careless=$https careless_http=$http
nginx_with careful "$here/careful.conf"
careful=$https careful_http=$http
deploy "$TMP/site" demo "http://127.0.0.1:$app"
cp "$policy" "$TMP/site/policy.toml"
up reeve "$TMP/site"
reeve=$https reeve_http=$http

# --- the careless one ---------------------------------------------------------------------------------------------

planted=(
  versions suites key-length forward-secrecy no-plaintext https-only certificate hsts content-policy framing headers
  rate size slow error-page no-debug
)
say "reeve prove --target, careless nginx"
begun=$EPOCHREALTIME
judge careless "$careless" "$careless_http" ca.pem
say "  $(seconds_since "$begun") s, $(json careless.json 'd["requests"]') requests"
check "exit code 1" is "$status" 1
check "exactly the ${#planted[@]} planted faults are named" is "$(clauses careless broken)" "${planted[*]}"
check "what is well is kept" is "$(clauses careless kept)" "methods"
check "nothing is left unknown" is "$(clauses careless unknown)" ""
named() { check "$1: $2" has "$(seen careless "$1")" "$2"; }
named versions "TLS 1.0 is accepted"
named versions "TLS 1.1 is accepted"
named suites "TLS 1.2 accepts suites outside the list"
named suites "TLS_RSA_WITH_AES_128_CBC_SHA"
named suites "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"
named key-length "TLS_ECDHE_RSA_WITH_NULL_SHA"
named forward-secrecy "TLS_RSA_WITH_AES_256_GCM_SHA384"
named no-plaintext "127.0.0.1:$careless_http answers plain HTTP with 200"
named https-only "127.0.0.1:$careless_http answers plain HTTP with 200"
named certificate "9 days left, promised 30d"
named hsts "no Strict-Transport-Security"
named content-policy "no Content-Security-Policy"
named framing "no X-Frame-Options"
for header in X-Content-Type-Options Referrer-Policy Permissions-Policy Cross-Origin-{Opener,Resource}-Policy; do
  named headers "no $header"
done
named rate "there is no limit"
named size "a target one past the limit is answered with 200"
named size "a head one past the limit is answered with 200"
named slow "a trickled head is still waited for"
named error-page "the stock error page of nginx"
named error-page "a version banner, \`nginx/"
named error-page "the stock error page of Werkzeug"
named no-debug "server: nginx/"
named no-debug "/server-status shows a server status page"

# --- the careful one and Reeve ------------------------------------------------------------------------------------

for target in "careful $careful $careful_http ca.pem" "reeve $reeve $reeve_http site/reeve-data/ca/ca.pem"; do
  read -r name at plain ca <<<"$target"
  say "reeve prove --target, $name, by the same policy"
  begun=$EPOCHREALTIME
  judge "$name" "$at" "$plain" "$ca"
  say "  $(seconds_since "$begun") s, $(json "$name.json" 'd["requests"]') requests"
  # nginx has no least rate for bodies: one byte before each of its deadlines holds a connection for ever.
  fault="" code=0
  if [[ $name == careful ]]; then fault=slow code=1; fi
  check "exit code $code" is "$status" $code
  check "the faults that are named: ${fault:-none}" is "$(clauses "$name" broken)" "$fault"
  check "nothing is left unknown" is "$(clauses "$name" unknown)" ""
  check "every other clause is kept" is "$(json "$name.json" 'd["counts"]["kept"]')" \
    $(($(grep -c '^\[clause\.' "$policy") - $(wc -w <<<"$fault")))
done

say "reeve prove --target, whom to trust"
# The same policy with one clause alone: only CONTROL
only() { awk -v RS= -v ORS='\n\n' -v control="\"$1\"" '!/\[clause\./ || index($0, control)' "$policy"; }
only tls.cert_expiry >trust.toml
trusts() {
  run "$REEVE" prove --target "https://localhost:$careful" --policy trust.toml --json "$@"
  say "$status $(json "$TMP/run.out" '[c["verdict"] for c in d["clauses"]]')"
}
check "the site's own authority vouches for it" is "$(trusts --ca ca.pem)" "0 ['kept']"
check "another one does not" is "$(trusts --ca site/reeve-data/ca/ca.pem)" "1 ['broken']"
check "nor do those of the machine" is "$(trusts)" "1 ['broken']"

say "reeve prove --target, a careful nginx without a limit of bodies"
# httpbin's home page takes no POST of whatever size, and its other pages do: what was not seen is not kept.
only input.size >size.toml
sed 's/client_max_body_size 64k/client_max_body_size 0/' "$here/careful.conf" >bodies.conf
nginx_with bodies bodies.conf
run "$REEVE" prove --target "https://localhost:$https" --ca ca.pem --policy size.toml --json
head -c 70000 /dev/zero >body
check "a body past the limit is served" is \
  "$(CA=ca.pem ask -o /dev/null -w '%{http_code}' --data-binary @body "https://localhost:$https/post")" 200
check "so the clause is not kept" lacks "$(json "$TMP/run.out" '[c["verdict"] for c in d["clauses"]]')" "'kept'"

# --- two scanners -------------------------------------------------------------------------------------------------

# testssl.sh opens some hundred connections one after another: a quarter of a minute each for versions and categories,
# and as much for the list of suites with OpenSSL. REEVE_ACCEPTANCE_FULL=1 lets it try all 370 suites by hand, forward
# secrecy and the certificate too.
scan() {
  local name=$1 at=$2 options=(--quiet --color 0 --warnings off --ip 127.0.0.1)
  # Its test of groups waits for what a HelloRetryRequest does not bring.
  sslscan --no-colour --no-groups --xml="$name.xml" "localhost:$at" >"$name.sslscan" 2>&1
  if [[ -n ${REEVE_ACCEPTANCE_FULL:-} ]]; then
    testssl "${options[@]}" -p -s -f -S -e --jsonfile "$name.testssl.json" "localhost:$at" >"$name.testssl" 2>&1
  else
    testssl "${options[@]}" -p -s --jsonfile "$name.testssl.json" "localhost:$at" >"$name.testssl" 2>&1
    testssl "${options[@]}" --ssl-native -e --jsonfile "$name.suites.json" "localhost:$at" >>"$name.testssl" 2>&1
  fi
}

say "testssl.sh and sslscan"
begun=$EPOCHREALTIME
scans=()
for target in "careless $careless" "careful $careful" "reeve $reeve"; do
  read -r name at <<<"$target"
  # What a scanner thinks of a site is no failure of the scan.
  scan "$name" "$at" || true &
  scans+=("$!")
  children+=("$!")
done
wait "${scans[@]}"
say "  $(seconds_since "$begun") s"
for target in "careless $careless_http" "careful $careful_http" "reeve $reeve_http"; do
  read -r name plain <<<"$target"
  got=$(ask -o /dev/null -w '%{http_code} %{redirect_url}' "http://localhost:$plain/")
  reports=("$name.testssl.json")
  if [[ -e $name.suites.json ]]; then reports+=("$name.suites.json"); fi
  table=$("$PYTHON" "$here/agree.py" "$name.json" "$name.xml" "$got" "${reports[@]}" 2>&1) && agreed=yes || agreed=no
  say "${table//$'\n'/$'\n'  }"
  check "they agree with every verdict on TLS: $name" is "$agreed" yes
done

finish
