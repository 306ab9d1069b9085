#!/usr/bin/env bash
# The store of a real deployment: 100,000 records moved from SQLite to PostgreSQL and verified, a move that was killed and
# goes on, the way back, and what somebody finds who has the database: nothing in clear, and of tenants nothing at all.
#
#   tests/acceptance/65-store.sh                the whole
#   RECORDS=5000 tests/acceptance/65-store.sh   fewer records
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
# In memory where there is room: each of the records is recorded in the ledger first, and that waits for the disk.
if [[ -w /dev/shm ]] && (($(df --output=avail -k /dev/shm | tail -1) > 2000000)); then export TMPDIR=/dev/shm; fi
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
need python3:python3 psql:postgresql-client setpriv:util-linux
records=${RECORDS:-100000}
[[ $records =~ ^[1-9][0-9]*$ ]] || could_not_judge "RECORDS is a number from 1, not \`$records\`"
programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [[ -z $programs || ! -x $programs/postgres ]]; then
  need there-is-no-postgres:postgresql
  programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
fi

cd "$TMP"
in_store() { "$REEVE" store --config site/reeve.toml "$@"; }
in_ledger() { "$REEVE" ledger --config site/reeve.toml "$@"; }
marker="planted-$RANDOM$RANDOM$RANDOM"

# --- PostgreSQL ---------------------------------------------------------------------------------------------------

# The server refuses to run as root. Not a function: its process must be the one that is stopped.
as_its_user=()
if ((EUID == 0)); then as_its_user=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env --); fi

start_postgres() {
  chmod 711 "$TMP"
  mkdir pg
  if ((EUID == 0)); then chown postgres: pg; fi
  printf 'password-of-the-admin\n' >admin.password
  printf 'password-of-the-store\n' >store.password
  "${as_its_user[@]}" "$programs/initdb" --no-sync --auth=scram-sha-256 --username=postgres --no-locale --encoding=UTF8 \
    --pwfile="$TMP/admin.password" --pgdata="$TMP/pg" >initdb.log 2>&1 || could_not_judge "initdb: $(tail -1 initdb.log)"
  free_port
  pg=$port
  start postgres "${as_its_user[@]}" "$programs/postgres" -D "$TMP/pg" -p "$pg" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off
  within 20 "$programs/pg_isready" -q -h 127.0.0.1 -p "$pg" || could_not_judge "PostgreSQL: $(tail -1 postgres.err)"
}

# One answer of PostgreSQL: sql ROLE DATABASE STATEMENT
sql() {
  local file=store.password
  if [[ $1 == postgres ]]; then file=admin.password; fi
  PGPASSWORD=$(<"$file") psql -h 127.0.0.1 -p "$pg" -U "$1" -d "$2" -XAtq -v ON_ERROR_STOP=1 -c 'SET search_path = reeve' -c "$3" 2>&1
}
to() { printf 'postgres://reeve@127.0.0.1:%s/%s' "$pg" "$1"; }
admin() { printf 'postgres://postgres@127.0.0.1:%s/%s' "$pg" "$1"; }

# --- a deployment with records ------------------------------------------------------------------------------------

say "a deployment with $records records"
deploy site demo "http://127.0.0.1:9"
up first site
cat >fill.py <<'PY'
import json, socket, sys
path, marker, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for start in range(0, count, 2000):
    rows = [{"clause": f"{marker}-{n}", "control": "edge.none", "verdict": "kept", "seen": f"{marker} seen {n}"}
            for n in range(start, min(start + 2000, count))]
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        line.sendall(json.dumps({"evidence": {"rows": rows}}).encode() + b"\n")
        answer = json.loads(line.makefile().readline())
        assert answer["done"], answer
PY
begun=$EPOCHREALTIME
check "verdicts are kept" python3 fill.py site/reeve-data/control.sock "$marker" "$records"
say "        in $(seconds_since "$begun") s"
in_store status --json >status.json
kept=$(json status.json 'sum(d["records"].values())')
check "they are counted while the gateway runs" at_least "$kept" "$records"
check "and the file is whole" is "$(json status.json 'd["damage"]')" None
check "the table for people says the same" has "$(in_store status)" "$kept"

say "what stands in the way is said"
start_postgres
run in_store move --to "$(to postgres)" --password-file store.password
check "nothing is moved under a gateway that runs" is "$status" 2
check "and the way out is named" has "$err" "stop it and try again"
stop "$gateway" 10
run in_store move --to "$(to postgres)" --password-file store.password
check "without a role in PostgreSQL it is not moved" is "$status" 2
check "and what to check is named" has "$err" "password"
run in_store migrate
check "SQLite needs no migration" has "$err" "nothing to do"

