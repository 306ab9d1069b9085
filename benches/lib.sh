# What the benchmarks share: the servers that they start and stop, and how processor time is read. Sourced, not run.
# shellcheck shell=bash

# The proxy that is measured has one core, what loads it and what answers it the other.
# shellcheck disable=SC2034 # used by those that source this
readonly PROXY_CORE=0 LOAD_CORE=1

could_not_measure() {
  echo "error: $1" >&2
  exit 2
}

# --- what it needs ----------------------------------------------------------------------------------------------------

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    could_not_measure "installing packages needs root; run as root: $*"
  fi
}

# Installs what brings a command or a file, where it is not there: install_missing COMMAND-OR-FILE:PACKAGE...
install_missing() {
  local pair packages=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || [[ -e ${pair%%:*} ]] || packages+=("${pair##*:}")
  done
  if ((${#packages[@]} == 0)); then return; fi
  command -v apt-get >/dev/null || could_not_measure "this machine lacks what these Debian packages bring: ${packages[*]}"
  echo "==> install ${packages[*]}" >&2
  # The package would start nginx on port 80; the servers here are started below, and only those.
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    policy_rc=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy_rc" >/dev/null
    as_root chmod 755 "$policy_rc"
  fi
  as_root apt-get update -qq || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null ||
    could_not_measure "these packages could not be installed: ${packages[*]}"
}

# --- servers ----------------------------------------------------------------------------------------------------------

folder="" policy_rc=""
started=()

clean_up() {
  local pid
  if [[ -n $policy_rc ]]; then as_root rm -f "$policy_rc"; fi
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [[ -n $folder ]]; then rm -rf "$folder"; fi
}

# Sets `port` to one that nobody listens on, below the range from which the system takes ports for clients.
port=18000
next_port() {
  while :; do
    port=$((port + 1))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
  done
}

# Starts a server on a core and sets `pid`: start CORE NAME COMMAND...
start() {
  local core=$1 name=$2
  shift 2
  taskset -c "$core" "$@" >"$folder/$name.out" 2>&1 &
  pid=$!
  started+=("$pid")
}

# nginx_config NAME, the http block on standard input; runs in the foreground, so that the shell knows its number.
nginx_config() {
  mkdir -p "$folder/$1"
  cat >"$folder/$1/nginx.conf" <<TEXT
daemon off;
worker_processes 1;
pid $folder/$1/pid;
error_log $folder/$1/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path $folder/$1/body;
  proxy_temp_path $folder/$1/proxy;
  fastcgi_temp_path $folder/$1/fastcgi;
  uwsgi_temp_path $folder/$1/uwsgi;
  scgi_temp_path $folder/$1/scgi;
$(cat)
}
TEXT
  if ((EUID == 0)); then sed -i '1i user root;' "$folder/$1/nginx.conf"; fi
}

resident_kib() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"; }

# Nanoseconds on a processor, of all threads of a process.
on_cpu_ns() { cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

# For awk: the middle of a table of numbers, which it leaves sorted.
# shellcheck disable=SC2034 # used by those that source this
readonly MEDIAN='
  function median(values, n,  i, j, swap) {
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && values[j] < values[j - 1]; j--) { swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap }
    return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
  }
'
