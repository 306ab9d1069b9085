#!/usr/bin/env bash
# From the reference on a refusal to its explanation: `reeve waf explain`, beside a gateway that runs, on events in its
# ledger. Secrets that attacks carry are in none of it.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3
cd "$TMP"

free_port
application=$port
serve application "$application" python3 "$here/upstream.py" "$application"
deploy gate demo "http://127.0.0.1:$application"
firewall_policy gate 'paranoia = 1, threshold = 5, body = "256 KiB", responses = true' '[clause.tls]
section  = "firewall"
text     = "TLS {min} or newer."
control  = "tls.floor"
severity = "high"
[clause.log]
section  = "firewall"
text     = "We keep a record of every request."
control  = "log.access"
severity = "high"
[clause.methods]
section  = "firewall"
text     = "We take only these methods: {methods}."
control  = "input.methods"
severity = "low"'
check "the deployment is sound" "$REEVE" check --config gate/reeve.toml
up gateway gate
CA=gate/reeve-data/ca/ca.pem
site=https://localhost:$https

ids='[0-9A-HJKMNP-TV-Z]{26}'
# The reference on a refusal's page: reference CURL...
reference() { ask "$@" | grep -oE "$ids" | head -1; }
# Until the ledger has it: a checkpoint comes within a second.
explained() { "$REEVE" waf explain --config gate/reeve.toml "$1" >explained 2>&1; }
explain() {
  check "the event $1 is found" within 10 explained "$1"
  run "$REEVE" waf explain --config gate/reeve.toml "$1"
}

say "from a page"
page=$(reference --get --data-urlencode "q=1' UNION SELECT name, pass FROM users -- " "$site/search")
explain "$page"
check "the request" like "$out" '^GET /search\?q  refused with 403'
check "the rule with its place" like "$out" '<built-in rules>:[0-9]+, critical, paranoia level 1, sqli'
check "where, and a slice that shows the attack" like "$out" "ARGS:q  .*UNION SELECT xxxx, xxxx FROM"
check "what it adds up to" like "$out" 'The score is [0-9]+ \(97[0-9]+ \+5.*\), and from 5 on a request is refused\. Rule 97[0-9]+ refused it\.'
check "the rules are the same" lacks "$out" "have changed"
check "what now" like "$err" "reeve waf suggest $page"

say "from problem details, over HTTP/2"
problem=$(reference --http2 --header 'Accept: application/json' --json '{"a":{"b":"<script>alert(1)</script>"}}' "$site/api")
explain "$problem"
check "the member of the document" like "$out" 'ARGS:json\.a\.b +<script>alert\(9\)</script>'
run "$REEVE" waf explain --config gate/reeve.toml "urn:ulid:$problem" --json
check "as JSON" is "$(json run.out 'd["event"], d["status"], d["rules_changed"], d["rules"][0]["places"][0]["at"]')" \
  "('$problem', 403, False, 'ARGS:json.a.b')"

say "secrets"
secrets=(hunter2correct Tr0ub4dorX 4111111111111111 eyJhbGciOiJIUzI1NiJ9 AKIAIOSFODNN7EXAMPLE
  ghp_16C7e42F292c6912E7710c838347Ae178B4a s3cr3tapikey 9f86d081884c7d659a2feaa0c55ad015 pgpass99 491701234567
  ada.lovelace@example.org 078-05-1120 DE89370400440532013000 xmlsecretvalue 4f1c9b0e7d2a4c6b8f0e1d3c plaintextsecret
  591337 dXNlcjpodW50ZXIy pathpassword1 jsonpassw0rd)
sql="' UNION SELECT 1,2,3 FROM t -- "
planted=()
plant() { planted+=("$(reference "$@")"); }
for secret in "${secrets[@]}"; do
  case $secret in
    hunter2correct) plant --data-urlencode "password=$secret$sql" "$site/login" ;;
    s3cr3tapikey) plant --header "X-Api-Key: $secret$sql" "$site/" ;;
    9f86*) plant --cookie "session=$secret$sql" "$site/" ;;
    dXNl*) plant --header "Authorization: Basic $secret" --get --data-urlencode "q=$sql" "$site/" ;;
    4f1c*) plant --get --data-urlencode "$secret=$sql" "$site/" ;;
    591337) plant --get --data-urlencode "otp=$secret$sql" "$site/" ;;
    pathpassword1) plant --get --data-urlencode "q=$sql" "$site/reset/$secret" ;;
    xmlsecretvalue) plant --header 'Content-Type: application/xml' --data "<a><password>$secret</password><b>$sql</b></a>" "$site/api" ;;
    jsonpassw0rd) plant --json "{\"password\":\"$secret$sql\"}" "$site/api" ;;
    plaintextsecret) plant --header 'Content-Type: text/plain' --data "token=$secret&x=$sql" "$site/api" ;;
    *) plant --data-urlencode "note=$secret$sql" "$site/notes" ;;
  esac
