"""An application on Python's own server, which reads heads with the parser for e-mail and is kind to all of them.

Prints the port that it listens on, then each request that it gets: method and target, or BROKEN and what it saw.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def tell(*words):
    print(*words, flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        self.read_body()
        tell(self.command, self.path)
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send_error(self, code, message=None, explain=None):
        tell("BROKEN", repr(self.raw_requestline))
        super().send_error(code, message, explain)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
tell(server.server_port)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
