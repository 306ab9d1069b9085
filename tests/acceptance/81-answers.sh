#!/usr/bin/env bash
# What leaves the gateway in front of a careless shop: traces become error pages of one's own, cookies are guarded, what is
# somebody's own is kept by no cache, and a payment page lets only authorised scripts run and rings when one changes. A real
# browser sees that a planted script does not run, and reports it.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 chromium:chromium

cd "$TMP"
free_port
app=$port
echo calm >mode
serve shop "$app" python3 "$here/shop.py" "$app" "$TMP/mode"

site="$TMP/site"
deploy "$site" demo "http://127.0.0.1:$app"
CA="$site/reeve-data/ca/ca.pem"
mkdir "$site/pages" "$site/cache"
echo '<!doctype html><title>Sorry</title><h1>Our own page for {status}</h1><p>{event}</p>' >"$site/pages/default.html"
cat >>"$site/policy.toml" <<'TOML'

[section.payments]
title = "Payments"

[clause.pay-scripts]
section  = "payments"
text     = "Every script on our payment page is authorised, and we look for changes at least every {every}."
control  = "pay.scripts"
with     = { pages = ["/checkout"], scripts = ["/pay.js for the total"], every = "7d" }
severity = "high"

[clause.pay-target]
section  = "payments"
text     = "Payments are taken by {provider}."
control  = "pay.form_target"
with     = { provider = "Example Payments", origins = ["https://pay.example.com"], pages = ["/checkout"] }
severity = "high"

[clause.caches]
section  = "payments"
text     = "Temporary caches are held in memory or encrypted with {cipher}; swap is {swap}."
control  = "cache.cipher"
severity = "high"
TOML
sed -i "s|with     = { paths = \[\"/.env\"|with     = { documentation = [\"/docs\"], paths = [\"/.env\"|" "$site/policy.toml"
sed -i "s|with     = { policy = \"default-src|with     = { report = true, policy = \"default-src|" "$site/policy.toml"
sed -i 's|with     = { same_site = "Lax" }|with     = { same_site = "Lax", readable = ["theme"] }|' "$site/policy.toml"
sed -i "s|^# access = .*|access = \"off\"|" "$site/reeve.toml"
printf '\n[pages]\nfolder = "pages"\n' >>"$site/reeve.toml"
sed -i "s|^\[prove\]|[prove]\nerror_path = \"/boom\"\ntrace_path = \"/trace.json\"\ncaches = [\"cache\"]|" "$site/reeve.toml"

reeve() { "$REEVE" "$1" --config "$site/reeve.toml" "${@:2}"; }
check "policy and settings are without a fault" "$REEVE" check --config "$site/reeve.toml"
up reeve "$site"
at="https://localhost:$https"
page() { ask -i "$@"; }

say "traces"
for path in /trace /trace.gz /trace.json /boom; do
  answer=$(page --compressed "$at$path")
  check "$path shows our page and no trace" lacks "$answer" "KeyError"
  check "$path shows an event" like "$answer" '<p>01[0-9A-Z]{24}</p>'
done
answer=$(page "$at/trace.json")
check "an error keeps its status" like "$answer" '^HTTP/2 400'
check "and our headers" has "$answer" "content-security-policy:"
check "programs get problem details" has "$(page -H 'Accept: application/json' "$at/trace")" "application/problem+json"
check "a page that explains traces is left alone" has "$(page "$at/docs/errors")" "KeyError"
check "a long page without a trace is whole" is "$(ask "$at/stream" | wc -c)" 190000

say "cookies and caches"
answer=$(page "$at/")
check "a session is guarded" has "$answer" "session=1; Path=/; Secure; HttpOnly; SameSite=Lax"
check "a name with __Host- is made true" has "$answer" "__Host-cart=2; Path=/; Secure; HttpOnly; SameSite=Lax"
check "a cookie that scripts read stays readable" like "$answer" 'theme=dark; Secure; SameSite=Lax.?$'
check "what sets a cookie is kept by no cache" has "$answer" "cache-control: no-store"

say "the payment page"
check "its policy names the one script" has "$(page "$at/checkout")" "script-src $at/pay.js;"
ask -o /dev/null "$at/pay.js"
run reeve pay scripts
check "an inventory that nobody approved is told so" is "$status" 1
run reeve pay scripts --approve all --why "adds up the total"
check "it can be approved" is "$status" 0
run reeve pay scripts
check "and is then well" is "$status" 0

# A browser, which stays for so many seconds at most: browse SECONDS ARGUMENT...
browse() {
  timeout "$1" chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --ignore-certificate-errors \
    --short-reporting-delay --user-data-dir="$TMP/browser" "${@:2}" 2>"$TMP/chromium.err"
}
# Its view of a page once everything has run: view URL
view() { browse 60 --virtual-time-budget=5000 --dump-dom "$1"; }
dom=$(view "$at/checkout" || true)
check "in a browser the authorised script runs" has "$dom" 'data-total="shown"'

say "a skimmer"
echo skimmed >mode
dom=$(view "$at/checkout" || true)
check "past the gateway the planted script runs" has "$(view "http://127.0.0.1:$app/checkout" || true)" 'data-skimmed="yes"'
check "in a browser the planted script does not run" lacks "$dom" 'data-skimmed'
check "(the page itself is there)" has "$dom" 'data-total="shown"'
ask -o /dev/null "$at/pay.js"
told() { reeve ledger tail -n 100 --json --where "activity=$1" | grep -qF "$2"; }
check "the planted script raises the alarm" within 10 told pay.script_changed '"appear"'
check "so does the changed file" within 10 told pay.script_changed '"change"'
# Reports are sent a while after the page is there; a browser that stays so long sends them.
browse 10 --remote-debugging-port=0 "$at/checkout" >/dev/null || true
check "the browser's report arrives" within 20 told csp.violation '/checkout'
run reeve pay scripts
check "and the inventory is not approved any more" is "$status" 1

say "the probes"
echo calm >mode
run reeve prove
for clause in pay-scripts pay-target guarded-cookies caches no-debug content-security; do
  check "$clause is kept" like "$out" "^ *kept +$clause"
done
echo skimmed >mode
run reeve prove
check "with the skimmer back, pay.scripts is broken" like "$out" "broken +pay-scripts"

say "a restart"
stop "$gateway" 10
check "it ends well" is "$status" 0
up again "$site"
run reeve pay scripts --json
check "the inventory is kept" has "$out" '"/pay.js"'
finish
