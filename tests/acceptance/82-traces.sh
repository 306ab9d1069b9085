#!/usr/bin/env bash
# Traces: a collector that reads with OpenTelemetry's own messages, and an application that OpenTelemetry's own library
# traces. One trace from a trusted proxy through the gateway to the application; strangers begin anew; secrets are in no
# span; a collector that is gone costs no request.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 nginx:nginx-light wrk:wrk
need_python opentelemetry-sdk==1.38.0 opentelemetry-exporter-otlp-proto-http==1.38.0

cd "$TMP"
free_port; otlp=$port
free_port; app=$port
free_port; figures=$port
: >spans
serve collector "$otlp" "$PYTHON" "$here/otlp.py" collect "$otlp" spans; collector=$started
serve application "$app" "$PYTHON" "$here/otlp.py" serve "$app" "$otlp"

site="$TMP/site"
deploy "$site" demo "http://127.0.0.1:$app"
CA="$site/reeve-data/ca/ca.pem"
# No rate and no ban stands in the way of what is sent here.
cat >"$site/policy.toml" <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Traces"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.edge]
title = "Edge"
[clause.debug]
section = "edge"
text = "Nothing of our insides is served."
control = "error.no_debug"
severity = "high"
TOML
sed -i "s|^\[tls\]|proxies = [\"127.0.0.9\"]\n\n[tls]|; s|^# access = .*|access = \"off\"|; s|^\[metrics\]|[metrics]\nlisten = \"127.0.0.1:$figures\"|" "$site/reeve.toml"
# Traces of this share of requests, told to this port: tracing SHARE PORT
tracing() {
  sed -i '/^\[tracing\]/,$d' "$site/reeve.toml"
  printf '[tracing]\notlp = "http://127.0.0.1:%s"\nsample = %s\nservice = "front"\n' "$2" "$1" >>"$site/reeve.toml"
}
tracing 1.0 "$otlp"
check "the settings are without a fault" "$REEVE" check --config "$site/reeve.toml"
up reeve "$site"
at="https://localhost:$https"

# What was told of a service's spans of a kind, newest last: spans SERVICE KIND EXPRESSION
spans() {
  python3 - "$@" <<'PY'
import json, sys
service, kind, expression = sys.argv[1:]
for s in map(json.loads, open("spans")):
    if (s["service"], s["kind"]) == (service, kind):
        print(eval(expression, {"s": s, "a": s["attributes"]}))
PY
}
newest() { spans "$@" | tail -1; }
told() { (($(spans "$1" "$2" "1" | wc -l) >= $3)); }
figure() { ask "http://127.0.0.1:$figures/metrics" | sed -n "s/^reeve_trace_spans_total{result=\"$1\"} //p"; }

say "one trace"
theirs=4bf92f3577b34da6a3ce929d0e0e4736
said=$(ask --interface 127.0.0.9 -H "traceparent: 00-$theirs-00f067aa0ba902b7-01" -H "tracestate: proxy=1" "$at/orders/17?page=2")
check "the application tells its span" within 10 told application server 1
check "the gateway tells its two" within 10 told front client 1
check "the gateway's goes on from the proxy's" is "$(newest front server 's["trace"], s["parent"]')" "('$theirs', '00f067aa0ba902b7')"
check "its way to the application is below it" is "$(newest front client 's["trace"], s["parent"]')" "('$theirs', '$(newest front server 's["id"]')')"
check "and the application's own span below that" is "$(newest application server 's["trace"], s["parent"]')" "('$theirs', '$(newest front client 's["id"]')')"
check "the proxy's tracestate goes on" has "$said" "proxy=1"
check "the path is told" is "$(newest front server 'a["url.path"], a["url.query"], a["http.response.status_code"]')" "('/orders/17', 'page', 200)"
check "as is each side's version of HTTP" is "$(newest front server 'a["network.protocol.version"]')$(newest front client 'a["network.protocol.version"]')" "21.1"
check "both have a duration" at_least "$(newest front server 's["took_us"]')" "$(newest front client 's["took_us"]')"

