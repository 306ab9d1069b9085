"""Many clients that misbehave at once: crowd.py PORT CA CONNECTIONS SECONDS

Each keeps a connection in a bad state, from one of many addresses of the loopback network, and begins again when it is
cut off. Prints how many connections there were and how many stood at the same time.
"""

import asyncio
import itertools
import os
import ssl
import sys

HELLO = bytes.fromhex("16030100c4010000c00303") + bytes(range(32)) + bytes.fromhex("00000613021301c02b0100")
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


def headers(stream):
    """A GET over HTTP/2, cancelled at once (CVE-2023-44487)."""
    block = bytes.fromhex("828784410f") + b"localhost:00000"
    frame = len(block).to_bytes(3, "big") + b"\x01\x05" + stream.to_bytes(4, "big") + block
    return frame + bytes.fromhex("0000040300") + stream.to_bytes(4, "big") + bytes.fromhex("00000008")


# Over TCP, or over TLS once the handshake is done; what is sent, and whether a byte follows now and then.
BEHAVIOURS = [
    ("silence", None, b"", False),
    ("half a hello", None, HELLO[:60], False),
    ("a trickled hello", None, HELLO[:20], True),
    ("no TLS at all", None, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", False),
    ("noise", None, os.urandom(2048), False),
    ("an alert", None, bytes.fromhex("15030300020228"), False),
    ("nothing after the handshake", "http/1.1", b"", False),
    ("half a head", "http/1.1", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ", False),
    ("a trickled head", "http/1.1", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", True),
    ("half a body", "http/1.1", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf", False),
    ("half a chunk", "http/1.1", CHUNKED, False),
    ("noise over TLS", "http/1.1", os.urandom(2048), False),
    ("half a preface", "h2", PREFACE[:10], False),
    ("frames that are none", "h2", PREFACE + os.urandom(512), False),
    ("streams cancelled at once", "h2", PREFACE + b"".join(headers(n) for n in range(1, 400, 2)), False),
]


async def client(number, port, trust, counts):
    name, protocol, sent, trickles = BEHAVIOURS[number % len(BEHAVIOURS)]
    source = (f"127.1.{number % 8}.{number // 8 % 250 + 1}", 0)
    if protocol:
        trust = ssl.create_default_context(cafile=trust)
        trust.set_alpn_protocols([protocol])
    for _ in itertools.count():
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=source, ssl=trust if protocol else None,
                server_hostname="localhost" if protocol else None,
            )
        except OSError:
            counts["refused"] += 1
            await asyncio.sleep(0.2)
            continue
        counts["made"] += 1
        counts["open"] += 1
        counts["most"] = max(counts["most"], counts["open"])
        try:
            writer.write(sent)
            while True:
                try:
                    if not await asyncio.wait_for(reader.read(4096), 0.5):
                        break
                except TimeoutError:
                    if trickles:
                        writer.write(b"a")
        except OSError:
            pass
        finally:
            counts["open"] -= 1
            counts[name] = counts.get(name, 0) + 1
            writer.close()
        await asyncio.sleep(0.05)


async def main(port, authority, connections, seconds):
    counts = {"made": 0, "open": 0, "most": 0, "refused": 0}
    crowd = [asyncio.create_task(client(number, port, authority, counts)) for number in range(connections)]
    await asyncio.wait(crowd, timeout=seconds)
    print(f"{counts['made']} connections, {counts['most']} at once, {counts['refused']} refused", flush=True)
    # Not one of them would say goodbye.
    os._exit(0)


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
