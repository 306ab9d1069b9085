# shellcheck shell=bash
# shellcheck disable=SC2034 # variables that functions here set are for the tests
# What the acceptance tests share: tools, ports, servers, checks. It is sourced, never run.
#
# A test counts its checks and goes on after a failed one, so that one run shows all that is wrong. Everything listens
# on loopback, on free ports, with its files in a folder that goes at the end; only what a test started is stopped.
# Exit codes: 0 all checks passed, 1 some failed, 2 could not judge.

export LC_ALL=C PATH="$PATH:/usr/sbin"
unset REEVE_CONFIG CLICOLOR_FORCE

readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/reeve-acceptance"
readonly CARGO_FOLDER="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve-target}"

# --- words --------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

could_not_judge() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# --- the binary and a folder --------------------------------------------------------------------------------------

REEVE="$(realpath -m "${REEVE:-$CARGO_FOLDER/release/reeve}")"
[[ -x $REEVE ]] || could_not_judge "there is no \`$REEVE\`; run: ./test build acceptance"

TMP="$(mktemp -d)"
children=()

clean_up() {
  local pid
  for pid in "${children[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${children[@]}"; do
    ended "$pid" 3 || kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$TMP"
}
trap clean_up EXIT

# --- tools --------------------------------------------------------------------------------------------------------

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    could_not_judge "installing packages needs root; run as root: $*"
  fi
}

# Installs what is missing of `command:package` pairs, without starting the services in the packages.
need() {
  local pair packages=() policy=/usr/sbin/policy-rc.d placed=""
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
  done
  if ((${#packages[@]} == 0)); then return; fi
  command -v apt-get >/dev/null || could_not_judge "this machine lacks what these Debian packages bring: ${packages[*]}"
  say "==> install ${packages[*]}"
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    placed=yes
  fi
  # Lists that could not be refreshed may still do; whether they do, the installation says.
  as_root apt-get update -qq || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" \
    >"$TMP/apt.log" 2>&1 || { tail -5 "$TMP/apt.log" >&2; packages=(); }
  if [[ -n $placed ]]; then as_root rm -f "$policy"; fi
  ((${#packages[@]} > 0)) || could_not_judge "the packages could not be installed"
}

# Makes a Python environment with these packages, or takes the one of an earlier run, and sets `PYTHON`.
need_python() {
  local folder
  need python3:python3 flock:util-linux
  python3 -c 'import venv, ensurepip' 2>/dev/null || { need python3-venv-is-missing:python3-venv; }
  folder="$CACHE/python-$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)"
  mkdir -p "$CACHE"
  (
    flock 9
    if [[ ! -e $folder/ready ]]; then
      say "==> install $* from the Python package index"
      rm -rf "$folder"
      python3 -m venv "$folder"
      "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" && touch "$folder/ready"
    fi
  ) 9>"$CACHE/lock" || could_not_judge "these Python packages could not be installed: $*"
  PYTHON="$folder/bin/python"
}

# --- ports and servers --------------------------------------------------------------------------------------------

# Sets `port` to one that nobody listens on, below the range from which the system takes ports for clients.
port=$((12000 + RANDOM % 16000))
free_port() {
  while :; do
    port=$((port + 1))
    open_port "$port" || return 0
  done
}

closed_port() { ! open_port "$1"; }
open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether `command` comes true within so many seconds: within SECONDS COMMAND...
within() {
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/./} < deadline)) || return 1
    sleep 0.02
  done
}

gone() { ! kill -0 "$1" 2>/dev/null; }
ended() { within "$2" gone "$1"; }

# Whether a port accepts connections before the deadline: wait_for_port PORT [SECONDS]
wait_for_port() { within "${2:-10}" open_port "$1"; }

# Starts a server with its output in files of its own and sets `started`: start NAME COMMAND...
start() {
  local name=$1
  shift
  # Here, and not by the redirection alone: until that has happened, a reader would find what an earlier run wrote.
  : >"$TMP/$name.out"
  : >"$TMP/$name.err"
  "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" &
  started=$!
  children+=("$started")
}

# The same, and waits for its port: serve NAME PORT COMMAND...
serve() {
  local name=$1 at=$2
  shift 2
  start "$name" "$@"
  wait_for_port "$at" 20 || { tail -20 "$TMP/$name.err" >&2; could_not_judge "$name does not listen on port $at"; }
}

# Ends a server, waits for it so many seconds, and sets `status` to its exit code: stop PID SECONDS [SIGNAL]
stop() {
  local pid=$1 child kept=()
  kill "-${3:-TERM}" "$pid" || true
  ended "$pid" "$2" || kill -KILL "$pid" || true
  status=0
  wait "$pid" || status=$?
  for child in "${children[@]}"; do
    if [[ $child != "$pid" ]]; then kept+=("$child"); fi
  done
  children=("${kept[@]}")
} 2>/dev/null

# --- Reeve --------------------------------------------------------------------------------------------------------

# Writes a deployment on free ports and sets `https` and `http`: deploy FOLDER POLICY UPSTREAM
deploy() {
  local folder=$1
  "$REEVE" init --quiet --from "$2" --dir "$folder" --upstream "$3"
  free_port
  https=$port
  free_port
  http=$port
  sed -i "s/\(127\.0\.0\.1\|localhost\):8443/\1:$https/; s/127\.0\.0\.1:8080/127.0.0.1:$http/" "$folder/reeve.toml"
}

# Writes a policy that asks for the firewall with these parameters, and for more: firewall_policy FOLDER PARAMETERS [CLAUSES]
firewall_policy() {
  cat >"$1/policy.toml" <<POLICY
schema = "reeve.policy/1"
[policy]
title   = "Firewall"
company = "Example Ltd"
version = "1"
owner   = "cto@example.com"
review  = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.firewall]
title = "The firewall"
[clause.attacks]
section  = "firewall"
text     = "Requests up to {body} are looked into for the known classes of attack, at paranoia level {paranoia}, from a score of {threshold}."
control  = "waf.attack_set"
with     = { $2 }
severity = "high"
${3:-}
POLICY
}

# Starts the gateway of a folder, waits until it serves, and sets `gateway`: up NAME FOLDER
up() {
  start "$1" "$REEVE" up --config "$2/reeve.toml"
  gateway=$started
  if ! within 10 grep -qs 'serving.* https://' "$TMP/$1.err"; then
    cat "$TMP/$1.err" >&2
    fail "\`reeve up\` does not serve"
  fi
}

# Runs a command to its end and sets `status`, `out` and `err`; it never fails itself.
run() {
  status=0
  "$@" >"$TMP/run.out" 2>"$TMP/run.err" </dev/null || status=$?
  out=$(tr -d '\0' <"$TMP/run.out")
  err=$(tr -d '\0' <"$TMP/run.err")
}

# curl as the user has it, without the settings of this machine. `CA` names the authority that is trusted.
ask() { curl --disable --noproxy '*' --silent --show-error --max-time 30 ${CA:+--cacert "$CA"} "$@"; }

# The value of an expression over a JSON document `d`: json FILE EXPRESSION
json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

# Seconds with a tenth since a moment that `EPOCHREALTIME` told.
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/./} - ${1/./}) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# --- checks -------------------------------------------------------------------------------------------------------

