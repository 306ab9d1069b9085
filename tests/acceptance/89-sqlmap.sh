#!/usr/bin/env bash
# sqlmap against an application with SQL injection everywhere: it finds them all without the firewall, and none behind it,
# with the rules in the binary and with the Core Rule Set of Debian. Nothing else of the gateway is on: no bans, no rates.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need curl:curl python3:python3 sqlmap:sqlmap dpkg-deb:dpkg apt-get:apt
cd "$TMP"

free_port
application=$port
serve application "$application" python3 "$here/injectable.py" "$application"
deploy gate demo "http://127.0.0.1:$application"
firewall_policy gate 'paranoia = 1, threshold = 5, body = "256 KiB", responses = true'
printf '[waf]\n' >>gate/reeve.toml

# Whether sqlmap calls something injectable: attack SITE OPTIONS... . Its own name is one that every firewall knows, so it
# goes by a browser's.
attack() {
  local site=$1
  shift
  rm -rf sqlmap
  run timeout 150 sqlmap --batch --flush-session --disable-coloring --output-dir "$TMP/sqlmap" --timeout 10 --retries 0 --user-agent \
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" "${@//SITE/$site}"
  if grep -q "is vulnerable\|the following injection point" <<<"$out"; then
    found=injectable
  elif grep -q "do not appear to be injectable\|not injectable" <<<"$out"; then
    found=nothing
  else
    found="could not be told, status $status: $(tail -3 <<<"$out$err")"
  fi
}

# Every place and technique, with what sqlmap is to say: everywhere WORD SITE
everywhere() {
  local word=$1 site=$2 what options
  while IFS='|' read -r what options; do
    eval "attack '$site' $options"
    check "$what: $word" is "$found" "$word"
  done <<'PLACES'
a number in the query, by errors|-u 'SITE/item?id=1' --technique E --dbms mysql
a number in the query, by true and false, and by UNION|-u 'SITE/item?id=1' --technique BU --dbms sqlite
a text in the query, by UNION|-u 'SITE/find?name=apple' --technique U --dbms sqlite
a number in the query, by time alone|-u 'SITE/seen?id=1' --technique T --dbms mysql --time-sec 1
a form, by true and false|-u 'SITE/login' --data 'user=anna' --technique B --dbms sqlite
JSON, by true and false, and by UNION|-u 'SITE/api/item' --data '{"id": "1"}' --technique BU --dbms sqlite
a cookie, by true and false|-u 'SITE/me' --cookie 'token=t0ken' -p token --level 2 --technique B --dbms sqlite
comments for blanks|-u 'SITE/item?id=1' --technique BU --dbms sqlite --tamper space2comment
BETWEEN for comparisons|-u 'SITE/item?id=1' --technique BU --dbms sqlite --tamper between
letters of mixed case|-u 'SITE/item?id=1' --technique BU --dbms sqlite --tamper randomcase
percent-encoding of everything|-u 'SITE/item?id=1' --technique BU --dbms sqlite --tamper charencode
all of these at once|-u 'SITE/find?name=apple' --technique BU --dbms sqlite --tamper between,randomcase,space2comment,charencode
more payloads, and risky ones|-u 'SITE/item?id=1' --technique BU --dbms sqlite --level 3 --risk 2 -p id
PLACES
}

# The treasure of the application, which nobody may see: sets `found` to whether sqlmap brings it.
plunder() {
  run timeout 150 sqlmap --batch --flush-session --disable-coloring --output-dir "$TMP/sqlmap" --timeout 10 --retries 0 --random-agent \
    -u "$1/item?id=1" --technique BEU --dbms sqlite -T users -C secret --dump
  found=$(grep -rqs the-treasure-of-anna "$TMP/sqlmap" && echo brought || echo kept)
}

say "without the firewall"
everywhere injectable "http://127.0.0.1:$application"
plunder "http://127.0.0.1:$application"
check "a secret is read" is "$found" brought

say "behind the rules in the binary"
up gateway gate
site="http://127.0.0.1:$http"
check "the application is there" has "$(ask "$site/item?id=1")" apple
everywhere nothing "$site"
plunder "$site"
check "a secret is kept" is "$found" kept

if apt-get download -qq modsecurity-crs >apt.log 2>&1 && dpkg-deb --extract modsecurity-crs_*.deb crs; then
  say "behind the Core Rule Set of Debian"
  sed -i "s|^\[waf\]|&\nrules = [\"$TMP/crs/etc/modsecurity/crs/crs-setup.conf\", \"$TMP/crs/usr/share/modsecurity-crs\"]|" gate/reeve.toml
  # Anew, and not by a reload: a gateway that runs may read no other folders than those it was started with.
  stop "$gateway" 10
  up gateway gate
  # It refuses addresses for names of hosts, which is how the application is asked for here.
  site="http://localhost:$http"
  check "the application is there" has "$(ask "$site/item?id=1")" apple
  everywhere nothing "$site"
  plunder "$site"
  check "a secret is kept" is "$found" kept
else
  could_not_judge "the package modsecurity-crs could not be fetched: $(tail -1 apt.log)"
fi
finish
