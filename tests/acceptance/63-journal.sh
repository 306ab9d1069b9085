#!/usr/bin/env bash
# Logs in systemd's journal, with real journal files and a real SSH server: bans as from a log file, readers that die,
# restarts, rotation, and what anybody may write to the journal. In a network namespace, so as root.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
if [[ ${1:-} != inside ]]; then
  # Tools are installed with the network that the machine has.
  # shellcheck source-path=SCRIPTDIR source=lib.sh
  source "$here/lib.sh"
  ((EUID == 0)) || could_not_judge "network namespaces need root"
  need curl:curl python3:python3 ip:iproute2 logger:bsdutils setpriv:util-linux pgrep:procps sshd:openssh-server ssh:openssh-client \
    journalctl:systemd /lib/systemd/systemd-journal-remote:systemd-journal-remote
  trap - EXIT
  rm -rf "$TMP"
  REEVE="$REEVE" exec unshare --net --mount "$0" inside
fi
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$TMP"
chmod 755 "$TMP"

# --- two hosts ----------------------------------------------------------------------------------------------------

# This one is 198.51.100.1; the attacker's is 198.51.100.7.
ip link set lo up
unshare --net sleep 3600 &
attacker=$!
children+=("$attacker")
other() { [[ $(readlink "/proc/$attacker/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
within 5 other || could_not_judge "no second network namespace"
ip link add inner type veth peer name outer netns "$attacker"
ip addr add 198.51.100.1/24 dev inner
ip link set inner up
there() { nsenter --target "$attacker" --net "$@"; }
there ip link set lo up
there ip addr add 198.51.100.7/24 dev outer
there ip link set outer up

# --- a journal, an SSH server that logs to it, a deployment ---------------------------------------------------------

mkdir journal
# Writes what comes through a pipe to a journal's file, until the pipe is closed: write_journal FILE
write_journal() {
  rm -f pipe
  mkfifo pipe
  /lib/systemd/systemd-journal-remote --output="$1" - <pipe >/dev/null 2>remote.err &
  writer=$!
  children+=("$writer")
  exec 7>pipe
}
write_journal journal/system.journal
# Takes what programs log and puts it into the pipe that is open now.
take_logs() {
  umount /dev/log 2>/dev/null || true
  rm -f log.sock
  python3 "$here/tiny_journal.py" socket "$TMP/log.sock" ssh.service >&7 &
  bridge=$!
  children+=("$bridge")
  within 5 test -S log.sock || could_not_judge "no syslog"
  touch /dev/log 2>/dev/null || true
  mount --bind "$TMP/log.sock" /dev/log
}
take_logs
free_port
ssh_port=$port
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host_key
cat >sshd_config <<CONF
Port $ssh_port
ListenAddress 198.51.100.1
ListenAddress 127.0.0.1
HostKey $TMP/host_key
PidFile none
UsePAM no
PasswordAuthentication yes
PermitRootLogin yes
MaxStartups 100
CONF
"$(command -v sshd)" -D -f sshd_config &
children+=("$!")
wait_for_port "$ssh_port" || could_not_judge "the SSH server does not listen"

free_port
app=$port
mkdir www
echo hello >www/index.html
serve upstream "$app" python3 -m http.server --bind 127.0.0.1 --directory www "$app"
cat >policy.toml <<'TOML'
schema = "reeve.policy/1"
[policy]
title = "Bans"
company = "Example Ltd"
version = "1"
owner = "cto@example.com"
review = { every = "12 months", last = 2026-11-01, approvers = 1 }
[section.abuse]
title = "Abuse"
[clause.ssh]
section = "abuse"
text = "{failures} failed sign-ins by SSH within {window} ban the address for {ban}."
control = "ban.ssh"
with = { failures = 5, window = "10m", ban = "6s" }
severity = "high"
TOML
deploy site demo "http://127.0.0.1:$app"
cp policy.toml site/policy.toml
sed -i "s/^https .*/https = [\"0.0.0.0:$https\"]/" site/reeve.toml
cat >>site/reeve.toml <<TOML
[[watch]]
kind = "sshd"
journal = "ssh.service"
journal_directory = "$TMP/journal"
server = "127.0.0.1:$ssh_port"
TOML
up gateway site
CA="$TMP/site/reeve-data/ca/ca.pem"
fetch() { # fetch PATH: sets `code`, 000 where there is no answer
  code=$(there curl --disable --noproxy '*' -s -o /dev/null -m 2 -w '%{http_code}' --cacert "$CA" \
    --connect-to "localhost:$https:198.51.100.1:$https" "https://localhost:$https$1" || true)
}
served() { fetch / && [[ $code == 200 ]]; }
shut_out() { fetch / && [[ $code == 000 ]]; }
listed() { "$REEVE" ban --config site/reeve.toml list --json --limit 1000 >list.json 2>/dev/null && json list.json "$1"; }
banned() { [[ $(listed "[1 for b in d['bans'] if b['network'] == '$1/32']") == "[1]" ]]; }
watched() { "$REEVE" watch --config site/reeve.toml list --json >watched.json 2>/dev/null && json watched.json "d[0]['$1']"; }
has_read() { [[ $(watched "$1") == "$2" ]]; }
told() { "$REEVE" ledger --config site/reeve.toml tail --where "activity=$1" | grep -q "$2"; }
# The process that reads the journal for a gateway: reader_of PID
reader_of() {
  local helper
  for helper in $(pgrep -P "$1"); do pgrep -P "$helper" -x journalctl || true; done
}
# Failures as entries of sshd: put ADDRESS COUNT
put() {
  local number
  for ((number = 0; number < $2; number++)); do
    echo "x sshd[$RANDOM]: Failed password for root from $1 port 22 ssh2"
  done | python3 "$here/tiny_journal.py" lines ssh.service >&7
}
printf '#!/bin/sh\necho wrong\n' >askpass
chmod +x askpass
guess() { # guess USER: one wrong password
  there env SSH_ASKPASS="$TMP/askpass" SSH_ASKPASS_REQUIRE=force DISPLAY=x setsid -w timeout 20 ssh -F none -p "$ssh_port" \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 \
    -o PreferredAuthentications=password -o PubkeyAuthentication=no -o ConnectTimeout=10 "$1@198.51.100.1" true </dev/null 2>/dev/null || true
}

# --- an SSH server is tried by force ------------------------------------------------------------------------------

say "ssh"
check "before: the site is served" served
guess root
check "a failure is read from the journal" within 5 has_read failures 1
check "after one failure: served" served
begun=$EPOCHREALTIME
for _ in 1 2 3 4; do guess root; done
check "after five failures: shut out" within 5 shut_out
say "  four guesses and the ban: $(seconds_since "$begun") s"
check "by ban.ssh" is "$(listed '[b["by"] for b in d["bans"] if b["network"] == "198.51.100.7/32"]')" "['ban.ssh']"
entries=$(journalctl --directory=journal --merge --output=cat _SYSTEMD_UNIT=ssh.service)
check "the entries are sshd's own" like "$entries" '^Failed password for root from 198\.51\.100\.7 port [0-9]+ ssh2'
check "it ends on time" within 9 served
check "after not less than six seconds" at_least "$(seconds_since "$begun")" 6
check "the ledger has the ban" within 5 told ban.made 198.51.100.7
check "and its end" within 5 told ban.ended 198.51.100.7

say "what anybody may write"
before=$(watched failures)
for _ in 1 2 3 4 5 6; do
  setpriv --reuid 65534 --regid 65534 --clear-groups logger --socket "$TMP/log.sock" --tag sshd --id=812 -p auth.info "Failed password for root from 192.0.2.66 port 22 ssh2"
done
put 192.0.2.67 1
check "other entries are read meanwhile" within 5 has_read failures $((before + 1))
entries=$(journalctl --directory=journal --merge --output=cat SYSLOG_IDENTIFIER=sshd)
check "entries under the name of sshd" has "$entries" "from 192.0.2.66"
check "that did not come from it accuse nobody" is "$(listed "[b for b in d['bans'] if '192.0.2.66' in b['network']]")" "[]"

# --- the reader dies, the journal is rotated -----------------------------------------------------------------------

say "readers and files"
reader=$(reader_of "$gateway")
check "one process reads" like "$reader" '^[0-9]+$'
put 198.18.0.0 2
kill -KILL "$reader"
put 198.18.0.0 3
check "killed: another one goes on, and nothing is lost" within 8 banned 198.18.0.0
check "another process" bash -c "[[ '$reader' != '$(reader_of "$gateway")' ]]"
put 198.18.0.1 4
read_failures=$((before + 1 + 5 + 4))
check "nothing is counted twice" within 5 has_read failures "$read_failures"
check "the ledger has that it ended" within 5 told watch.failed 'signal: 9'
check "and that it is back" within 5 told watch.restored ssh.service
stop "$bridge" 5
stop "$writer" 5
mv journal/system.journal journal/system@old.journal
write_journal journal/system.journal
take_logs
put 198.18.0.1 1
check "failures on both sides of a rotation are a ban" within 8 banned 198.18.0.1
python3 - <<'PY' >&7
import sys, time
boot = open("/proc/sys/kernel/random/boot_id").read().strip().replace("-", "")
head = f"__REALTIME_TIMESTAMP={int(time.time() * 1e6)}\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID={boot}\n_PID=1\n_UID=0\n_COMM=sshd\n_SYSTEMD_UNIT=ssh.service\n"
sys.stdout.write(head + "MESSAGE=" + "a" * 700000 + "\n\n")
sys.stdout.flush()
sys.stdout.buffer.write(head.encode() + b"MESSAGE\n" + (7).to_bytes(8, "little") + b"\xff\xfe\nxyz\x00\n\n")
PY
put 198.18.0.2 5
check "after an entry of 700 kB and one that is no text" within 8 banned 198.18.0.2
check "which were passed over" is "$(watched overlong) $(watched odd)" "1 1"
rm journal/system@old.journal
put 198.18.0.3 5
check "old files are deleted" within 8 banned 198.18.0.3

# --- a restart ----------------------------------------------------------------------------------------------------

say "restart"
counted=$(watched failures)
put 198.18.0.4 4
check "four failures" within 5 has_read failures $((counted + 4))
reader=$(reader_of "$gateway")
stop "$gateway" 15
check "a clean end" is "$status" 0
check "and no reader is left" within 3 gone "$reader"
put 198.18.0.5 5
put 198.18.0.4 1
up again site
check "what came meanwhile is read" within 8 banned 198.18.0.5
check "and nothing but that" is "$(watched failures)" 6
check "what was judged before is not judged again" is "$(listed "[b for b in d['bans'] if '198.18.0.4' in b['network']]")" "[]"
# A killed process goes on from what was kept last, every five seconds.
sleep 6
reader=$(reader_of "$gateway")
stop "$gateway" 5 KILL
check "killed: no reader is left" within 3 gone "$reader"
put 198.18.0.6 5
up third site
check "killed and started: what came meanwhile is read" within 8 banned 198.18.0.6
check "and nothing but that" is "$(watched failures)" 5

# --- the same lines in a file ---------------------------------------------------------------------------------------

say "as from a file"
stop "$gateway" 15
sed -i 's/ban = "6s"/ban = "1h"/' site/policy.toml
python3 "$here/log_lines.py" sshd 1 40000 | grep -aE '^[^ ]+ +[^ ]+ [^ ]+ [^ ]+ sshd\[[0-9]+\]: ' >lines.log || true
up lines site
"$REEVE" --quiet watch try sshd lines.log >from_file
python3 "$here/tiny_journal.py" lines ssh.service <lines.log >&7
check "$(wc -l <from_file) failures in $(wc -l <lines.log) lines, as from a file" within 60 has_read failures "$(wc -l <from_file)"
check "names among them" is "$(watched names)" "$(cut -d' ' -f2 from_file | grep -c '[g-z]' || true)"
python3 - from_file >expected <<'PY'
import collections, ipaddress, sys
counts = collections.Counter()
for line in open(sys.argv[1]):
    _, host, attempts = line.split()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        continue
    network = ipaddress.ip_network((address, 64 if address.version == 6 else 32), strict=False)
    counts[str(network)] += int(attempts)
print(sorted(network for network, count in counts.items() if count >= 5))
PY
check "the same are banned" is "$(listed "sorted(b['network'] for b in d['bans'])")" "$(cat expected)"
check "and those are some" like "$(cat expected)" '192\.0\.2\.'
stop "$gateway" 15

# --- the proof, and what cannot be read -----------------------------------------------------------------------------

say "proof"
sed -i 's/ban = "1h"/ban = "3s"/' site/policy.toml
up proved site
prove() { run "$REEVE" prove --config site/reeve.toml --json; }
prove
check "by failed sign-ins: kept" is "$status $(json run.out 'd["clauses"][0]["verdict"]')" "0 kept"
entries=$(journalctl --directory=journal --merge --output=cat _SYSTEMD_UNIT=ssh.service | grep -a '^Invalid user' || true)
check "the server was really asked" like "$entries" '^Invalid user reeve-probe-[0-9a-f]+ from 127\.'
stop "$gateway" 15
cp site/reeve.toml whole.toml
sed -i "s/^server = .*/server = \"127.0.0.1:1\"/" site/reeve.toml
up nobody site
prove
check "no server: unknown" is "$status $(json run.out 'd["clauses"][0]["verdict"]')" "2 unknown"
cp whole.toml site/reeve.toml
sed -i 's/journal = "ssh.service"/journal = "other.service"/' site/reeve.toml
run "$REEVE" reload --config site/reeve.toml
check "a journal that is added takes effect with the next start" has "$err" "watch.journal"
check "until then it is not read" like "$(watched failing)" 'restart the gateway'
stop "$gateway" 15
up elsewhere site
prove
check "the wrong service: broken" is "$status $(json run.out 'd["clauses"][0]["verdict"]')" "1 broken"
stop "$gateway" 15
cp whole.toml site/reeve.toml
mount --bind /dev/null "$(command -v journalctl)"
up without site
check "no journalctl: it is said" within 5 bash -c "$(declare -f watched json); REEVE='$REEVE' TMP='$TMP'; [[ \$(watched failing) == *'cannot run'*'journalctl'* ]]"
check "and recorded" within 5 told watch.failed journalctl
prove
check "and broken" is "$status $(json run.out 'd["clauses"][0]["verdict"]')" "1 broken"
umount "$(command -v journalctl)"
check "and when it is back, all is well" within 40 has_read failing None

# --- another binary takes over --------------------------------------------------------------------------------------

say "upgrade"
counted=$(watched lines)
run "$REEVE" upgrade --config site/reeve.toml --json
check "another process has taken over" is "$status" 0
successor=$(json run.out 'd["new"]')
children+=("$successor")
put 198.18.0.7 5
check "it reads the journal on" within 8 banned 198.18.0.7
check "from where the first one left off" is "$(watched lines)" 5
check "and the first one has ended" within 15 gone "$gateway"
reader=$(reader_of "$successor")
kill "$successor"
check "a clean end" within 15 gone "$successor"
check "and no reader is left" within 3 gone "$reader"

# --- no permission --------------------------------------------------------------------------------------------------

say "permission"
deploy other demo "http://127.0.0.1:$app"
cp policy.toml other/policy.toml
grep -A 9 '^\[\[watch\]\]' site/reeve.toml >>other/reeve.toml
chmod 700 journal
chown -R nobody other
# Where the one under test lies, that user may not look.
cp "$REEVE" reeve
start other setpriv --reuid nobody --regid nogroup --clear-groups ./reeve up --config other/reeve.toml
gateway=$started
check "whoever may not read the journal serves" within 10 grep -qs 'serving.* https://' other.err
told_of() { "$REEVE" watch --config other/reeve.toml list --json 2>/dev/null | grep -q "$1"; }
check "and says so" within 5 told_of 'ermission'
check "also in the log" grep -q 'a log cannot be watched.*ermission' other.err
stop "$gateway" 15
finish
