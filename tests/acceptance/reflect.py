"""The application behind the firewall when rules are tested: it answers what it is asked to.

    reflect.py PORT

POST /reflect brings its answer along, as JSON: `status`, `headers`, and `body` or `encodedBody` (base64). Everything else is
answered 200, with nothing. So does the application that the Core Rule Set's own tests are run with.
"""

import asyncio
import base64
import json
import re
import sys


async def body_of(reader, fields):
    """The body, however it is framed."""
    if "chunked" not in fields.get("transfer-encoding", "").lower():
        return await reader.readexactly(int(fields.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return body


def answer(method, path, body):
    if method != "POST" or not re.fullmatch(r"/reflect(/.*)?", path.split("?")[0]):
        return 200, {}, b""
    try:
        wanted = json.loads(body)
    except ValueError:
        return 400, {"Content-Type": "text/plain"}, b"the body is no answer in JSON"
    text = (wanted.get("body") or "").encode() or base64.b64decode(wanted.get("encodedBody") or "")
    headers = wanted.get("headers") or {}
    if text and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "text/html; charset=utf-8" if text.lstrip().startswith(b"<") else "text/plain; charset=utf-8"
    return wanted.get("status") or 200, headers, text


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            line, *rest = head.decode("latin-1").strip().split("\r\n")
            method, path, _ = line.split(" ", 2)
            fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
            status, headers, text = answer(method, path, await body_of(reader, fields))
            lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(text)}"]
            writer.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + (b"" if method == "HEAD" else text))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    await server.serve_forever()


asyncio.run(main())
