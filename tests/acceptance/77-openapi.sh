#!/usr/bin/env bash
# Request validation: schemathesis, which makes up well-formed and malformed requests from an OpenAPI document, through the
# gateway to an application that judges by itself whatever reaches it. And the same with validation off, so that it is seen
# that the malformed ones would have arrived.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl
need_python schemathesis==4.32.5 openapi-core==0.23.1

cd "$TMP"
document="$here/openapi.yaml"
free_port
app=$port
serve warehouse "$app" "$PYTHON" "$here/warehouse.py" "$app" "$document" journal

# A policy of these controls alone, so that no rate or ban stands in the way of thousands of requests: policy FILE CONTROL...
policy() {
  local file=$1 control
  shift
  cat >"$file" <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Validation"
company = "Example"
version = "1"
owner = "test@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.input]
title = "Input"
TOML
  for control in "$@"; do
    printf '[clause."%s"]\nsection = "input"\ntext = "Kept."\ncontrol = "%s"\nseverity = "high"\n' "${control/./-}" "$control" >>"$file"
  done
}

# schemathesis over the whole document: fuzz NAME MODE CHECK
fuzz() {
  run "$PYTHON" -m schemathesis.cli run "$document" --url "https://localhost:$https/v1" --tls-verify false \
    --mode "$2" --checks "$3" --phases fuzzing,coverage --max-examples "${EXAMPLES:-60}" --seed 7 --continue-on-failure --suppress-health-check all --no-color
  printf '%s\n%s\n' "$out" "$err" >"$1.out"
}

count() { grep -c "^\[\"$1\"" journal || true; }

say "validation on"
deploy site demo "http://127.0.0.1:$app"
CA="$TMP/site/reeve-data/ca/ca.pem"
policy site/policy.toml input.schema input.type input.format input.charset log.access
sed -i "s|^policy *=.*|policy = \"policy.toml\"|; /^\[upstream\]/a openapi = \"$document\"" site/reeve.toml
run "$REEVE" check --config site/reeve.toml
check "the settings are taken" is "$status" 0
up gateway site

: >journal
fuzz negative negative negative_data_rejection
refused=$(grep -c '"outcome":"refused"' gateway.out || true)
check "malformed requests were sent and refused: $refused" at_least "$refused" 200
check "no malformed request reached the application" is "$(grep '^\["unfit"' journal | head -3)" ""
reasons=$(grep -o '"cause":"[a-zA-Z$ -]*' gateway.out | sort | uniq -c | sort -rn | head -12)
say "$reasons"
check "reasons are told by keyword and place" like "$(cat gateway.out)" '"cause":"type at /(query|path|body)'

# What the document allows and no document should: control characters. They are another promise, tried by hand below.
policy site/policy.toml input.schema input.type input.format log.access
run "$REEVE" reload --config site/reeve.toml
check "characters are let be" is "$status" 0
: >journal
fuzz positive positive positive_data_acceptance
fit=$(count fit)
check "well-formed requests arrived: $fit" at_least "$fit" 100
check "and none was refused" is "$status/$(grep -A25 "FAILURES" positive.out | head -60)" 0/
check "nor did another arrive" is "$(count unfit)" 0

policy site/policy.toml input.schema input.type input.format input.charset log.access
run "$REEVE" reload --config site/reeve.toml
check "characters are filtered again" is "$status" 0

say "by hand"
url="https://localhost:$https/v1"
code() { ask -o body -w '%{http_code}' "$@"; }
check "a good body passes byte for byte" is "$(code -H 'content-type: application/json' -d '{ "price" : 1.50,"name":"\u00e9"}' "$url/items")" 200
check "and is what was sent" has "$(tail -1 journal)" '{ \"price\" : 1.50,\"name\":\"\\u00e9\"}'
before=$(wc -l <journal)
check "a field that nobody knows" is "$(code -H 'content-type: application/json' -d '{"name":"a","price":1,"admin":true}' "$url/items")" 400
check "the page says nothing of it" lacks "$(cat body)" additionalProperties
check "a name that stands twice" is "$(code -H 'content-type: application/json' -d '{"name":"a","name":"b","price":1}' "$url/items")" 400
check "another kind of body" is "$(code -H 'content-type: text/plain' -d '{}' "$url/items")" 415
check "a path that nobody knows" is "$(code "$url/secrets")" 404
check "a method that nobody knows" is "$(code -X DELETE "$url/items")" 405
check "NUL in the query" is "$(code "$url/items?state=%00")" 400
check "an overlong slash" is "$(code "$url/items/%c0%af")" 400
check "none of them arrived" is "$(wc -l <journal)" "$before"

say "a document that is broken later"
cp site/reeve.toml kept.toml
printf 'openapi: 3.1.0\npaths: {/a: {get: {parameters: [{$ref: "#/nowhere"}]}}}\n' >broken.yaml
sed -i "s|^openapi = .*|openapi = \"$TMP/broken.yaml\"|" site/reeve.toml
run "$REEVE" check --config site/reeve.toml
check "reeve check shows the place" has "$err$out" '#/paths/~1a/get/parameters/0'
run "$REEVE" reload --config site/reeve.toml
check "the reload is refused" is "$((status != 0))" 1
check "and the old one holds" is "$(code "$url/secrets")" 404
check "and serves" is "$(code "$url/items/7")" 200
cp kept.toml site/reeve.toml

say "proof"
run "$REEVE" prove --config site/reeve.toml
say "$out"
check "reeve prove: kept" is "$status" 0

say "validation off"
policy site/policy.toml log.access
run "$REEVE" reload --config site/reeve.toml
check "reloaded" is "$status" 0
: >journal
fuzz off negative negative_data_rejection
unfit=$(count unfit)
check "malformed requests arrive now: $unfit" at_least "$unfit" 50
stop "$gateway" 15
check "a clean end" is "$status" 0
finish
