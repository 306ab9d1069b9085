#!/usr/bin/env bash
# The firewall under requests that are built against it: each gets its answer within a bound, a visitor beside them is
# served all the time, and memory stays small. Rule files that are huge, cyclic or noise are refused with file and line.
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
firewall_policy gate 'paranoia = 1, threshold = 5, body = "2 MiB", responses = true'
up gateway gate
CA=gate/reeve-data/ca/ca.pem
site=https://localhost:$https

code() { ask --max-time 30 --output /dev/null --write-out '%{http_code}' "$@" 2>/dev/null || true; }
resident() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$gateway/status"; }

# --- requests -----------------------------------------------------------------------------------------------------

python3 - <<'PYTHON'
mixed = "<a \"'`or 1=1 union select /*%24{}*/ \\x41;|$(cat)&#x41;%2541+%u0041..//./ "
def cycled(length): return (mixed * (length // len(mixed) + 1))[:length]
def write(name, text): open(name, "w").write(text)
write("arguments.form", "&".join(f"a{at}=v{at}'<" for at in range(100_000)))
write("deep.json", '{"a":[' * 1_000 + "]}" * 1_000)
write("wide.json", "[" + ",".join(f"\"'{at} or {at}=<{at}>\"" for at in range(60_000)) + "]")
write("hostile.form", "a=" + cycled(64 << 10))
write("large.text", cycled(2_000_000))
write("quotes.json", '["' + "'`(<a " * 300_000 + '"]')
part = "--e\r\nContent-Disposition: form-data; name=\"f{0}\"; filename=\"a{0}.php\"\r\nContent-Type: text/html\r\n\r\nx\r\n"
write("bomb.parts", "".join(part.format(at) for at in range(15_000)) + "--e--\r\n")
write("lines.parts", "--e\r\n" + "X: y\r\n" * 200_000 + "\r\n--e--\r\n")
write("nested.xml", "<a>" * 200_000)
write("entities.xml", '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {chr(98 + at)} "{("&" + chr(97 + at) + ";") * 10}">' for at in range(9)) + "]><a>&j;</a>")
write("headers", "".join(f"X-{at}: {at} ' or 1=1; $(x) <a {'y' * 40}\n" for at in range(90)) + "Cookie: " + "; ".join(f"c{at}=v'{at} or <" for at in range(300)) + "\n")
PYTHON
# A request that is answered, whatever the answer is but a fault, and within a bound: hostile WHAT CURL...
hostile() {
  local what=$1 begun=$EPOCHREALTIME got
  shift
  got=$(code "$@" "$site/")
  check "$what: answered" like "$got" '^(200|400|403|413|431)$'
  check "$what: in time" at_most "$(seconds_since "$begun")" 20
  say "  $what: $got after $(seconds_since "$begun") s"
}
: >stop.off
watch_one() {
  local status took
  while [[ -e stop.off ]]; do
    read -r status took < <(ask --max-time 10 -o /dev/null -w '%{http_code} %{time_total}\n' "$site/" 2>/dev/null || echo "000 10") || true
    echo "$status $took" >>canary
    within 0 sleep 0.1
  done
}
watch_one &
canary=$!
hostile "100,000 arguments" -H 'Content-Type: application/x-www-form-urlencoded' --data-binary @arguments.form
hostile "JSON 1,000 deep" -H 'Content-Type: application/json' --data-binary @deep.json
hostile "JSON with 60,000 values" -H 'Content-Type: application/json' --data-binary @wide.json
hostile "64 KiB against every rule" -H 'Content-Type: application/x-www-form-urlencoded' --data-binary @hostile.form
hostile "2 MB of text against every rule" -H 'Content-Type: text/plain' --data-binary @large.text
hostile "1.8 MB of quotes" -H 'Content-Type: application/json' --data-binary @quotes.json
hostile "15,000 files" -H 'Content-Type: multipart/form-data; boundary=e' --data-binary @bomb.parts
hostile "200,000 lines of a part's head" -H 'Content-Type: multipart/form-data; boundary=e' --data-binary @lines.parts
hostile "XML 200,000 deep" -H 'Content-Type: text/xml' --data-binary @nested.xml
hostile "a billion laughs" -H 'Content-Type: text/xml' --data-binary @entities.xml
hostile "heads" -H @headers
pids=()
for _ in 1 2 3 4 5 6 7 8; do
  code -H 'Content-Type: text/plain' --data-binary @large.text "$site/" >/dev/null &
  pids+=($!)
done
wait "${pids[@]}"
rm stop.off
wait "$canary"
say "  canary: $(awk '{ n++; if ($2 > most) most = $2 } END { print n " requests, slowest " most " s" }' canary); $(resident) MB"
check "with 200" is "$(cut -d' ' -f1 canary | sort -u | tr '\n' ' ')" "200 "
check "and within five seconds" at_most "$(awk '{ if ($2 > most) most = $2 } END { print most }' canary)" 5
check "memory stays small" at_most "$(resident)" 600
check "nothing panicked" lacks "$(<gateway.err)" "panicked"

# --- a budget that is small ---------------------------------------------------------------------------------------

grep -q '^\[waf\]' gate/reeve.toml || printf '[waf]\n' >>gate/reeve.toml
sed -i 's/^\[waf\]/&\nbudget = "16 MiB"/' gate/reeve.toml
check "a budget" "$REEVE" reload --config gate/reeve.toml
check "a body that takes more" is "$(code -H 'Content-Type: text/plain' --data-binary @large.text "$site/")" 413
check "and one that does not" is "$(code -H 'Content-Type: application/json' -d '{"a": "ordinary"}' "$site/")" 200
told() { grep -q '"control":"waf.attack_set","cause":"looking into it takes more than the budget of 16 MiB' gateway.out; }
check "its event says so" within 3 told

# --- rule files ---------------------------------------------------------------------------------------------------

# Rules that are refused with these parts: wrong WHAT PART...
wrong() {
  local what=$1 part begun=$EPOCHREALTIME
  shift
  run timeout 60 "$REEVE" check --config gate/reeve.toml
  check "$what: refused" is "$status" 1
  for part in "$@"; do check "$what: says $part" like "$out$err" "$part"; done
  check "$what: no panic" lacks "$out$err" "panicked"
  check "$what: what it prints has an end" at_most "$(printf '%s' "$out$err" | wc -c)" 20000
  check "$what: in time" at_most "$(seconds_since "$begun")" 30
  run "$REEVE" reload --config gate/reeve.toml
  check "$what: a reload refuses it, too" like "$status" '^[12]$'
  rm -rf gate/rules
  mkdir gate/rules
}
mkdir gate/rules
sed -i 's/^\[waf\]/&\nrules = "rules"/' gate/reeve.toml
printf 'Include b.conf\n' >gate/rules/a.conf
printf 'Include a.conf\n' >gate/rules/b.conf
wrong "files that include each other" 'b\.conf:1: ' includes
head -c 2000000 /dev/urandom >gate/rules/noise.conf
wrong "noise" 'noise\.conf:[0-9]+: '
head -c 140000000 /dev/zero | tr '\0' '#' >gate/rules/huge.conf
wrong "140 MB in a line" 'huge\.conf'
{ printf 'SecRule ARGS "@rx '; head -c 500000 /dev/zero | tr '\0' '('; printf '" "id:1"\n'; } >gate/rules/nested.conf
wrong "500,000 brackets" 'nested\.conf:1: '
printf 'SecRule ARGS "@rx (?:a{1000}){1000}" "id:1"\n' >gate/rules/power.conf
wrong "a pattern that is a billion states" 'power\.conf:1: '
printf 'SecRule ARGS "@rx a" "id:1,chain"\n%.0s' {1..300} >gate/rules/chain.conf
wrong "a chain of 300 rules" 'chain\.conf:[0-9]+: '
yes 'SecRule ARGS "@nonsense x" "id:1,phase:9"' 2>/dev/null | head -100000 >gate/rules/faults.conf || true
wrong "100,000 faults" 'faults\.conf:1: '
printf 'SecRule ARGS "@fault" "id:1"\n' >gate/rules/fault.conf
wrong "the fault that tests inject" 'unknown operator `fault`'
check "the old rules are still there" is "$(code "$site/?q=1%27+UNION+SELECT+name+FROM+users+--+") $(code "$site/")" "403 200"
finish
