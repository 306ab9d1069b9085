#!/usr/bin/env bash
# The store's objects in a bucket: the test that needs a server which speaks S3, run against moto's on loopback.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need_python 'moto[server]==5.2.5'
cd "$here/../.."

free_port
serve moto "$port" "$(dirname "$PYTHON")/moto_server" -H 127.0.0.1 -p "$port"
export REEVE_TEST_S3="http://127.0.0.1:$port"

say "==> the test of a bucket"
run cargo nextest run --locked --package reeve-store --run-ignored only -E 'test(/^bucket::/)' --no-fail-fast \
  --cargo-quiet --show-progress none --failure-output final
check "it passes" is "$status" 0
if ((status != 0)); then tail -60 <<<"$err" >&2; fi
check "there was one" like "$err" '^ *Summary .* 1 test run'
finish
