#!/usr/bin/env bash
# How fast the ledger takes entries, beside what the disk gives to somebody who does nothing else, in one run.
#
#   benches/ledger.sh              1 million entries of 512 bytes from 64 clients, 3 rounds; a few minutes
#   benches/ledger.sh --long       also 10 million entries, for the memory; some minutes and 16 GiB of disk more
#   benches/ledger.sh --help       the options
#
# The raw rate: one thread that writes 1,024 records of so many bytes and calls fdatasync, again and again. The ledger's:
# durable acknowledgements to 64 threads with some entries in flight each; more in flight give more entries per second
# and longer waits. The ledger numbers, hashes, encrypts and signs meanwhile, and writes each content twice (ahead and
# sealed) and a leaf. On a disk that is faster than that arithmetic the processor is the limit, and the ratio tells
# nothing of the disk: see the column of processor time for each entry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

entries=1000000 rounds=3 bytes=512 clients=64 depth=8 long="" folder="${TMPDIR:-/tmp}"
readonly RAW_BATCH=1024

usage() {
  cat <<'TEXT'
Usage: benches/ledger.sh [OPTIONS]

  --entries N      entries of one round (default 1000000)
  --rounds N       raw and ledger in turn, so many times (default 3)
  --bytes N        contents of one entry (default 512)
  --clients N      threads that append (default 64)
  --depth N        entries that each has in flight (default 8)
  --folder PATH    on the disk that is measured (default: TMPDIR or /tmp)
  --long           at the end 10 million entries, for the memory
  --help           this text

Exit codes: 0 measured, 2 could not measure.
TEXT
}

could_not_measure() {
  echo "error: $1" >&2
  exit 2
}

while (($# > 0)); do
  case $1 in
    --entries) entries=$2 ;;
    --rounds) rounds=$2 ;;
    --bytes) bytes=$2 ;;
    --clients) clients=$2 ;;
    --depth) depth=$2 ;;
    --folder) folder=$2 ;;
    --long) long=yes ;;
    --help) usage; exit 0 ;;
    *) could_not_measure "unknown option \`$1\`; see --help" ;;
  esac
  if [[ $1 != --long ]]; then shift; fi
  shift || could_not_measure "the last option has no value; see --help"
done

target="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve-target}"
CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked --package reeve-ledger --example ledger-load ||
  could_not_measure "the driver does not build"
readonly LOAD="$target/release/examples/ledger-load"
place="$(mktemp -d "$folder/ledger-bench.XXXXXX")"
trap 'rm -rf "$place"' EXIT

# The value of a name among `name value` lines.
value() { awk -v name="$1" '$1 == name { print $2 }' <<<"$2"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

printf 'machine: %s, %s processors, load %s; disk under %s: %s\n' "$(uname -r)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" \
  "$folder" "$(stat -f -c %T "$folder")"
printf '%d clients, %d in flight each, %d bytes, %d entries a round\n\n' "$clients" "$depth" "$bytes" "$entries"
printf '%-6s %12s %12s %6s %8s %8s %10s %12s %9s\n' round raw/s ledger/s ratio p50/ms p99/ms cpu-s cpu-us/entry RSS/MiB
# Each round has a folder of its own and nothing is removed between them: ext4 searches for free inodes for some
# seconds after many files were removed.
for ((round = 1; round <= rounds; round++)); do
  raw="$("$LOAD" raw "$place" "$RAW_BATCH" "$bytes" "$entries")"
  said="$("$LOAD" measure "$place/$round" "$clients" "$depth" "$bytes" "$entries")" || could_not_measure "the driver failed"
  rate="$(value appends_per_second "$said")"
  cpu="$(value cpu_seconds "$said")"
  printf '%-6s %12s %12s %6s %8s %8s %10s %12s %9s\n' "$round" "$(value raw_per_second "$raw")" "$rate" \
    "$(ratio "$rate" "$(value raw_per_second "$raw")")" "$(value p50_ms "$said")" "$(value p99_ms "$said")" "$cpu" \
    "$(awk "BEGIN { printf \"%.1f\", $cpu * 1e6 / $entries }")" "$(value rss_peak_mib "$said")"
done
verified="$("$LOAD" verify "$place/$rounds")"
printf '\nverified %s entries in %s s (%s cpu-s, at most %s MiB)\n' "$(value verified_entries "$verified")" \
  "$(value verify_seconds "$verified")" "$(value verify_cpu_seconds "$verified")" "$(value verify_rss_peak_mib "$verified")"
if [[ -n $long ]]; then
  said="$("$LOAD" measure "$place/home" "$clients" "$depth" "$bytes" 10000000)"
  printf '10000000 entries: %s/s, p99 %s ms, at most %s MiB\n' "$(value appends_per_second "$said")" \
    "$(value p99_ms "$said")" "$(value rss_peak_mib "$said")"
  verified="$("$LOAD" verify "$place/home")"
  printf 'verified in %s s, at most %s MiB\n' "$(value verify_seconds "$verified")" "$(value verify_rss_peak_mib "$verified")"
fi
