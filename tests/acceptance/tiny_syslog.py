"""Writes what programs log over a socket of syslog to a file, as rsyslog does: `tiny_syslog.py SOCKET FILE`."""

import os
import re
import socket
import sys

path, file = sys.argv[1], sys.argv[2]
if os.path.exists(path):
    os.unlink(path)
inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
inbox.bind(path)
os.chmod(path, 0o666)
while True:
    text = inbox.recv(65536).decode("utf-8", "replace").rstrip("\n\0")
    # `<38>Nov 21 10:00:00 sshd[1]: text` comes without the name of the host.
    parts = re.match(r"<\d+>(.{15}) (.*)", text, re.S)
    if parts:
        with open(file, "a", encoding="utf-8") as log:
            log.write(f"{parts[1]} web {parts[2]}\n")