say "strangers"
said=$(ask -H "traceparent: 00-$theirs-00f067aa0ba902b7-01" -H "tracestate: theirs=1" "$at/stranger")
check "it is told" within 10 told application server 2
check "by the gateway too" within 10 told front server 2
check "a stranger's trace does not go on" lacks "$said" "$theirs"
check "nor does its tracestate" lacks "$said" "theirs=1"
check "it is a link" is "$(newest front server 's["links"], s["parent"]')" "(['$theirs'], '')"
check "the application is in the new trace" is "$(newest application server 's["trace"]')" "$(newest front server 's["trace"]')"
ask -o /dev/null -H "traceparent: 00-nonsense" "$at/nonsense"
check "what is no context is ignored" within 10 told front server 3
check "and leaves no link" is "$(newest front server 's["links"]')" "[]"

say "secrets"
planted="Qx7SECRETb4kP9zR2vN8wT5yL3mJ6hG1"
before=$(spans front server 1 | wc -l)
fields=(-H "Cookie: session=$planted" -H "Authorization: Bearer $planted" -H "X-Api-Key: $planted" -A "agent $planted")
for target in "/a?token=$planted" "/reset/$planted" "/$planted?x=1" "/.env?$planted" "/b?$planted=1"; do
  ask -o /dev/null "${fields[@]}" "$at$target"
done
check "these requests are told of" within 10 told front server $((before + 5))
check "and none of their secrets" is "$(grep -ac "$planted" spans.raw)" 0
check "a refusal names its control" has "$(spans front server 'a.get("reeve.control")')" "error.no_debug"

say "shares"
sampled() { grep -c -- '-03$' said || true; }
several() { : >said; ask --no-progress-meter --parallel --parallel-max 4 "$at/share/[1-$1]" 2>parallel.err | grep '^00-' >said; }
tracing 0 "$otlp"
"$REEVE" reload --config "$site/reeve.toml" >reload.out 2>&1
check "a reload takes it up" lacks "$(cat reload.out)" "next start"
several 40
check "of 40 requests none is recorded" is "$(wc -l <said)/$(sampled)" 40/0
tracing 0.5 "$otlp"
"$REEVE" reload --config "$site/reeve.toml" >reload.out 2>&1
several 200
check "of 200 some half are: $(sampled)" at_least "$(sampled)" 60
check "and not all" at_most "$(sampled)" 140

say "a collector that goes"
tracing 1.0 "$otlp"
# An application that is quicker than the gateway, so that there is a load.
free_port; quick=$port
mkdir nginx
cat >nginx/nginx.conf <<CONF
daemon off;
master_process off;
pid $TMP/nginx/pid;
error_log $TMP/nginx/error.log;
events {}
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path $TMP/nginx; proxy_temp_path $TMP/nginx; fastcgi_temp_path $TMP/nginx;
  uwsgi_temp_path $TMP/nginx; scgi_temp_path $TMP/nginx;
  server { listen 127.0.0.1:$quick; location / { return 200 "\$http_traceparent\n"; } }
}
CONF
serve nginx "$quick" nginx -c "$TMP/nginx/nginx.conf" -p "$TMP/nginx" -e "$TMP/nginx/error.log"
sed -i "s|^url = .*|url = \"http://127.0.0.1:$quick\"|" "$site/reeve.toml"
"$REEVE" reload --config "$site/reeve.toml" >reload.out 2>&1
exported=$(figure exported)
more() { (($(figure "$1") > $2)); }
stop "$collector" 5
start load wrk -t1 -c8 -d5s "$at/load"
load=$started
check "under load, spans are dropped and counted" within 15 more dropped 0
within 20 gone "$load" || true
requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' load.out)
check "there was a load" at_least "$requests" 1000
check "no request failed of $requests, $(figure dropped) spans did" lacks "$(cat load.out)" "Non-2xx"
check "and no connection broke" lacks "$(cat load.out)" "Socket errors"
check "it is said once" is "$(grep -c 'spans do not reach their collector' reeve.err)" 1
check "memory is bounded: $(sed -n 's/^VmRSS:[^0-9]*//p' "/proc/$gateway/status")" at_most "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$gateway/status")" 300000
serve again "$otlp" "$PYTHON" "$here/otlp.py" collect "$otlp" spans
check "when it is back, spans arrive again" within 15 more exported "$exported"

say "the end"
mark=$(ask "$at/last" | sed -n 's/^00-\([0-9a-f]*\)-.*/\1/p')
stop "$gateway" 15
check "a clean end" is "$status" 0
check "the last spans were told" has "$(spans front server 's["trace"]')" "$mark"
finish
