#!/usr/bin/env bash
# Sealed reads and durable sealed writes of the store, on SQLite and on PostgreSQL, in one run on one disk.
#
#   benches/store.sh              both databases, 5 s for each measurement, 64 clients; about a minute
#   benches/store.sh --help       the options
#
# Every write is on the disk before it is counted: SQLite in WAL mode with synchronous=FULL, PostgreSQL with fsync and
# synchronous_commit on. Records are about 270 bytes before the seal (AES-256-GCM-SIV). What the disk itself can do is
# measured first: how many times a second 8 KiB can be appended and made durable by one writer. More writes than that
# share commits. Other work on the machine shows in the slowest operation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

readonly READS_GOAL=20000 WRITES_GOAL=5000
seconds=5 clients=64 databases=(sqlite postgres) folder=""

usage() {
  cat <<'TEXT'
Usage: benches/store.sh [OPTIONS]

  --seconds N        length of one measurement (default 5)
  --clients N        how many ask at once (default 64)
  --database NAME    only `sqlite` or only `postgres`
  --folder PATH      where the databases are put (default: a folder in /var/tmp)
  --help             this text

Exit codes: 0 SQLite reached the goals (20,000 reads/s, 5,000 writes/s), 1 it did not, 2 could not measure.
TEXT
}

could_not_measure() {
  echo "error: $1" >&2
  exit 2
}

while (($# > 0)); do
  case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --clients) clients=$2; shift 2 ;;
    --database) databases=("$2"); shift 2 ;;
    --folder) folder=$2; shift 2 ;;
    --help) usage; exit 0 ;;
    *) usage >&2; could_not_measure "unknown option \`$1\`" ;;
  esac
done

# --- a folder, and PostgreSQL in it -----------------------------------------------------------------------------------

scratch="$(mktemp -d -p "${folder:-/var/tmp}")"
server=""

clean_up() {
  # SIGINT is PostgreSQL's "fast shutdown".
  if [[ -n $server ]]; then kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap clean_up EXIT

# PostgreSQL refuses to run as root. Not a function: its process must be the one that is stopped.
as_its_user=()
if ((EUID == 0)); then as_its_user=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env --); fi

# Sets `port` to one that nobody listens on.
free_port() {
  port=$((14000 + RANDOM % 10000))
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
}

start_postgres() {
  local programs data="$scratch/postgres" tries=0
  programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
  [[ -n $programs ]] || could_not_measure "PostgreSQL is missing; on Debian: apt-get install postgresql"
  mkdir "$data"
  printf 'password-of-the-benchmark\n' >"$scratch/password"
  chmod 711 "$scratch"
  if ((EUID == 0)); then chown postgres: "$data"; fi
  "${as_its_user[@]}" "$programs/initdb" --auth=scram-sha-256 --username=postgres --pwfile="$scratch/password" \
    --pgdata="$data" >"$scratch/initdb.log" 2>&1 || could_not_measure "initdb failed: $(tail -1 "$scratch/initdb.log")"
  free_port
  "${as_its_user[@]}" "$programs/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    >"$scratch/postgres.log" 2>&1 &
  server=$!
  until "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"; do
    tries=$((tries + 1))
    ((tries < 200)) || could_not_measure "PostgreSQL does not start: $(tail -1 "$scratch/postgres.log")"
    sleep 0.05
  done
}

# --- the measurements -------------------------------------------------------------------------------------------------

# How often one writer can append 8 KiB and wait for the disk.
raw_rate() {
  python3 - "$scratch/raw" <<'PYTHON'
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count, block, end = 0, os.urandom(8192), time.monotonic() + 2
while time.monotonic() < end:
    os.write(file, block)
    os.fdatasync(file)
    count += 1
print(count // 2)
PYTHON
}

# The figure of a line: figure FILE BEGINNING
figure() { sed -n "s|^$2 *\([0-9]*\)/s.*|\1|p" "$1"; }

cargo build --quiet --release --locked --package reeve-store --example load
load="${CARGO_TARGET_DIR:-target}/release/examples/load"
echo "disk: $(raw_rate) appends of 8 KiB made durable each second by one writer; $clients clients, $(nproc) cores"

reached=yes
for database in "${databases[@]}"; do
  echo "$database"
  mkdir "$scratch/place"
  case $database in
    sqlite)
      "$load" sqlite "$scratch/place" "$seconds" "$clients" | tee "$scratch/figures" | sed 's/^/  /'
      reads=$(figure "$scratch/figures" "point reads")
      writes=$(figure "$scratch/figures" "writes (new records)")
      if ((reads < READS_GOAL || writes < WRITES_GOAL)); then reached=no; fi
      ;;
    postgres)
      start_postgres
      "$load" postgres "postgres://postgres@127.0.0.1:$port/postgres" "$scratch/password" "$scratch/place" "$seconds" \
        "$clients" | sed 's/^/  /'
      ;;
    *) could_not_measure "there is no database \`$database\`" ;;
  esac
  rm -rf "$scratch/place"
done

if [[ $reached == no ]]; then
  echo "SQLite did not reach $READS_GOAL reads/s and $WRITES_GOAL writes/s"
  exit 1
fi
