#!/usr/bin/env bash
# A large log before the verifier of the format's author, which shares no code with ours: it accepts the log, refuses
# every copy with one bit turned over, and still accepts it after a day was purged, with what the day held gone from
# the disk.
#
#   tests/acceptance/62-ledger-verifier.sh                              20,000 entries, 20 flips
#   ENTRIES=1000000 FLIPS=100 tests/acceptance/62-ledger-verifier.sh    a million; ten minutes in a debug build
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need python3:python3
cd "$here/../.."

entries=${ENTRIES:-20000}
flips=${FLIPS:-20}
say "==> build the driver and the verifier"
profile=debug release=()
if ((entries > 100000)); then profile=release release=(--release); fi
cargo build --quiet --locked "${release[@]}" --package reeve-ledger --example ledger-load
load="$CARGO_FOLDER/$profile/examples/ledger-load"
verifier="$(tests/verifier/build)" || could_not_judge "the independent verifier cannot be built"

home="$TMP/home"
marker="planted-$RANDOM$RANDOM$RANDOM"
say "==> $entries entries of 40 days ago, a few of today"
check "they are appended" "$load" past "$home" "$marker" "$entries"
key=$("$load" key "$home")
accepts() { "$verifier" "$home/ledger" "$key" "$@" >"$TMP/said" 2>&1; }
check "the verifier accepts the log" accepts
cp "$home/ledger/checkpoint" "$TMP/before"
check "contents are sealed" is "$(grep -rla "$marker" "$home")" ""

say "==> $flips random flips"
# Of one bit each, in a tile, a bundle or the checkpoint; each is taken back after it was judged.
python3 - "$home/ledger" "$flips" "$verifier" "$key" >"$TMP/flips" <<'PY'
import os, random, subprocess, sys
folder, flips, verifier, key = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
files = [os.path.join(where, name) for where, _, names in os.walk(folder + "/tile") for name in names]
files += [folder + "/checkpoint"] * max(1, len(files) // 20)
accepted = 0
for _ in range(flips):
    path = random.choice(files)
    whole = open(path, "rb").read()
    at, bit = random.randrange(len(whole)), random.randrange(8)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([whole[at] ^ 1 << bit]))
    verdict = subprocess.run([verifier, folder, key], capture_output=True).returncode
    if verdict != 1:
        accepted += 1
        print("not refused:", path, "byte", at, "bit", bit)
    with open(path, "wb") as file:
        file.write(whole)
print("refused", flips - accepted)
PY
check "each is refused" is "$(tail -1 "$TMP/flips")" "refused $flips"
check "without them the log is accepted" accepts

say "==> a purge"
check "the day is purged" "$load" forget "$home"
check "its key is gone" is "$(find "$home/ledger/keys/request" -name "$(date -u -d "40 days ago" +%F)*")" ""
check "its contents are gone" is "$(find "$home/ledger/body/request" -type f 2>/dev/null | wc -l)" 0
check "what it held is nowhere on the disk" is "$(grep -rla "$marker" "$home")" ""
check "the verifier accepts the log, as a continuation" accepts "$TMP/before"
check "so does our own" "$load" verify "$home"
say "    $(tail -2 "$TMP/said" | tr '\n' ' ')"
finish
