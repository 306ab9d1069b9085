#!/usr/bin/env bash
# Bans with real attackers: filters as fail2ban's on the same lines and how fast, a real SSH server that is tried by
# force, a scanner, bans that survive a kill, and the host's own firewall. In a network namespace, so as root.
set -euo pipefail
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
if [[ ${1:-} != inside ]]; then
  # Tools are installed with the network that the machine has.
  # shellcheck source-path=SCRIPTDIR source=lib.sh
  source "$here/lib.sh"
  ((EUID == 0)) || could_not_judge "network namespaces need root"
  need curl:curl python3:python3 nft:nftables ip:iproute2 fail2ban-regex:fail2ban sshd:openssh-server ssh:openssh-client
  trap - EXIT
  rm -rf "$TMP"
  REEVE="$REEVE" exec unshare --net --mount "$0" inside
fi
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
cd "$TMP"

# --- two hosts ----------------------------------------------------------------------------------------------------

# This one is 198.51.100.1; the attacker's is 198.51.100.7 and 198.51.100.8.
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
there ip addr add 198.51.100.8/24 dev outer
there ip link set outer up

# --- the filters are fail2ban's -----------------------------------------------------------------------------------

say "filters"
for kind in sshd nginx-http-auth nginx-botsearch apache-auth apache-badbots; do
  for seed in 1 2; do
    python3 "$here/log_lines.py" "$kind" "$seed" 20000 >"$kind.log"
    /usr/bin/python3 "$here/fail2ban_says.py" "$kind" "$kind.log" >theirs
    "$REEVE" --quiet watch try "$kind" "$kind.log" >ours
    check "$kind, lines $seed: $(wc -l <ours) failures, as fail2ban" diff theirs ours
    check "$kind, lines $seed: nobody else is accused" lacks "$(cut -d' ' -f2 ours)" 203.0.113
  done
done
# How fast, on one file and in one run: the CPU time of each.
cpu() { # cpu COMMAND...: sets `took` to its seconds of CPU
  local times
  times=$( { TIMEFORMAT='%U %S'; time "$@" >/dev/null 2>&1; } 2>&1)
  took=$(awk '{ print $1 + $2 }' <<<"$times")
}
cpu fail2ban-regex --raw sshd.log sshd
theirs=$took
for _ in {1..100}; do cat sshd.log; done >long.log
cpu "$REEVE" --quiet watch try sshd long.log --count
ratio=$(awk "BEGIN { printf \"%.0f\", 100 * $theirs / $took }")
say "  sshd: $(awk "BEGIN { printf \"%.0f\", 20000 / $theirs }") lines/s of CPU with fail2ban-regex, $(awk "BEGIN { printf \"%.0f\", 2000000 / $took }") here: $ratio times"
check "sshd: at least 20 times fail2ban-regex's lines per second" at_least "$ratio" 20

# --- a deployment -------------------------------------------------------------------------------------------------

free_port
app=$port
mkdir www
echo hello >www/index.html
serve upstream "$app" python3 -m http.server --bind 127.0.0.1 --directory www "$app"
free_port
ssh_port=$port
touch auth.log
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
[clause.http]
section = "abuse"
text = "{hits} requests that only scanners make within {window} ban the address for {ban}."
control = "ban.http"
with = { hits = 3, window = "10m", ban = "1h" }
severity = "high"
TOML
deploy site demo "http://127.0.0.1:$app"
cp policy.toml site/policy.toml
sed -i "s/^https .*/https = [\"0.0.0.0:$https\"]/" site/reeve.toml
sed -i 's/^# allow = .*/allow = ["198.51.100.8"]/; s/^# nftables = .*/nftables = true/' site/reeve.toml
cat >>site/reeve.toml <<TOML
[[watch]]
kind = "sshd"
file = "$TMP/auth.log"
TOML
up gateway site
CA="$TMP/site/reeve-data/ca/ca.pem"
fetch() { # fetch SOURCE PATH: sets `code`, 000 where there is no answer
  code=$(there curl --disable --noproxy '*' -s -o /dev/null -m 2 -w '%{http_code}' --cacert "$CA" --interface "$1" \
    --connect-to "localhost:$https:198.51.100.1:$https" "https://localhost:$https$2" || true)
}
listed() { "$REEVE" ban --config site/reeve.toml list --json --limit 1000 >list.json 2>/dev/null && json list.json "$1"; }
in_kernel() { nft list table inet reeve 2>/dev/null | grep -q "$1"; }
not_in_kernel() { ! in_kernel "$1"; }
served_from() { fetch "$1" / && [[ $code == 200 ]]; }
shut_out() { fetch "$1" / && [[ $code == 000 ]]; }

