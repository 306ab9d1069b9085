#!/usr/bin/env bash
# False positives: a harmless text is refused, `reeve waf suggest` proposes an exclusion from its event and from the
# request itself, the exclusion lets just that by and nothing beside it, and it ends by itself. What would disarm the
# rules is refused. With the rules in the binary and with the Core Rule Set as Debian ships it.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 dpkg-deb:dpkg apt-get:apt
cd "$TMP"

free_port
application=$port
serve application "$application" python3 "$here/upstream.py" "$application"
deploy gate demo "http://127.0.0.1:$application"
firewall_policy gate 'paranoia = 1, threshold = 5, body = "256 KiB", responses = false' '[clause.tls]
section  = "firewall"
text     = "TLS {min} or newer."
control  = "tls.floor"
severity = "high"'
cp gate/reeve.toml reeve.toml.plain
up gateway gate
CA=gate/reeve-data/ca/ca.pem
site=https://localhost:$https

code() { ask --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }
# A text in a form on a path: note PATH ARGUMENT TEXT
note() { code --path-as-is --request POST --data-urlencode "$2=$3" "$site$1"; }
reload() { "$REEVE" reload --config gate/reeve.toml; }
recorded() { "$REEVE" ledger --config gate/reeve.toml tail --where outcome=refused --where object="$1" | grep -q waf.attack_set; }
prove() { run "$REEVE" prove --config gate/reeve.toml; out=$(tr -s ' \n' ' ' <<<"$out"); }

# What is tried with each rule set: tuned NAME PATH HARMLESS-TEXT
tuned() {
  local path=$2 text=$3
  say "$1"
  check "a harmless text is refused" is "$(note "$path" text "$text")" 403
  check "its event is in the ledger" within 5 recorded "$path"
  run "$REEVE" waf suggest --config gate/reeve.toml --since 1h
  check "an exclusion is proposed from the event" is "$status" 0
  check "for the route, the method and the argument" like "$(tr '\n' ' ' <<<"$out")" \
    'path += "/[a-z]+" method += "POST" variable = "ARGS:text"'
  check "and what it lets by is shown for each family" like "$out" '^#   traversal +none of'
  printf 'POST %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n' "$path" \
    "$(python3 -c 'import sys, urllib.parse; print(len("text=" + urllib.parse.quote(sys.argv[1])))' "$text")" >refused.http
  python3 -c 'import sys, urllib.parse; print("text=" + urllib.parse.quote(sys.argv[1]), end="")' "$text" >>refused.http
  cp "$TMP/run.out" from-event.toml
  run "$REEVE" waf suggest --config gate/reeve.toml --request refused.http
  check "the request itself passes with what is proposed for it" like "$status $(tail -1 <<<"$out")" 'it passes with 1 entry, and with nothing less'
  cat from-event.toml >>gate/reeve.toml
  run "$REEVE" check --config gate/reeve.toml
  check "the proposal is sound as it stands" is "$status" 0
  check "the check tells of it" like "$out" '1 exclusion from the firewall'
  check "it is taken up" reload
  check "and the text passes" is "$(note "$path" text "$text") $(note "$path/7" text "$text")" "200 200"
  check "on another path it is refused" is "$(note /other text "$text") $(note "/x/..$path" text "$text") $(note "${path}x" text "$text")" "403 403 403"
  check "in another argument it is refused" is "$(note "$path" title "$text")" 403
  check "with another method it is refused" is "$(code --get --data-urlencode "text=$text" "$site$path")" 403
  check "attacks of other families are refused in the same place" is \
    "$(note "$path" text '<script>alert(1)</script>') $(note "$path" text '../../../../etc/passwd') $(note "$path" text '; cat /etc/passwd')" "403 403 403"
  prove
  check "the clause is kept, and says that it is narrowed" like "$out" 'kept attacks.*1 exclusion from the rules, the first until 20'
  python3 - <<'PYTHON'
import datetime, re
text = open("gate/reeve.toml").read()
yesterday = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
open("gate/reeve.toml", "w").write(re.sub(r'until    = "[0-9-]+"', f'until    = "{yesterday}"', text))
PYTHON
  check "after its last day" reload
  check "it is refused again" is "$(note "$path" text "$text")" 403
  run "$REEVE" check --config gate/reeve.toml
  check "and the check says so, which is no error" like "$status $out" 'the rules hold again'
}

