#!/usr/bin/env bash
# The ledger in a bucket: the integration tests that need a server which speaks S3, run against moto's on loopback. It
# honours If-Match and If-None-Match on PutObject, which is what the ledger stands on; a proxy in the tests makes it
# answer 503, ignore the conditions, and lie.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl
need_python 'moto[server]==5.2.5'
cd "$here/../.."

free_port
serve moto "$port" "$(dirname "$PYTHON")/moto_server" -H 127.0.0.1 -p "$port"
export REEVE_TEST_S3="http://127.0.0.1:$port" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
unset AWS_SESSION_TOKEN AWS_ENDPOINT AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_PROFILE

say "==> the tests of a bucket"
run cargo nextest run --locked --package reeve-ledger --run-ignored only -E 'test(/^bucket::/)' --no-fail-fast \
  --cargo-quiet --show-progress none --failure-output final
check "they pass" is "$status" 0
if ((status != 0)); then tail -60 <<<"$err" >&2; fi
check "they are six or more" like "$err" '^ *Summary .* ([6-9]|[1-9][0-9]) tests run'
finish