done
is_there() { [[ ${#planted[@]} -eq ${#secrets[@]} ]] && ! printf '%s\n' "${planted[@]}" | grep -qvE "^$ids\$"; }
check "${#secrets[@]} attacks with a secret in each are refused" is_there
check "the last of them is recorded" within 10 explained "${planted[-1]}"
: >all-explained
for id in "${planted[@]}"; do "$REEVE" waf explain --config gate/reeve.toml "$id" >>all-explained 2>&1 || true; done
check "each is explained" is "$(grep -c 'refused with 403' all-explained)" "${#secrets[@]}"
"$REEVE" ledger --config gate/reeve.toml tail --json -n 1000 >ledger
check "the ledger has their findings" like "$(cat ledger)" '"findings":'
for secret in "${secrets[@]}"; do
  check "$secret is neither in the log, nor in the ledger, nor explained" \
    is "$(grep -cF "$secret" gateway.out ledger all-explained | tr '\n' ' ')" "gateway.out:0 ledger:0 all-explained:0 "
done

say "a request that is brought"
printf "GET /search?q=1%%27%%20UNION%%20SELECT%%20hunter2 HTTP/1.1\nHost: localhost\n\n" >request
run "$REEVE" waf explain --config gate/reeve.toml --request request
check "is shown in clear" like "$out" "ARGS:q +1' UNION SELECT hunter2"
check "and would be refused" like "$out" 'refused with 403'

say "what cannot be explained"
method=$(reference --request BREW "$site/pot")
check "the other event is recorded" within 10 grep -q "$method" gateway.out
refused_by_another() { run "$REEVE" waf explain --config gate/reeve.toml "$method" && [[ $err == *'is not the firewall'* ]]; }
check "an event of another control" within 10 refused_by_another
run "$REEVE" waf explain --config gate/reeve.toml "$method"
check "is named with what refused it" like "$err" 'refused by `input.methods`'
run "$REEVE" waf explain --config gate/reeve.toml "${page:0:25}Z"
check "one that is off by a sign" is "$status $(tail -1 <<<"$err")" "2 hint: did you mean $page?"
run "$REEVE" waf explain --config gate/reeve.toml 01AAAAAAAAAAAAAAAAAAAAAAAA
check "an unknown one: the last ones are named" has "$err" "${planted[-1]}"
check "and it is an error" is "$status" 2

say "other rules since"
mkdir gate/rules
# shellcheck disable=SC2016 # nothing here is for the shell
printf '%s\n' 'SecRule ARGS "@contains canary" "id:1000,phase:2,deny,t:none,log,msg:'"'canary'"'"' >gate/rules/own.conf
printf '[waf]\nrules = "rules"\n' >>gate/reeve.toml
run "$REEVE" waf explain --config gate/reeve.toml "$page"
check "are told of" is "$status $(grep -c 'The rules have changed since' <<<"$out")" "0 1"
check "a rule that is gone" has "$out" "no rule of this id is loaded"
printf 'SecRule ARGS "@nonsense" "id:1,phase:2,deny"\n' >gate/rules/own.conf
run "$REEVE" waf explain --config gate/reeve.toml "$page"
check "rules that cannot be read are named" like "$err" 'own\.conf:1: '
check "and the event is explained by itself" is "$status $(grep -c 'refused with 403' <<<"$out")" "2 1"
mv gate/reeve-data/keys gate/reeve-data/keys-away
run "$REEVE" waf explain --config gate/reeve.toml "$page"
check "a ledger that cannot be opened" like "$status $err" '^2 error: .*the ledger cannot be read'
finish
