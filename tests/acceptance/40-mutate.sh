#!/usr/bin/env bash
# Can every probe fail? Each control is switched off in a scratch instance, and its probe must notice.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need python3:python3

say "reeve prove --mutate --json"
cd "$TMP"
begun=$EPOCHREALTIME
run "$REEVE" prove --mutate --json
took=$(seconds_since "$begun")
cp "$TMP/run.out" "$TMP/mutation.json"
"$REEVE" explain --json --quiet >"$TMP/controls.json"

check "exit code 0" is "$status" 0
check "missed 0" is "$(json "$TMP/mutation.json" 'd["missed"]')" 0
check "every control of this version was switched off" is \
  "$(json "$TMP/mutation.json" 'sorted(c["control"] for c in d["controls"])')" \
  "$(json "$TMP/controls.json" 'sorted(c["name"] for c in d)')"
# The controls whose verdict is not this one, with what was seen: others on|off WORD
others() {
  json "$TMP/mutation.json" \
    '[(c["control"], c["'"$1"'"], c["seen"]) for c in d["controls"] if c["'"$1"'"]["word"] != "'"$2"'"]'
}
check "switched on, each is kept" is "$(others on kept)" "[]"
check "switched off, each is broken" is "$(others off broken)" "[]"
check "each says what it saw" is \
  "$(json "$TMP/mutation.json" '[c["control"] for c in d["controls"] if not c["seen"].strip()]')" "[]"
check "under 90 s" at_most "$took" 90
say "  $(json "$TMP/mutation.json" 'len(d["controls"])') controls in $took s"

say "a control that is none"
run "$REEVE" prove --mutate no.such
check "exit code 2" is "$status" 2
check "it is named" has "$err" "no.such"

finish
