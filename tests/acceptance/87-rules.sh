#!/usr/bin/env bash
# Rule sets that can be trusted: pinned by digest, tried before they run, fed over TLS; rules of applications' own, by
# their canaries. Feeds that lie in every way are refused, and the rules that run stay.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 openssl:openssl
cd "$TMP"

free_port
application=$port
serve application "$application" python3 "$here/upstream.py" "$application"
deploy gate demo "http://127.0.0.1:$application"
firewall_policy gate '' '[clause.own]
section  = "firewall"
text     = "Each application has at least {per_app} rule of its own."
control  = "waf.custom"
with     = { per_app = 1 }
severity = "medium"
[clause.age]
section  = "firewall"
text     = "Rules are no older than {max_age}."
control  = "waf.rule_age"
with     = { max_age = "7d" }
severity = "medium"'
cp gate/reeve.toml plain.toml
CA=gate/reeve-data/ca/ca.pem
site=https://localhost:$https
code() { ask --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }

# The settings with this under [waf] and after it: settings TEXT [TEXT AFTER IT]
settings() {
  sed '/^\[waf\]/d' plain.toml >gate/reeve.toml
  printf '\n[waf]\n%s\n%s\n' "$1" "${2:-}" >>gate/reeve.toml
}
reload() { run "$REEVE" reload --config gate/reeve.toml; }

# --- a rule set, pinned ---------------------------------------------------------------------------------------------

root="$(dirname "$(dirname "$here")")"
mkdir -p gate/crs/rules
{ printf 'SecComponentSignature "EXAMPLE/1"\n'; cat "$root/crates/waf/rules/reeve.conf"; } >gate/crs/rules/reeve.conf
pin=$("$REEVE" waf pin --rules gate/crs 2>pin.err)
check "a digest" like "$pin" '^sha256:[0-9a-f]{64}$'
check "and the version" has "$(cat pin.err)" "EXAMPLE/1"
check "it is that of the list that sha256sum reads" is "sha256:$("$REEVE" waf pin --rules gate/crs --files | sha256sum | cut -d' ' -f1)" "$pin"
check "which holds" bash -c "cd gate/crs && '$REEVE' waf pin --rules . --files | sha256sum --check --quiet"
own='[[waf.custom]]
file = "own.conf"
canaries = [{ rule = 1000, canary = "/orders?id=__canary__", twin = "/orders?id=1" }]'
cat >gate/own.conf <<'RULES'
SecRule ARGS:id "!@rx ^[0-9]{1,12}$" "id:1000,phase:2,deny,status:403,t:none,log,msg:'no order'"
RULES
settings "rules = \"crs\"
digest = \"$pin\"" "$own"
run "$REEVE" check --config gate/reeve.toml
check "settings that pin it are sound" is "$status" 0
check "and the check says which rules" has "$err" "rules EXAMPLE/1, 1 file, $pin"
up gateway gate
check "attacks are refused, and what is harmless is not" is "$(code "$site/?q=%3Cscript%3Ealert(1)%3C/script%3E") $(code "$site/?q=script")" "403 200"
check "so is what the application's own rule refuses" is "$(code "$site/orders?id=x") $(code "$site/orders?id=7")" "403 200"
# What was recorded can be read once it is sealed.
in_ledger() { "$REEVE" ledger --config gate/reeve.toml tail --lines 100 --json --where activity=waf.rules | grep -qF "$pin"; }
check "digest and version are in the ledger" within 5 in_ledger
run "$REEVE" prove --config gate/reeve.toml
check "the rules of the application's own are proved" like "$out" '^kept +own'
check "and the age of files by their times" like "$out" '^kept +age'

echo '# changed' >>gate/crs/rules/reeve.conf
reload
check "other rules are not taken up" is "$status" 1
check "with the digest that was found" like "$(tr -s ' │\n' ' ' <<<"$err")" "found *sha256:[0-9a-f]{64}, pinned is"
check "and the remedy" has "$err" "reeve waf pin"
check "the old ones go on" is "$(code "$site/?q=%3Cscript%3Ealert(1)%3C/script%3E")" 403
run "$REEVE" waf pin --config gate/reeve.toml
check "the command says that another is pinned" is "$status" 1
stop "$gateway" 10
run timeout 20 "$REEVE" up --config gate/reeve.toml
check "nor does anything start with them" like "$status $err" '^1 .*|not those that are pinned'

# --- rules that do not do their work --------------------------------------------------------------------------------

settings 'rules = "crs"' "$own"
up gateway gate
echo 'SecRuleRemoveById 9701000-9701099' >gate/crs/rules/zz.conf
reload
check "rules that let SQL injection pass are not taken up" like "$err" 'SQL injection in the query is not refused'
rm gate/crs/rules/zz.conf
settings 'rules = "crs"
tests = "tests"' "$own"
mkdir gate/tests
cat >gate/tests/1000.yaml <<'TEST'
rule_id: 1000
tests:
  - test_id: 1
    stages:
      - input: { uri: "/orders?id=x", headers: { Host: localhost } }
        output: { log: { expect_ids: [1000] } }
