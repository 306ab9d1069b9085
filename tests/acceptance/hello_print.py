"""Works out the JA4 of whoever connects: hello_print.py PORT. Prints one line, answers nothing, and ends.

Written from FoxIO's specification (technical_details/JA4.md) and from nothing of Reeve's.
"""

import hashlib
import socket
import struct
import sys


def grease(code):
    return code & 0x0F0F == 0x0A0A and code >> 8 == code & 0xFF


def hello_of(connection):
    """The body of the ClientHello, out of as many records as it takes."""
    stream, handshake = connection.makefile("rb"), b""
    while len(handshake) < 4 or len(handshake) < 4 + int.from_bytes(handshake[1:4], "big"):
        kind, _, length = struct.unpack("!BHH", stream.read(5))
        assert kind == 22, "no handshake"
        handshake += stream.read(length)
    return handshake[4 : 4 + int.from_bytes(handshake[1:4], "big")]


def take(data, size):
    """What is behind a length of `size` bytes, and what follows it."""
    length = int.from_bytes(data[:size], "big")
    return data[size : size + length], data[size + length :]


def words(data):
    return [code for (code,) in struct.iter_unpack("!H", data) if not grease(code)]


def short(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def ja4(body):
    version, rest = int.from_bytes(body[:2], "big"), body[34:]
    _, rest = take(rest, 1)
    ciphers, rest = take(rest, 2)
    _, rest = take(rest, 1)
    rest, _ = take(rest, 2)
    ciphers, extensions, signatures, alpn = words(ciphers), [], [], "00"
    while rest:
        kind, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        content, rest = take(rest, 2)
        if grease(kind):
            continue
        extensions.append(kind)
        if kind == 13:
            signatures = words(take(content, 2)[0])
        elif kind == 16:
            first = take(take(content, 2)[0], 1)[0].decode("ascii")
            alpn = first[0] + first[-1]
        elif kind == 43:
            version = max(words(take(content, 1)[0]))
    listed = lambda codes: ",".join(f"{code:04x}" for code in codes)
    rest = listed(sorted(kind for kind in extensions if kind not in (0, 16)))
    if signatures:
        rest += "_" + listed(signatures)
    number = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10"}[version]
    name = "d" if 0 in extensions else "i"
    facts = f"t{number}{name}{min(len(ciphers), 99):02}{min(len(extensions), 99):02}{alpn}"
    return f"{facts}_{short(listed(sorted(ciphers)))}_{short(rest)}"


with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    # The first connection may be somebody who only looks whether the port is open.
    while True:
        connection, _ = server.accept()
        with connection:
            try:
                print(ja4(hello_of(connection)), flush=True)
                break
            except (struct.error, AssertionError):
                pass
