#!/usr/bin/env bash
# The ledger of a real deployment, judged by a verifier that shares no code with it and by a witness on another port:
# what happened is found and proved, an altered file, a rewritten history and an old copy are refused, nothing that was
# sent lies on the disk in clear, and a disk without room refuses requests and recovers.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl openssl:openssl python3:python3
verifier=$("$here/../verifier/build") || could_not_judge "the independent verifier cannot be built"

cd "$TMP"
free_port
app=$port
serve upstream "$app" python3 "$here/upstream.py" "$app"
CA="$TMP/site/reeve-data/ca/ca.pem"
ledger=site/reeve-data/ledger
reeve() { "$REEVE" "$1" --config site/reeve.toml "${@:2}"; }
in_ledger() { "$REEVE" ledger --config site/reeve.toml "$@"; }
sealed() { in_ledger status --json | json /dev/stdin 'd["sealed"]'; }
grown_past() { (($(sealed) > $1)); }
down() { stop "$gateway" 10; }
# Requests that are let through and one that is refused.
traffic() {
  local n
  for n in $(seq "$1"); do ask -o /dev/null "https://localhost:$https/hello-$n?token=$marker"; done
  ask -o /dev/null -X TRACE "https://localhost:$https/refused"
}
# The verdict of a clause, or of every clause that is not kept: verdict [CLAUSE]
verdict() {
  json proof.json '[(c["clause"], c["verdict"] if isinstance(c["verdict"], str) else c["verdict"]["word"]) for c in d["clauses"]]' |
    python3 -c 'import ast, sys; rows = dict(ast.literal_eval(sys.stdin.read())); print(rows[sys.argv[1]] if len(sys.argv) > 1 else [c for c, v in rows.items() if v != "kept"])' "$@"
}
marker="planted-$RANDOM$RANDOM$RANDOM"

say "a deployment and its witness"
deploy site demo "http://127.0.0.1:$app"
up first site
key=$(in_ledger status --json | json /dev/stdin 'd["key"]')
down
check "it stops well" is "$status" 0
free_port
witness_port=$port
start witness "$REEVE" witness --name outside/witness --state witness --log "$key" --listen "127.0.0.1:$witness_port"
witness=$started
wait_for_port "$witness_port" 10
witness_key=$(head -1 witness.out | json /dev/stdin 'd["key"]')
sed -i "s|^\[ledger\]|[ledger]\nwitnesses = [{ url = \"http://127.0.0.1:$witness_port\", key = \"$witness_key\" }]|" site/reeve.toml
sed -i 's/with     = { witnesses = 0 }/with     = { witnesses = 1 }/' site/policy.toml
up second site
traffic 40
refusal_is_sealed() { [[ -n $(in_ledger tail -n 1 --where action=TRACE) ]]; }
check "requests are sealed within seconds" within 5 refusal_is_sealed
cp "$ledger/checkpoint" checkpoint.kept

say "what happened is found"
run in_ledger tail -n 5 --where outcome=refused --where action=TRACE
check "a refusal by its outcome" has "$out" "input.methods"
check "with the path" has "$out" "/refused"
run in_ledger tail --json --where activity=gateway.start
check "the start by its activity" has "$out" '"actor":"uid:'
run in_ledger tail -n 100
check "no value of a query is recorded" lacks "$out" "$marker"
check "the names of a query are" has "$out" "hello-40?token"

say "what happened is proved"
seq=$(in_ledger tail -n 1 --json --where activity=gateway.start | head -1 | json /dev/stdin 'd["seq"]')
check "an entry's proof is written" in_ledger prove "$seq" --out entry.tlog-proof
check "and verified without ledger and keys" "$REEVE" ledger --config /nowhere verify --proof entry.tlog-proof --key "$key"
check "the independent verifier agrees" "$verifier" --proof entry.tlog-proof "$key"
python3 - <<'PY'
text = bytearray(open("entry.tlog-proof", "rb").read())
at = text.index(b"extra") + 40
text[at] ^= 1
open("altered.tlog-proof", "wb").write(text)
PY
run "$REEVE" ledger --config /nowhere verify --proof altered.tlog-proof --key "$key"
check "an altered proof is refused" is "$status" 1
run in_ledger verify --since checkpoint.kept
check "the whole ledger holds" is "$status" 0
check "nothing is wrong with it" has "$out" "; 0 wrong"
cosigned() { [[ -e $ledger/checkpoint.cosigned ]] && "$verifier" "$ledger" "$key" checkpoint.kept >/dev/null; }
check "the independent verifier accepts it, as a continuation" within 5 cosigned
run reeve prove --json
printf '%s' "$out" >proof.json
# The application here publishes no pages and sets no cookie; everything else is kept.
check "its own proof holds" is "$(verdict)" "['guarded-cookies', 'legal-pages']"
check "the witness cosigned" has \
  "$(json proof.json '[c["seen"] for c in d["clauses"] if c["clause"] == "tamper-evident"][0]')" "outside/witness"