TEST
reload
check "rules that pass the operator's tests are taken up" is "$status" 0
sed -i 's/expect_ids: \[1000\]/no_expect_ids: [1000]/' gate/tests/1000.yaml
reload
check "rules that fail one are not, and it is named" like "$err" '1000-1 of '
settings 'rules = "crs"' "${own/__canary__/7}"
reload
check "a canary that the rule lets through is named" has "$err" 'rule 1000 does not refuse its canary `/orders?id=7`'
check "and all the while the old rules ran" is "$(code "$site/orders?id=x") $(code "$site/orders?id=7")" "403 200"

# --- a feed, over TLS -----------------------------------------------------------------------------------------------

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout tls.key -out gate/tls.pem 2>/dev/null
free_port
feed=$port
cat >feed.py <<'PYTHON'
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="feed")
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("gate/tls.pem", "tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PYTHON
mkdir feed
key=$("$REEVE" waf feed key --name rules.example.com/waf feed.key 2>/dev/null)
check "a key of a feed is nobody else's to read" is "$(stat -c %a feed.key)" 600
sign() { "$REEVE" waf feed sign gate/crs --key "${2:-feed.key}" --version "$1" --out feed 2>/dev/null; }
sign 1.0
serve feed "$feed" python3 feed.py "$feed"
followed="[waf.feed]
url = \"https://localhost:$feed/feed.note\"
key = \"$key\"
ca = \"tls.pem\"
every = \"1h\""
# What may be read is settled at the start.
stop "$gateway" 10
settings '' "$own
$followed"
up gateway gate
update() { run "$REEVE" waf update --config gate/reeve.toml; }
running() { "$REEVE" ledger --config gate/reeve.toml tail --lines 100 --json --where activity=waf.rules | tail -1; }
taken() { running | grep -q "\"version\":\"$1\""; }
check "the feed is followed from the start" within 10 taken 1.0
update
check "and looked at when asked" like "$status $err" '^0 nothing newer: 1.0 serial 1'
echo 'SecRule ARGS:word "@streq fromthefeed" "id:2000,phase:2,deny,t:none"' >>gate/crs/rules/reeve.conf
check "before the next state" is "$(code "$site/?word=fromthefeed")" 200
sign 1.1
update
check "newer rules are taken up" like "$status $err" '^0 taken up: 1.1 serial 2'
check "without a reload" is "$(code "$site/?word=fromthefeed")" 403
check "and are in the ledger with version" within 5 taken 1.1
check "and with time and origin" like "$(running)" '"made":"2.*"origin":"feed".*"time":"2'
run "$REEVE" prove --config gate/reeve.toml
check "which proves their age" like "$out" '^kept +age'

# Whatever a feed tries, the rules that run stay: refused WHAT PATTERN
cp -r feed good
refused() {
  update
  check "refused: $1" like "$status $err" '^1 .*'
  check "and why" like "$err" "$2"
  check "the rules stay" is "$(code "$site/?word=fromthefeed")" 403
  rm -rf feed/*
  cp -r good/. feed
}
sed -i 's/"serial": 2/"serial": 3/' feed/feed.note
refused "an altered manifest" 'is wrong: the note was altered'
"$REEVE" waf feed key --name rules.example.com/waf other.key >/dev/null 2>&1
rm feed/feed.note
sign 6.6 other.key
refused "another key's signature" 'none of the known keys signed'
rm feed/feed.note
sign 1.0
refused "an older state" 'the feed goes back'
# Files that the state before does not have: so nothing but what is fetched is what is wrong.
fresh() { for file in feed/files/*; do [[ -e good/files/${file##*/} ]] || printf '%s\n' "$file"; done; }
echo '# more' >>gate/crs/rules/reeve.conf
sign 1.2
truncate --size=40 "$(fresh)"
refused "a file cut short" 'is not the file that the feed'
sign 1.2
head -c 3000000 /dev/zero >>"$(fresh)"
refused "a file that is larger than it says" 'too large'
truncate --size=200000 feed/feed.note
refused "a manifest that is too large" 'too large'
rm feed/feed.note
refused "no manifest" 'answered with 404'
sed -i 's/@streq fromthefeed/@nonsense x/' gate/crs/rules/reeve.conf
check "rules that cannot be loaded are not even signed" bash -c "! '$REEVE' waf feed sign gate/crs --key feed.key --version 9 --out feed"
sed -i 's/@nonsense x/@streq fromthefeed/' gate/crs/rules/reeve.conf
cp gate/crs/rules/reeve.conf whole.conf
echo 'SecRuleRemoveById 9701000-9701099' >>gate/crs/rules/reeve.conf
sign 1.3
refused "rules that let attacks pass" 'SQL injection in the query is not refused'
cp whole.conf gate/crs/rules/reeve.conf
run "$REEVE" ledger --config gate/reeve.toml tail --lines 100 --json --where activity=waf.feed_failed
check "each is in the ledger" at_least "$(grep -c waf.feed_failed <<<"$out")" 6

stop "$gateway" 10
up gateway gate
check "what the feed brought outlives a restart" is "$(code "$site/?word=fromthefeed")" 403
find gate/reeve-data/rule-feed/sets -name '*.conf' -exec sed -i 's/fromthefeed/somethingelse/' {} +
stop "$gateway" 10
up gateway gate
check "what was altered on the disk does not run" is "$(code "$site/?word=somethingelse") $(code "$site/?q=%3Cscript%3Ealert(1)%3C/script%3E")" "200 403"
finish
