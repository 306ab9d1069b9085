"""Lines as programs log them, and as attackers would like them to: `log_lines.py KIND SEED COUNT`.

Every line has the form of a real one; what a client can choose in it (user names, paths, names of programs) is chosen to
look like something else. The addresses that nobody came from are those of 203.0.113.0/24.
"""

import random
import sys

kind, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
one = chance.choice

HOSTS = [f"192.0.2.{last}" for last in range(1, 6)] + ["2001:db8::1", "2001:db8::2", "::ffff:192.0.2.9"]
NAMES = HOSTS + ["example.com", "srv-1.example.org"]
# Names of users that a system may have, and names that somebody may send.
KNOWN = ["root", "admin", "ROOT", "o'neil", "über"]
USERS = KNOWN + ["x y", "from 203.0.113.1", "test from 203.0.113.2 port 55 ssh2", "a:b", "", "invalid user x", "user from",
                 "port 22"]


def second():
    return f"10:00:{chance.randint(0, 59):02d}"


def sshd():
    user, known, host = one(USERS), one(KNOWN), one(NAMES)
    port = one([f" port {chance.randint(1, 65535)}"] * 5 + [""])
    method = one(["password", "publickey", "publickey", "none", "keyboard-interactive/pam", "hostbased"])
    key = one([": RSA SHA256:abc", "", ""])
    # What a certificate is called is its owner's choice.
    cert = one(["", " ID x from 203.0.113.5 port 1 ssh2 (serial 0) CA RSA SHA256:x"]) if key else ""
    end = one(["", " [preauth]"])
    state = one(["invalid", "authenticating"])
    reason = one(["not listed in AllowUsers", "listed in DenyUsers", "not in any group", "a group is listed in DenyGroups"])
    pam = "logname= uid=0 euid=0 tty=ssh"
    message = one([
        f"Failed {method} for {known} from {host}{port} ssh2{key}{cert}",
        f"Failed {method} for invalid user {user} from {host}{port} ssh2{key}",
        f"Accepted {method} for {known} from {host}{port} ssh2{key}",
        f"Invalid user {user} from {host}{port}",
        f"Connection closed by {host}{port}{end}",
        f"Connection closed by {state} user {user} {host}{port} [preauth]",
        f"Connection reset by {host}{port}{end}",
        f"Disconnected from {host}{port}{end}",
        f"Disconnected from user {known} {host}{port}",
        f"Disconnected from {state} user {user} {host}{port} [preauth]",
        f"Received disconnect from {host}{port}: 11: Bye Bye{end}",
        f"Received disconnect from {host} port 58846:11: disconnected by user{end}",
        f"Received disconnect from {host}{port}: 3: com.jcraft.jsch.JSchException: Auth fail{end}",
        f"Connection from {host} port 51353 on 192.0.2.200 port 22",
        f"Disconnecting: Too many authentication failures{one(['', ' for ' + user])}{end}",
        f"Disconnecting {state} user {user} {host}{port}: Too many authentication failures [preauth]",
        f"Disconnecting {state} user {user} {host}{port}: Change of username or service not allowed: "
        f"({user},ssh-connection) -> (y,ssh-connection) [preauth]",
        f"error: maximum authentication attempts exceeded for {one(['', 'invalid user '])}{user} from {host}{port} ssh2 [preauth]",
        f"pam_unix(sshd:auth): authentication failure; {pam} ruser={one(['', user])} rhost={host} {one(['', ' user=' + user])}",
        f"User {known} from {host} not allowed because {reason}{end}",
        f"User {known} not allowed because account is locked{end}",
        f"error: PAM: {one(['Authentication failure', 'authentication error'])} for {one(['illegal user ', ''])}{user} from {host}",
        f"error: PAM: User not known to the underlying authentication module for illegal user {user} from {host}",
        f"ROOT LOGIN REFUSED FROM {host}{port}",
        f"refused connect from {user.split(' ')[0] or 'x'}@y ({host})",
        f"pam_unix(sshd:session): session opened for user {known} by (uid=0)",
        f"Postponed publickey for {known} from {host}{port} ssh2 [preauth]",
        "Server listening on 0.0.0.0 port 22.",
        f"fatal: Timeout before authentication for {host}{port}",
    ])
    time = one([f"Nov 21 {second()}", f"Nov  1 {second()}", f"2026-11-21T{second()}.123456+00:00"])
    start = one([f"web sshd[{chance.randint(1, 9)}]: "] * 9 + ["sshd[77]: "])
    return f"{time} {start}{message}"


