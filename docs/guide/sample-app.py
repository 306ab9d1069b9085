"""A small application to put Reeve in front of: `python3 docs/guide/sample-app.py` serves it on 127.0.0.1:3000.

It is as careful as most: it names its software, shows its framework's error pages, and sets no header for browsers.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGES = {
    "/": "<h1>Notes</h1><p>A notebook for everybody. See the <a href='/terms'>terms</a> and <a href='/privacy'>privacy</a>.</p>",
    "/terms": "<h1>Terms</h1><p>You may write here what you like, as long as others can live with it. Nothing is kept for good.</p>",
    "/privacy": "<h1>Privacy</h1><p>We keep no account of who writes and of who reads, and we set no cookie that follows you.</p>",
}


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text):
        body = f"<!doctype html><title>Notes</title>{text}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        # For its looks, and for scripts of any site to read: nobody thought of that.
        self.send_header("Set-Cookie", "colours=dark; Path=/")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/boom":
            self.answer(500, "<pre>Traceback (most recent call last):\n  File \"/srv/notes/app.py\", line 88</pre>")
        elif path in PAGES:
            self.answer(200, PAGES[path])
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("Transfer-Encoding"):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, "<p>Noted.</p>")

    do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """A client that leaves is no news."""


Server(("127.0.0.1", 3000), App).serve_forever()