# --- an SSH server is tried by force ------------------------------------------------------------------------------

say "ssh"
python3 "$here/tiny_syslog.py" "$TMP/log.sock" "$TMP/auth.log" &
children+=("$!")
within 5 test -S "$TMP/log.sock" || could_not_judge "no syslog"
touch /dev/log 2>/dev/null || true
mount --bind "$TMP/log.sock" /dev/log
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host_key
cat >sshd_config <<CONF
Port $ssh_port
ListenAddress 198.51.100.1
HostKey $TMP/host_key
PidFile none
UsePAM no
PasswordAuthentication yes
PermitRootLogin yes
SyslogFacility AUTH
MaxStartups 100
CONF
"$(command -v sshd)" -D -f sshd_config &
children+=("$!")
listens() { there bash -c "exec 3<>/dev/tcp/198.51.100.1/$ssh_port" 2>/dev/null; }
within 10 listens || could_not_judge "the SSH server does not listen"
printf '#!/bin/sh\necho wrong\n' >askpass
chmod +x askpass
guess() { # guess SOURCE USER: one wrong password
  there env SSH_ASKPASS="$TMP/askpass" SSH_ASKPASS_REQUIRE=force DISPLAY=x setsid -w timeout 20 ssh -F none -b "$1" -p "$ssh_port" \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 \
    -o PreferredAuthentications=password -o PubkeyAuthentication=no -o ConnectTimeout=3 "$2@198.51.100.1" true </dev/null 2>/dev/null || true
}
check "before: the site is served" served_from 198.51.100.7
guess 198.51.100.7 root
sleep 1
check "after one failure: served" served_from 198.51.100.7
begun=$EPOCHREALTIME
for _ in 1 2 3 4; do guess 198.51.100.7 root; done
check "after five failures: in the kernel's set" within 5 in_kernel "198.51.100.7 timeout"
say "  the last failure and the ban: $(seconds_since "$begun") s for four guesses and the ban"
check "the gateway's list has it" is "$(listed '[b["by"] for b in d["bans"] if b["network"] == "198.51.100.7/32"]')" "['ban.ssh']"
check "the site is shut" shut_out 198.51.100.7
check "and the SSH server too" bash -c "! nsenter --target $attacker --net timeout 2 bash -c 'exec 3<>/dev/tcp/198.51.100.1/$ssh_port'"
check "the lines are sshd's own" like "$(cat auth.log)" 'web sshd\[[0-9]+\]: Failed password for root from 198\.51\.100\.7 port [0-9]+ ssh2'
check "it ends on time" within 9 served_from 198.51.100.7
check "after not less than six seconds" at_least "$(seconds_since "$begun")" 6
check "and the kernel has forgotten" within 2 not_in_kernel "198.51.100.7 timeout"
told() { "$REEVE" ledger --config site/reeve.toml tail --where "activity=$1" | grep -q 198.51.100.7; }
check "the ledger has the ban" within 5 told ban.made
check "and its end" within 5 told ban.ended
for _ in 1 2 3 4 5 6 7; do guess 198.51.100.8 root; done
sleep 1
check "an allowed address is not banned, whatever it does" served_from 198.51.100.8

# --- rotation -----------------------------------------------------------------------------------------------------

