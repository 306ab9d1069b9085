"""An application without a document: an order desk that takes what it likes and answers strictly.

orders.py PORT
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"{}", **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        kind = (self.headers.get("content-type") or "").split(";")[0]
        route = f"{self.command} {parts.path}"
        if route in ("GET /orders", "HEAD /orders"):
            return self.answer(200 if query.get("page", "1").isdigit() else 400)
        if route == "POST /orders":
            order = json.loads(body) if kind == "application/json" else None
            well = isinstance(order, dict) and isinstance(order.get("quantity"), int) and "item" in order
            return self.answer(201 if well else 422)
        if re.fullmatch(r"(GET|PUT|DELETE) /orders/\d+", route):
            return self.answer(200)
        if route == "POST /login" and kind == "application/x-www-form-urlencoded":
            return self.answer(303, Location="/orders")
        if route == "POST /files" and kind == "multipart/form-data":
            return self.answer(200)
        if re.fullmatch(r"GET /(reset|share|users)/[^/]+", route) or route == "GET /about":
            return self.answer(200)
        return self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
