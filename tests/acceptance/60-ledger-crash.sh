#!/usr/bin/env bash
# The ledger under load of 64 clients, killed (SIGKILL) at random points: after each kill every entry that was
# acknowledged is there with its contents, everything verifies, and the log continues the checkpoint that was seen
# before the kill. So say the ledger itself and the format author's verifier, which shares no code with it.
#
#   tests/acceptance/60-ledger-crash.sh             10 kills, in a debug build of the driver
#   POINTS=200 tests/acceptance/60-ledger-crash.sh  as many as one likes; about 4 seconds each
#
# The kills fall between 50 and 800 ms after the first client may begin, so that they meet the start, the write-ahead
# log, the sealing and the removal of what is sealed.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$here/../.."

points=${POINTS:-10}
[[ $points =~ ^[1-9][0-9]*$ ]] || could_not_judge "POINTS is a number from 1, not \`$points\`"

say "==> build the driver and the verifier"
cargo build --quiet --locked --package reeve-ledger --example ledger-load
load="$CARGO_FOLDER/debug/examples/ledger-load"
verifier="$(tests/verifier/build)" || could_not_judge "the independent verifier cannot be built"

home="$TMP/home"
acks="$TMP/acks"
before="$TMP/before"
entries=0
acknowledged=0
total=0

serving() { [[ -s $TMP/load.out ]]; }
# Whether nobody holds the ledger any more.
released() { flock --nonblock "$home/wal/lock" true; }

# Kills the driver at a random point of its work and checks what is left: point NUMBER
point() {
  local number=$1 wrong=""
  if [[ -s $home/ledger/checkpoint ]]; then cp "$home/ledger/checkpoint" "$before"; fi
  : >"$TMP/load.out"
  start load "$load" append "$home" "$acks" 64 16 "$((64 + RANDOM % 1024))"
  if ! within 20 serving; then
    check "kill $number: the ledger opens" false
    tail -5 "$TMP/load.err" >&2
    return
  fi
  sleep "0.$(printf '%03d' $((50 + RANDOM % 750)))"
  # What has been published by now must be continued by what comes after the kill.
  cp "$home/ledger/checkpoint" "$before.now" 2>/dev/null && mv "$before.now" "$before"
  stop "$started" 5 KILL
  within 5 released || could_not_judge "the lock of a killed process stays"
  run "$load" check "$home" "$acks" "$before"
  if ((status != 0)); then wrong="the ledger: $err"; fi
  read -r _ entries <<<"$(grep '^entries ' <<<"$out" || echo 'entries 0')"
  read -r _ acknowledged <<<"$(grep '^acknowledged ' <<<"$out" || echo 'acknowledged 0')"
  run "$verifier" "$home/ledger" "$("$load" key "$home")" "$before"
  if ((status != 0)); then wrong="$wrong the verifier: $out $err"; fi
  check "kill $number: $acknowledged acknowledged entries of $entries are there" is "$wrong" ""
}

say "==> $points kills"
for ((number = 1; number <= points; number++)); do
  point "$number"
  # All of it is read after each kill; past this size that would take longer than the kills.
  if ((entries > 150000 || number == points)); then
    total=$((total + acknowledged))
    rm -rf "$home" "$acks" "$before"
  fi
done
check "of $total acknowledged entries there were enough" at_least "$total" "$((points * 100))"
finish