# Exclusions that cannot be: refused RULES WORDS
refused() {
  cp "$plain" gate/reeve.toml
  printf '[[waf.exclude]]\nrule = %s\npath = "/notes"\nreason = "x"\nuntil = "2099-12-31"\n' "$1" >>gate/reeve.toml
  run "$REEVE" check --config gate/reeve.toml
  check "rule $1 cannot be left out" like "$status $(tr '\n' ' ' <<<"$out")" "^1 .*$2"
  run "$REEVE" reload --config gate/reeve.toml
  check "and a reload keeps what was" is "$((status > 0))" 1
}

plain=reeve.toml.plain
tuned "the rules in the binary" /notes "1; delete from users where a = 'b' -- is what the manual warns of"
refused 9709019 'decides by what others have found'
refused 9709001 'sets up|adds up'
refused 9700010 'sets up'
refused 9701999 'no rule 9701999 is loaded'
cp "$plain" gate/reeve.toml
printf '[[waf.exclude]]\nrule = 9701000\npath = "/"\nreason = "x"\nuntil = "2099-12-31"\n' >>gate/reeve.toml
run "$REEVE" check --config gate/reeve.toml
check "nor a whole rule of the whole site" like "$status $out" 'whole rules are left out of the whole site'

# --- whoever leaves everything out promises nothing any more ----------------------------------------------------------

cp "$plain" gate/reeve.toml
python3 - "$here/../../crates/waf/rules/reeve.conf" >>gate/reeve.toml <<'PYTHON'
import re, sys
text = re.sub(r"\\\n", " ", open(sys.argv[1]).read())
ids = [int(id) for targets, id in re.findall(r'^SecRule (\S+) .*?"id:(\d+)', text, re.M)
       if "ARGS" in targets.split("|") and 9700100 <= int(id) < 9708000]
for start in range(0, len(ids), 60):
    print(f'[[waf.exclude]]\nrule = {ids[start:start + 60]}\npath = "/"\nvariable = "ARGS"\nwhole = true\nreason = "all"\nuntil = "2099-12-31"')
PYTHON
check "every rule is left out of every argument" reload
check "so that attacks pass" is "$(note /notes text "<script>alert(1)</script>")" 200
prove
check "and the clause is broken" like "$out" 'BROKEN attacks|broken attacks'

# --- the Core Rule Set of Debian --------------------------------------------------------------------------------------

if apt-get download -qq modsecurity-crs >apt.log 2>&1 && dpkg-deb --extract modsecurity-crs_*.deb crs; then
  cp reeve.toml.plain reeve.toml.crs
  mkdir own
  rules="rules = [\"$TMP/crs/etc/modsecurity/crs/crs-setup.conf\", \"$TMP/crs/usr/share/modsecurity-crs\", \"$TMP/own\"]"
  printf '# Rules of our own.\nSecRule ARGS:canary "@streq sings" "id:1000,phase:2,deny,status:403,t:none,log"\n' >own/own.conf
  if grep -q '^\[waf\]' reeve.toml.crs; then sed -i "s|^\[waf\]|&\n$rules|" reeve.toml.crs; else printf '[waf]\n%s\n' "$rules" >>reeve.toml.crs; fi
  plain=reeve.toml.crs
  cp "$plain" gate/reeve.toml
  stop "$gateway" 10
  up gateway gate
  tuned "the Core Rule Set of Debian" /remarks "in SQL, 1' or '1'='1 is always true"
  refused 949110 'decides by what others have found'
  refused 959100 'decides by what others have found'
  refused 980130 'adds up'
  refused 901100 'sets up'
  refused '"942100-942999"' 'neither an id nor a list of ids'
  for line in 'SecRuleRemoveById 949110' 'SecAction "id:1001,phase:1,pass,nolog,ctl:ruleEngine=Off"' 'SecAction "id:1001,phase:1,pass,nolog,ctl:ruleRemoveById=949110"'; do
    cp "$plain" gate/reeve.toml
    printf '%s\n' "$line" >own/own.conf
    run "$REEVE" check --config gate/reeve.toml
    check "a rule file cannot say: $line" like "$status $(tr '\n' ' ' <<<"$out")" '^1 .*own\.conf:1'
  done
  printf 'SecRule REQUEST_URI "@beginsWith /quiet" "id:1001,phase:1,pass,nolog,ctl:ruleEngine=Off"\n' >own/own.conf
  run "$REEVE" check --config gate/reeve.toml
  check "what it switches off here and there is told" like "$status $(tr -s ' \n│' ' ' <<<"$out")" '^0 .*switches the rules off, where this rule matches'
else
  could_not_judge "the package modsecurity-crs could not be fetched: $(tail -1 apt.log)"
fi
finish