# --- the move -----------------------------------------------------------------------------------------------------

say "from SQLite to PostgreSQL"
sql postgres postgres 'CREATE DATABASE killed' >/dev/null
sha256sum site/reeve-data/store.db >before.sum
begun=$EPOCHREALTIME
run in_store move --to "$(to postgres)" --password-file store.password --admin "$(admin postgres)" \
  --admin-password-file admin.password --json
say "        in $(seconds_since "$begun") s"
check "it is moved" is "$status" 0
check "and verified" has "$err" "verified: $kept records"
check "the line to change is printed" has "$err" "database = \"$(to postgres)\""
printf '%s' "$out" >verified.json
check "the source has as many" is "$(json verified.json 'd["records"]')" "$kept"
check "PostgreSQL has as many" is "$(sql postgres postgres 'SELECT count(*) FROM records')" "$kept"
check "the source is byte for byte what it was" sha256sum --quiet --check before.sum
moved=$(in_ledger tail -n 1 --json --where activity=store.moved || true)
check "the ledger has the digest" has "$moved" "$(json verified.json 'd["digest"]')"
run in_store move --to "$(to postgres)" --password-file store.password
check "a full target is refused" has "$err" "is not empty"

say "a move that is killed goes on"
start killed "$REEVE" store --config site/reeve.toml move --to "$(to killed)" --password-file store.password \
  --admin "$(admin killed)" --admin-password-file admin.password
# Before there is a table, the answer is no number.
half_way() {
  local moved
  moved=$(sql postgres killed 'SELECT count(*) FROM records') || return 1
  ((moved > kept / 4))
}
within 60 half_way || true
stop "$started" 5 KILL
some=$(sql postgres killed 'SELECT count(*) FROM records')
check "it was killed in the middle ($some records)" test "$some" -gt 0 -a "$some" -lt "$kept"
run in_store move --to "$(to killed)" --password-file store.password
check "half a move is not begun anew" has "$err" "go on with \`--resume\`"
run in_store move --to "$(to killed)" --password-file store.password --resume
check "it goes on" has "$err" "verified: $kept records"

say "what somebody finds who has the database"
sql postgres postgres 'CHECKPOINT' >/dev/null
check "no value in PostgreSQL's files" is "$(grep -rlaF "$marker" pg || true)" ""
check "no value in SQLite's files" is "$(grep -laF "$marker" site/reeve-data/store.db* || true)" ""
check "the search finds what does stand there" test -n "$(grep -rlaF verdicts pg)"
check "the role sees nothing without a tenant" has "$(sql reeve postgres 'SELECT count(*) FROM records' || true)" "reeve.tenant"
for statement in 'ALTER TABLE records DISABLE ROW LEVEL SECURITY' 'DROP POLICY tenant ON records' 'CREATE TABLE x (y INT)'; do
  check "the role may not: $statement" like "$(sql reeve postgres "$statement" || true)" 'must be owner|permission denied'
done

say "the deployment on PostgreSQL"
sed -i "s|^\[store\].*|&\ndatabase = \"$(to postgres)\"\npassword_file = \"$TMP/store.password\"|" site/reeve.toml
grep -q '^database' site/reeve.toml || printf '\n[store]\ndatabase = "%s"\npassword_file = "%s"\n' "$(to postgres)" "$TMP/store.password" >>site/reeve.toml
up second site
cat >one.py <<'PY'
import json, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    line.sendall(json.dumps({"verdict": {"clause": sys.argv[2]}}).encode() + b"\n")
    print(line.makefile().readline())
PY
check "a record is found by its id" has "$(python3 one.py site/reeve-data/control.sock "$marker-7")" "$marker seen 7"
check "status names the server" has "$(in_store status)" "postgres://reeve@127.0.0.1:$pg/postgres"
stop "$gateway" 10
run in_store migrate --admin "$(admin postgres)" --admin-password-file admin.password
check "there is nothing to migrate" has "$err" "at version 1 already"

say "and back"
run in_store move --to sqlite
check "the old file is in the way" has "$err" "is not empty"
mkdir old
mv site/reeve-data/store.db* old/
run in_store move --to sqlite --json
check "it is moved back" is "$status" 0
printf '%s' "$out" >back.json
check "and is what it was" is "$(json back.json 'd["digest"]')" "$(json verified.json 'd["digest"]')"
finish