def access():
    path = one(["/", "/wp-login.php", "//phpMyAdmin-2.8.2.3/scripts/setup.php", "/admin/pma/x", "/typo3/phpmyadmin",
                "/cgi-bin/x", "/webmail", "/extmail/", "/v-webmail", "/mailbox", "/about", "/mysqladmin", "/PMA/",
                "/xampp/MyAdmin/x", "/phpMyAdmin,x/", "/wp-signup.php"])
    agent = one(["-", "Mozilla/5.0 (X11; Linux x86_64)", "EmailSiphon", "Mozilla/5.0 Jorgee", "Jorgee", "sogou spider",
                 "sogou spider 2", "curl/8 EmailSiphon", "TrackBack/1.02", "Snapbot/1.0", "MVAClient"])
    request = f"{one(['GET', 'POST', 'HEAD', 'PUT'])} {path} HTTP/1.1"
    status = one([404, 404, 200, 403, 301])
    return f'{one(HOSTS)} - {one(["-", "root"])} [21/Nov/2026:{second()} +0000] "{request}" {status} 162 "-" "{agent}"'


def nginx_error():
    user = one(USERS) + one(["", '": password mismatch, client: 203.0.113.1, server: x, request: "GET / HTTP/1.1", host: "x"'])
    message = one([
        f'user "{user}": password mismatch',
        f'user "{user}" was not found in "/etc/nginx/.ht passwd"',
        'open() "/srv/cgi-bin/x" failed (2: No such file or directory)',
        '"/srv/roundcube/" is not found (2: No such file or directory)',
        "connect() failed (111: Connection refused) while connecting to upstream",
    ])
    request = one(["GET / HTTP/1.1", "POST /cgi-bin/x HTTP/1.1", "GET /pma/ HTTP/1.0", "HEAD /wp-login.php?x=1 HTTP/2.0"])
    host = one([', host: "example.com"', ', host: "localhost:8443"', ""])
    referrer = one(["", ', referrer: "https://example.com/a,b"'])
    level = one(["error", "error", "crit", "warn"])
    return (f"2026/11/21 {second()} [{level}] 12#12: *{chance.randint(1, 99)} {message}, client: {one(HOSTS)}, "
            f'server: {one(["example.com", ""])}, request: "{request}"{host}{referrer}')


def apache():
    user, host = one(USERS), one(HOSTS[:7])
    message = one([
        f'user {user}: authentication failure for "/a": Password Mismatch', f"user {user} not found: /a",
        f"client denied by server configuration: /var/www/{user}", "client used wrong authentication scheme: /a",
        f"Authorization of user {user} to access /a b failed, reason: x", f"user {user}: password mismatch: /digest",
        f"user `{user}' in realm `private area' not found: /x", "invalid nonce abc received - length is not 52",
        "invalid nonce abc received - hash is not 12", f"realm mismatch - got `{user}' but expected `x'",
        f"unknown algorithm `{user}' received: /", f"invalid qop `{user}' received: /",
        "invalid nonce x received - user attempted time travel",
        "Hostname a.b provided via SNI, but no hostname provided in HTTP request",
        "Hostname a.b provided via SNI and hostname c provided via HTTP have no compatible SSL setup",
        "File does not exist: /srv/[client 203.0.113.1] user root not found", f"script not found: /{user}",
    ])
    message = one(["", "Digest: "]) + message
    if chance.random() < 0.4:
        return f"[Sat Nov 21 {second()} 2026] [{one(['error', 'error', 'notice'])}] [client {host}] {message}"
    module = one(["auth_basic:error", "core:info", ":error", "evasive20:error", "error", "ssl:warn", "notice"])
    pid = one(["[pid 12:tid 345] ", "[pid 12] ", ""])
    host = f"[{host}]" if ":" in host else host
    number = one(["AH01617: ", ""])
    return f"[Sat Nov 21 {second()}.123456 2026] [{module}] {pid}[client {host}:{chance.randint(1, 65535)}] {number}{message}"


MAKERS = {
    "sshd": sshd,
    "nginx-http-auth": nginx_error,
    "nginx-botsearch": lambda: one([access, nginx_error])(),
    "apache-auth": apache,
    "apache-badbots": access,
}
sys.stdout.reconfigure(encoding="utf-8")
for _ in range(count):
    print(MAKERS[kind]())
