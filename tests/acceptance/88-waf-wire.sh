#!/usr/bin/env bash
# The firewall from outside: tests of rules over TCP through the gateway, whose events say which rules spoke; harmless
# requests and attacks while it refuses; mutated requests here and through libmodsecurity. With REEVE_CRS=DIR (DIR/rules and DIR/tests) also the Core Rule Set 4 and its
# regression tests.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need python3:python3 dpkg-deb:dpkg apt-get:apt
waf="$here/../waf"
cd "$TMP"

free_port
application=$port
serve application "$application" python3 "$here/reflect.py" "$application"

# A gateway in front of it that tells all that rules find, and refuses or not: firewall FOLDER blocks|finds PARANOIA RULES...
firewall() {
  local folder=$1 does=$2 paranoia=$3 rules=""
  shift 3
  deploy "$folder" demo "http://127.0.0.1:$application"
  firewall_policy "$folder" "paranoia = $paranoia, threshold = 5, body = \"1 MiB\", responses = true" '[clause.framing]
section  = "firewall"
text     = "A request that can be read in more than one way is refused."
control  = "edge.smuggling"
severity = "high"'
  if (($# > 0)); then rules="rules = [$(printf '"%s", ' "$@")]"; fi
  cat >>"$folder/reeve.toml" <<SETTINGS
[waf]
$rules
tell_all = true
SETTINGS
  if [[ $does == finds ]]; then printf '[[waf.detect_only]]\npath  = "/"\nuntil = "2099-12-31"\n' >>"$folder/reeve.toml"; fi
  check "the deployment is sound" "$REEVE" check --config "$folder/reeve.toml"
  up "$folder" "$folder"
}

# Runs tests through it: tests WHAT FOLDER TESTS [OPTIONS]...
tests() {
  local what=$1 folder=$2
  shift 2
  run "$REEVE" waf test --url "http://127.0.0.1:$http" --events "$folder.out" "$@"
  check "$what: $(tail -1 <<<"$out")" is "$status" 0
  if ((status != 0)); then head -20 <<<"$out$err"; fi
}

# What is harmless passes at paranoia level 1, and what is not does not: people FOLDER OVERRIDES RULES...
people() {
  local folder=$1 overrides=$2
  shift 2
  firewall "$folder" blocks 1 "$@"
  tests "harmless requests pass" "$folder" ${overrides:+--overrides "$overrides"} "$waf/benign"
  tests "attacks are refused" "$folder" "$waf/attacks.yaml"
  stop "$gateway" 10
}

say "the rules in the binary"
people own-blocks ""
firewall own finds 2
tests "each of our own tests" own "$waf/own"
run "$REEVE" waf test "$waf/own"
check "and in process" is "$status" 0
check "no event holds a value" lacks "$(cat own.out)" "UNION"
# A test that must fail: the twin of an attack is expected to be found.
sed 's/no_expect_ids/expect_ids/' "$waf/own/sql.yaml" >wrong.yaml
run "$REEVE" waf test --url "http://127.0.0.1:$http" --events own.out wrong.yaml
check "a test that expects what is not so fails" is "$status" 1
stop "$gateway" 10

if apt-get download -qq modsecurity-crs >apt.log 2>&1 && dpkg-deb --extract modsecurity-crs_*.deb crs; then
  say "the Core Rule Set of Debian"
  setup="$TMP/crs/etc/modsecurity/crs/crs-setup.conf" rules="$TMP/crs/usr/share/modsecurity-crs"
  people debian-blocks "$waf/benign-crs3.yaml" "$setup" "$rules"
  firewall debian finds 4 "$setup" "$rules"
  tests "tests of ours" debian "$waf/crs"
  stop "$gateway" 10
else
  could_not_judge "the package modsecurity-crs could not be fetched: $(tail -1 apt.log)"
fi

say "beside libmodsecurity"
ldconfig -p | grep -q libmodsecurity.so.3 || as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libmodsecurity3 >apt.log 2>&1 ||
  could_not_judge "the package libmodsecurity3 could not be installed: $(tail -1 apt.log)"

# Holds both engines against each other: beside NAME COUNT SETUP RULES [TESTS]
beside() {
  local name=$1 count=$2 files=("$waf/compare/base.conf" "$3" "$waf/compare/level.conf" "$4"/RE*.conf) file ours=()
  for file in "${files[@]}"; do ours+=(--rules "$file"); done
  "${PYTHON:-python3}" -B "$waf/compare/cases.py" --rules "$4" ${5:+--tests "$5"} --count "$count" "$name.jsonl" "$name-tests"
  python3 -B "$waf/compare/modsecurity.py" "$name.jsonl" "${files[@]}" >"$name-theirs.jsonl"
  "$REEVE" waf test --quiet --as-is "${ours[@]}" --json "$name-tests" >"$name-ours.json"
  check "$count requests, each difference explained ($name)" python3 -B "$waf/compare/compare.py" "$name.jsonl" "$name-theirs.jsonl" "$name-ours.json"
}
beside debian 1000 "$setup" "$rules/rules"

if [[ -n ${REEVE_CRS:-} ]]; then
  say "the Core Rule Set 4"
  need_python pyyaml
  cat >limits.conf <<'RULES'
SecAction "id:100000,phase:1,pass,nolog,t:none,setvar:tx.arg_name_length=100,setvar:tx.max_num_args=255,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535,setvar:tx.crs_validate_utf8_encoding=1"
RULES
  people crs4-blocks "$waf/benign-crs4.yaml" "$REEVE_CRS/rules/crs-setup.conf.example" "$REEVE_CRS/rules"
  firewall crs4 finds 4 "$REEVE_CRS/rules/crs-setup.conf.example" "$TMP/limits.conf" "$REEVE_CRS/rules"
  tests "its regression tests over TCP" crs4 --overrides "$waf/over-tcp.yaml" "$REEVE_CRS/tests"
  stop "$gateway" 10
  beside crs4 "${REEVE_WAF_CASES:-10000}" "$REEVE_CRS/rules/crs-setup.conf.example" "$REEVE_CRS/rules" "$REEVE_CRS/tests"
fi
finish