say "rotation"
failed() { printf '%s web sshd[%d]: Failed password for root from %s port 22 ssh2\n' "$(LC_ALL=C date '+%b %e %T')" "$RANDOM" "$1"; }
failed 192.0.2.50 >>auth.log
failed 192.0.2.50 >>auth.log
mv auth.log auth.log.1
failed 192.0.2.50 >>auth.log.1
{ failed 192.0.2.50; head -c 30000000 /dev/zero | tr '\0' 'a'; printf '\n\xff\xfe\n'; failed 192.0.2.50; } >>auth.log
banned() { [[ $(listed "[1 for b in d['bans'] if b['network'] == '$1/32']") == "[1]" ]]; }
check "failures on both sides of a rotation, around 30 MB without a line end, are a ban" within 8 banned 192.0.2.50

# --- a scanner, and a kill ----------------------------------------------------------------------------------------

say "scanner"
for path in /.env /wp-login.php /phpmyadmin/index.php; do fetch 198.51.100.7 "$path"; done
check "three scans: shut out" within 3 shut_out 198.51.100.7
check "by ban.http" is "$(listed '[b["by"] for b in d["bans"] if b["network"] == "198.51.100.7/32"]')" "['ban.http']"
check "for twice as long, because it is the second time" is "$(listed '[b["times"] for b in d["bans"] if b["network"] == "198.51.100.7/32"]')" "[2]"
"$REEVE" --quiet ban --config site/reeve.toml add 192.0.2.0/24 --for 1d --reason "by hand"
check "a network by hand, in the kernel" within 3 in_kernel "192.0.2.0/24"
run "$REEVE" ban --config site/reeve.toml add 0.0.0.0/0
check "not the whole world" is "$status" 2
run "$REEVE" ban --config site/reeve.toml add 198.51.100.1
check "not this machine" has "$err" "is never banned"
sleep 0.5
stop "$gateway" 5 KILL
check "killed: nothing is left in the kernel" within 5 bash -c '! nft list table inet reeve 2>/dev/null'
up again site
check "started again: still shut out" shut_out 198.51.100.7
check "and the network by hand" is "$(listed '[b["by"] for b in d["bans"] if b["network"] == "192.0.2.0/24"]')" "['uid:0']"
check "and in the kernel" within 3 in_kernel "198.51.100.7 timeout"
"$REEVE" --quiet ban --config site/reeve.toml lift 198.51.100.7
check "lifted: served" within 3 served_from 198.51.100.7
for path in /.env /wp-login.php /phpmyadmin/index.php; do fetch 198.51.100.7 "$path"; done
check "and not banned again at once" served_from 198.51.100.7

# --- a connection that is open already ------------------------------------------------------------------------------

say "an open connection"
sed -i 's/^nftables = true/nftables = false/' site/reeve.toml
stop "$gateway" 15
up third site
for version in http1.1 http2; do
  there curl --disable --noproxy '*' -s -o /dev/null -o /dev/null -o /dev/null -w '%{http_code} %{http_version},' --"$version" --cacert "$CA" \
    -m 20 --rate 30/m --interface 198.51.100.7 --connect-to "localhost:$https:198.51.100.1:$https" \
    "https://localhost:$https/" "https://localhost:$https/" "https://localhost:$https/" >codes &
  client=$!
  sleep 1
  "$REEVE" --quiet ban --config site/reeve.toml add 198.51.100.7 --for 1h --reason "while it talks"
  wait "$client" || true
  check "$version: served, refused on the open connection, and then shut out" like "$(cat codes)" '^200 (1.1|2),403 (1.1|2),000 0,$'
  "$REEVE" --quiet ban --config site/reeve.toml lift 198.51.100.7
done

# --- the proof, on this very deployment ---------------------------------------------------------------------------

say "proof"
run "$REEVE" prove --config site/reeve.toml --json
check "reeve prove: kept" is "$status" 0
stop "$gateway" 15
check "a clean end" is "$status" 0
check "nothing is left in the kernel" bash -c '! nft list table inet reeve 2>/dev/null'
finish
