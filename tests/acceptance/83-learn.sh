#!/usr/bin/env bash
# A document that is learned: an application without one, its test suite through the gateway, `reeve learn propose`, and the
# gateway started again with what was proposed. What passed before passes, malformed twins do not, and of what was typed
# nothing is found in the state, the files and the output.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3

cd "$TMP"
free_port
app=$port
serve orders "$app" python3 "$here/orders.py" "$app"

policy() {
  cat >site/policy.toml <<'TOML'
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
    printf '[clause."%s"]\nsection = "input"\ntext = "Kept."\ncontrol = "%s"\nseverity = "high"\n' "${control/./-}" "$control" >>site/policy.toml
  done
}

code() { ask -o body -w '%{http_code}' "$@"; }
json=(-H 'content-type: application/json')

# What nobody may find again. The sixth is in the name of a field, the seventh in that of a parameter.
secrets=(planted-hunter2-one Tr0ub4dor planted.person@example.com 4556737586899855 planteditem 7f3a9c1e5b7d4a2f8c6e plantedparam91823 plantedcookie plantedtoken plantedshare)

# The test suite of the application: a line for each answer. suite FILE
suite() {
  local n url="https://localhost:$https"
  for n in 1 2 3 4 5 6; do
    code "$url/orders?page=$n&q=${secrets[0]}" -H "cookie: sid=${secrets[7]}" -H "authorization: Bearer ${secrets[8]}"; echo " list"
    code -I "$url/orders?page=$n&q=x"; echo " head"
    code "${json[@]}" -d "{\"item\":\"${secrets[4]}\",\"quantity\":$n,\"mail\":\"${secrets[2]}\",\"card\":\"${secrets[3]}\",\"lines\":[{\"sku\":\"a\",\"price\":1.5}],\"due\":\"2026-11-2$n\",\"note\":null,\"seen\":{\"${secrets[5]}\":1}}" "$url/orders"; echo " order"
    code "$url/orders/100$n"; echo " show"
    code -X PUT "${json[@]}" -d "{\"item\":\"x\",\"quantity\":$n}" "$url/orders/$n"; echo " change"
    code -d "user=ada&password=${secrets[1]}" "$url/login"; echo " login"
    code -F "title=${secrets[4]}" -F "file=@$here/orders.py;type=application/octet-stream" "$url/files"; echo " file"
    code "$url/reset/${secrets[1]}$n"; echo " reset"
  done
  code -X DELETE "$url/orders/7"; echo " delete"
  code "$url/share/${secrets[9]}7x"; echo " share"
  code "$url/orders?${secrets[6]}=1"; echo " name"
  code "$url/users/${secrets[2]}"; echo " person"
  code "$url/about"; echo " about"
} >"$1"

say "learning"
deploy site demo "http://127.0.0.1:$app"
CA="$TMP/site/reeve-data/ca/ca.pem"
sed -i "s|^policy *=.*|policy = \"policy.toml\"|; s|^# access = .*|access = \"off\"|" site/reeve.toml
policy log.access
up gateway site
run "$REEVE" learn status --config site/reeve.toml
check "nothing is learned unless it is asked for" is "$status/$out" 0/
check "and the way is told" has "$err" 'learn = true'
run "$REEVE" learn propose --config site/reeve.toml
check "nor is anything proposed" is "$status" 2
sed -i '/^\[upstream\]/a learn = true' site/reeve.toml
run "$REEVE" reload --config site/reeve.toml
check "learning begins with a reload" is "$status" 0

suite first
check "the suite passes" is "$(grep -vc '^[23]' first || true)" 0
for path in wp-login.php .env admin/config; do code "https://localhost:$https/$path" >/dev/null; done
check "what a scanner wants is not there" is "$(code "https://localhost:$https/phpmyadmin")" 404
run "$REEVE" learn status --json --config site/reeve.toml
printf '%s' "$out" >status.json
check "status counts what taught" is "$(json status.json 'd["upstreams"][0]["requests"]')" "$(wc -l <first)"
check "and what did not" is "$(json status.json 'd["upstreams"][0]["unsuccessful"]')" 4