checks=0
failures=0

# Notes whether a command succeeds; what it prints is shown if it does not: check WHAT COMMAND...
check() {
  local what=$1 said
  shift
  checks=$((checks + 1))
  if said=$("$@" 2>&1); then
    say "  ok    $what"
  else
    failures=$((failures + 1))
    say "  WRONG $what"
    if [[ -n $said ]]; then head -c 4000 <<<"$said" | sed 's/^/          /'; fi
  fi
}

is() { [[ $1 == "$2" ]] || { printf 'found:    %s\nexpected: %s\n' "$1" "$2"; return 1; }; }
has() { [[ $1 == *"$2"* ]] || { printf 'this is missing: %s\nin: %s\n' "$2" "$1"; return 1; }; }
lacks() { [[ $1 != *"$2"* ]] || { printf 'this should not be there: %s\nin: %s\n' "$2" "$1"; return 1; }; }
# A line matches an extended regular expression.
like() { grep -Eq -- "$2" <<<"$1" || { printf 'no line matches: %s\nof: %s\n' "$2" "$1"; return 1; }; }
at_most() { awk "BEGIN { exit !($1 <= $2) }" || { printf '%s is more than %s\n' "$1" "$2"; return 1; }; }
at_least() { awk "BEGIN { exit !($1 >= $2) }" || { printf '%s is less than %s\n' "$1" "$2"; return 1; }; }

# The last line of every test.
finish() {
  if ((failures > 0)); then
    say "$failures of $checks checks failed"
    exit 1
  fi
  say "$checks checks passed in $SECONDS s"
}
