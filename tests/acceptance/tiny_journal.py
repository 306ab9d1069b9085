"""What a journal is filled with in tests, for `systemd-journal-remote` to write (its export format, on standard output).

`tiny_journal.py socket SOCKET UNIT` takes what programs log over a socket of syslog, as journald does: who it was, the
kernel says. Processes of the program sshd belong to UNIT, all others to a user's session.

`tiny_journal.py lines UNIT` takes lines of syslog from standard input as messages of sshd in UNIT.
"""

import os
import re
import socket
import struct
import sys
import time

BOOT = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip().replace("-", "")
out = sys.stdout.buffer


def entry(fields):
    now = int(time.time() * 1e6)
    out.write(f"__REALTIME_TIMESTAMP={now}\n__MONOTONIC_TIMESTAMP={time.monotonic_ns() // 1000}\n_BOOT_ID={BOOT}\n".encode())
    for name, value in fields:
        value = value if isinstance(value, bytes) else str(value).encode()
        if re.search(rb"[\x00-\x1f]", value):
            out.write(name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n")
        else:
            out.write(name.encode() + b"=" + value + b"\n")
    out.write(b"\n")
    out.flush()


def written(pid, uid, comm, unit, identifier, message):
    entry(
        [
            ("_PID", pid),
            ("_UID", uid),
            ("_COMM", comm),
            ("_SYSTEMD_UNIT", unit),
            ("_HOSTNAME", "web"),
            ("SYSLOG_IDENTIFIER", identifier),
            ("MESSAGE", message),
        ]
    )


def from_socket(path, unit):
    if os.path.exists(path):
        os.unlink(path)
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    inbox.bind(path)
    os.chmod(path, 0o666)
    while True:
        text, beside, _, _ = inbox.recvmsg(65536, socket.CMSG_SPACE(12))
        pid, uid, _ = struct.unpack("3i", beside[0][2])
        try:
            comm = open(f"/proc/{pid}/comm", encoding="utf-8").read().strip()
        except OSError:
            # Gone already, on a busy machine. Nobody here plays tricks as root.
            comm = "sshd" if uid == 0 else ""
        # `<38>Nov 21 10:00:00 sshd[1]: text`
        parts = re.match(rb"<\d+>(?:.{15}) ([^:\[]*)(?:\[\d+\])?: ?(.*)", text.rstrip(b"\n\0"), re.S)
        if parts:
            ours = comm.startswith("sshd")
            written(pid, uid, comm, unit if ours else "session-1.scope", parts[1], parts[2])


def from_lines(unit):
    for line in sys.stdin.buffer:
        parts = re.match(rb".*? sshd\[(\d+)\]: (.*)", line.rstrip(b"\n"), re.S)
        if parts:
            written(int(parts[1]), 0, "sshd", unit, b"sshd", parts[2])


if sys.argv[1] == "socket":
    from_socket(sys.argv[2], sys.argv[3])
else:
    from_lines(sys.argv[2])