say "a restart"
run "$REEVE" learn propose --config site/reeve.toml
before=$out
stop "$gateway" 15
check "a clean end" is "$status" 0
up gateway site
run "$REEVE" learn propose --config site/reeve.toml
check "forgets nothing" is "$out" "$before"
run "$REEVE" upgrade --config site/reeve.toml --json
check "another process takes over" is "$status" 0
successor=$(json run.out 'd["new"]')
children+=("$successor")
run "$REEVE" learn propose --config site/reeve.toml
check "and knows it too" is "$out" "$before"
kill "$successor"
check "and ends" ended "$successor" 15
up gateway site
run "$REEVE" learn propose --json --config site/reeve.toml
printf '%s' "$out" >proposal.json
check "JSON says the same" is "$(json proposal.json 'len(d["paths"])')" "$(grep -c '^  /' <<<"$before")"
run "$REEVE" learn propose --output openapi.yaml --config site/reeve.toml
check "the document is written" is "$status" 0
check "with how much was seen" like "$(cat openapi.yaml)" "from $(wc -l <first) requests"
run "$REEVE" learn propose --output openapi.yaml --config site/reeve.toml
check "and not written over" is "$status/$(grep -c 'there already' <<<"$err")" 2/1
say "$(grep -E '^  /|^    [a-z]+:|uncertain' openapi.yaml)"
check "ids are parameters" has "$(cat openapi.yaml)" '/orders/{orders_id}:'
check "of their type" is "$(json proposal.json 'd["paths"]["/orders/{orders_id}"]["get"]["parameters"][0]["schema"]["type"]')" integer
check "formats are seen" is "$(json proposal.json '[d["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"][n]["format"] for n in ("mail", "due")]')" "['email', 'date']"
check "what a scanner asked for is not in it" lacks "$(cat openapi.yaml)" phpmyadmin

say "what was typed"
run "$REEVE" learn status --json --config site/reeve.toml
for secret in "${secrets[@]}"; do
  check "not in the document: $secret" lacks "$(cat openapi.yaml proposal.json) $before $out" "$secret"
  check "nor in any file of the deployment" is "$(grep -rlF -- "$secret" site || true)" ""
  check "nor in what the gateway said" is "$(grep -lF -- "$secret" gateway.out gateway.err || true)" ""
done

say "validation by it"
sed -i "s|^learn = true|openapi = \"$TMP/openapi.yaml\"|" site/reeve.toml
policy input.schema input.type input.format log.access
run "$REEVE" check --config site/reeve.toml
check "reeve check takes the document" is "$status" 0
stop "$gateway" 15
up gateway site
suite second
check "the same suite passes" is "$(diff first second)" ""
url="https://localhost:$https"
check "an id that is none" is "$(code "$url/orders/seven")" 400
check "a page that is none" is "$(code "$url/orders?page=one&q=x")" 400
check "a quantity that is a text" is "$(code -X PUT "${json[@]}" -d '{"item":"x","quantity":"2"}' "$url/orders/1")" 400
check "a quantity below zero" is "$(code -X PUT "${json[@]}" -d '{"item":"x","quantity":-2}' "$url/orders/1")" 400
check "a field that nobody sent" is "$(code -X PUT "${json[@]}" -d '{"item":"x","quantity":2,"admin":true}' "$url/orders/1")" 400
check "one that is missing" is "$(code -X PUT "${json[@]}" -d '{"quantity":2}' "$url/orders/1")" 400
check "another kind of body" is "$(code -X PUT -H 'content-type: text/plain' -d x "$url/orders/1")" 415
check "a form field that nobody sent" is "$(code -d 'user=ada&password=x&role=admin' "$url/login")" 400
check "a path that nobody asked for" is "$(code "$url/phpmyadmin")" 404
check "a method that nobody used" is "$(code -X DELETE "$url/orders")" 405

say "forgetting"
run "$REEVE" learn forget --config site/reeve.toml
check "what was learned is forgotten" is "$status" 0
run "$REEVE" learn propose --config site/reeve.toml
check "and nothing left" is "$status" 2
told() { "$REEVE" ledger --config site/reeve.toml tail --json --where activity=learn.forget | grep -q '"object":"default"'; }
check "which the ledger tells" within 10 told
stop "$gateway" 15
check "a clean end" is "$status" 0
finish
