#!/usr/bin/env bash
# One command, nothing set up: the demo enforces and proves every clause of its policy, in seconds.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

mapfile -t clauses < <(sed -n 's/^\[clause\.\(.*\)\]$/\1/p' "$here/../../policies/demo.toml")

say "reeve demo --once --html"
mkdir "$TMP/empty"
cd "$TMP/empty"
begun=$EPOCHREALTIME
run "$REEVE" demo --once --html proof.html
took=$(seconds_since "$begun")
say "  $took s for ${#clauses[@]} clauses"

check "exit code 0" is "$status" 0
check "under 10 s" at_most "$took" 10
check "the policy has clauses" at_least "${#clauses[@]}" 10
for clause in "${clauses[@]}"; do
  check "$clause is kept" like "$out" "^kept +$clause "
done
check "the count says so" has "$out" "kept ${#clauses[@]}, broken 0, unknown 0 of ${#clauses[@]}"
check "attacks are shown with the control that refused them" like "$err" '^ +edge\.smuggling: .*, event [0-9A-Z]{26}$'
check "stdout holds no talk" lacks "$out" "Attacks"
check "nothing is coloured in a pipe" lacks "$out$err" $'\e['
check "nothing but the page is left behind" is "$(ls -A)" "proof.html"

say "the page"
page=$(<proof.html)
missing=()
for clause in "${clauses[@]}"; do [[ $page == *"$clause"* ]] || missing+=("$clause"); done
check "names every clause" is "${missing[*]}" ""
check "is HTML" like "$page" '^<!DOCTYPE html>'
check "runs no script" lacks "${page,,}" "<script"
check "handles no event" is "$(grep -Eio '<[^>]+ on[a-z]+ *=' proof.html || true)" ""
resources="(src|srcset|href|action|data|poster) *= *[\"']?(https?:)?//[^\"' >]*"
resources+="|<(link|iframe|object|embed|base)[ >]|@import[^;]*|url\([\"']?(https?:)?//[^)]*"
check "loads nothing from elsewhere" is "$(grep -Eio "$resources" proof.html | sort -u || true)" ""

finish
