"""A visitor who asks for a page again and again while others attack, each time over a new connection.

Usage: canary.py PORT CA SOURCE SECONDS. Prints JSON: how many requests, how many failed and how, and how long they took.
"""

import json
import socket
import ssl
import sys
import time

port, authority, source, seconds = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
context = ssl.create_default_context(cafile=authority)


def visit():
    with socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0)) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.makefile("rb").readline().split()[1].decode()


times, failures = [], []
end = time.monotonic() + seconds
while time.monotonic() < end:
    begun = time.monotonic()
    try:
        status = visit()
        if status != "200":
            failures.append(status)
    except (OSError, IndexError) as error:
        failures.append(repr(error))
    times.append(time.monotonic() - begun)
    time.sleep(max(0.0, 0.05 - times[-1]))
times.sort()
print(
    json.dumps(
        {
            "requests": len(times),
            "failed": len(failures),
            "failures": failures[:5],
            "median_ms": round(1000 * times[len(times) // 2], 1),
            "p99_ms": round(1000 * times[len(times) * 99 // 100], 1),
        }
    )
)