# What was recorded a moment ago is read once it is sealed.
has_history() { [[ $(reeve prove --history tamper-evident 2>/dev/null) == *kept* ]]; }
check "a clause's history is in the ledger" within 5 has_history

say "what is kept cannot be read"
cp -a site/reeve-data copy
check "no value that was sent is on the disk" is "$(grep -rla "$marker" copy)" ""
check "no path either" is "$(grep -rlaE 'hello-[0-9]' copy)" ""
check "no private key" is "$(grep -rla 'PRIVATE KEY' copy)" ""
rm -r copy
run "$REEVE" selftest sandbox --config site/reeve.toml
check "the sandbox refuses what it should" has "$out" "0 not refused"
check "and nothing that is needed" has "$out" "0 needed and not working"

say "a kill"
size=$(sealed)
stop "$gateway" 5 KILL
up third site
check "nothing that was sealed is gone" at_least "$(sealed)" "$size"
run in_ledger verify --since checkpoint.kept
check "it goes on where it was" is "$status" 0

say "an altered file"
traffic 5
within 5 grown_past "$size"
down
cp -a site/reeve-data whole
python3 - "$ledger" <<'PY'
import glob, sys
for path in glob.glob(sys.argv[1] + "/tile/entries/**/*", recursive=True):
    try:
        data = bytearray(open(path, "rb").read())
    except IsADirectoryError:
        continue
    data[80] ^= 1
    open(path, "wb").write(data)
PY
run in_ledger verify
check "is found" is "$status" 1
check "with its place" has "$out" "entry 0"
check "by the independent verifier too" is "$("$verifier" "$ledger" "$key" >/dev/null 2>&1; echo $?)" 1
rm -r site/reeve-data
cp -a whole site/reeve-data

say "an old copy, brought back"
up fourth site
size=$(sealed)
traffic 10
check "goes on first" within 5 grown_past "$size"
newest_is_cosigned() {
  local signed cosigned
  signed=$(sed -n 2p "$ledger/checkpoint")
  cosigned=$(sed -n 2p "$ledger/checkpoint.cosigned")
  ((cosigned >= signed))
}
check "and is cosigned" within 8 newest_is_cosigned
down
mv site/reeve-data newest
cp -a whole site/reeve-data
run timeout 30 "$REEVE" up --config site/reeve.toml
check "is refused at the start" is "$status" 2
check "with what the witness knows" has "$err" "this is an older copy"
check "and the remedy" has "$err" "bring back the newest one"

say "a history rewritten with the real key"
rm -r site/reeve-data
cp -a newest site/reeve-data
rm -r "$ledger/tile" "$ledger"/checkpoint* "$ledger/body" site/reeve-data/wal
find "$ledger/keys" -name '*.wrapped' -delete
run timeout 30 "$REEVE" up --config site/reeve.toml
check "is refused" is "$status" 2
check "no panic" lacks "$err" "panicked"
check "the witness refused with 409" has "$(tail -3 witness.out)" '"status":409'
rm -r site/reeve-data
mv newest site/reeve-data

say "a witness that is away"
stop "$witness" 10
up fifth site
traffic 5
# What the witness has cosigned covers the ledger until the next entries are sealed.
is_unknown() {
  run reeve prove --json
  printf '%s' "$out" >proof.json
  [[ $(verdict tamper-evident) == unknown ]]
}
check "the clause is unknown, and not kept" within 20 is_unknown
down

say "a second process on the same folder"
up sixth site
run timeout 20 "$REEVE" up --config site/reeve.toml
check "is refused" is "$status" 2
check "and told why" has "$err" "already runs"
down

finish
