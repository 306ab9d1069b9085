"""A WebSocket application that echoes, and a client that holds it to that.

    websocket.py serve PORT          prints how each connection was closed
    websocket.py talk URL CA COUNT   sends COUNT messages of several sizes and closes
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

MIB = 1 << 20
SIZES = (0, 1, 125, 126, 1_000, 65_535, 65_536, 100_000)
LIMITS = {"max_size": 4 * MIB, "compression": None}


async def echo(connection):
    async for message in connection:
        await connection.send(message)
    print("closed", connection.close_code, connection.close_reason, flush=True)


async def application(port):
    async with serve(echo, "127.0.0.1", port, subprotocols=["echo"], **LIMITS) as server:
        await server.serve_forever()


async def talk(url, authority, count):
    trust = ssl.create_default_context(cafile=authority)
    async with connect(url, ssl=trust, subprotocols=["echo"], proxy=None, **LIMITS) as connection:
        for number in range(count):
            size = MIB if number % 20 == 19 else SIZES[number % len(SIZES)]
            message = bytes([number % 256]) * size if number % 2 else "ä" * (size // 2)
            await connection.send(message)
            if await connection.recv() != message:
                raise SystemExit(f"message {number} of {size} bytes came back changed")
        # Several on their way at once keep their order.
        for number in range(10):
            await connection.send(str(number) * 10_000)
        for number in range(10):
            if await connection.recv() != str(number) * 10_000:
                raise SystemExit("messages came back in another order")
        await asyncio.wait_for(await connection.ping(), 5)
        await connection.close(1000, "thanks")
    print(f"{count} messages, subprotocol {connection.subprotocol}, closed {connection.close_code}")


if sys.argv[1] == "serve":
    asyncio.run(application(int(sys.argv[2])))
else:
    asyncio.run(asyncio.wait_for(talk(sys.argv[2], sys.argv[3], int(sys.argv[4])), 60))
