"""An application with every fault: upstream.py PORT. What it does follows from the path."""

import socketserver
import sys
import time

TRACE = b'Traceback (most recent call last):\n  File "/srv/app/secret.py", line 3, in boom\n    raise KeyError\n'


def answer(status, body, *fields, length=None):
    head = [b"HTTP/1.1 " + status, b"Content-Type: text/html", *fields]
    head.append(b"Content-Length: %d" % (len(body) if length is None else length))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            path = line.split(b" ")[1].split(b"?")[0].decode()
            length = 0
            while (field := self.rfile.readline()) not in (b"\r\n", b""):
                if field.lower().startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            self.rfile.read(length)
            if not self.reply(path):
                return

    def reply(self, path):
        """Whether the connection goes on."""
        send = self.wfile.write
        match path:
            case "/slow":
                time.sleep(5)
                return False
            case "/garbage":
                send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n\x00\xff\x00")
                return False
            case "/close":
                return False
            case "/trace":
                send(answer(b"500 Internal Server Error", TRACE, b"Server: Werkzeug/3.1.9", b"X-Powered-By: Flask"))
            case "/unavailable":
                send(answer(b"503 Service Unavailable", TRACE, b"Retry-After: 120"))
            case "/leak":
                send(answer(b"200 OK", b"You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version"))
            case "/banner":
                banners = b"Server: Werkzeug/3.1.9", b"X-Powered-By: PHP/7.4", b"X-AspNet-Version: 4"
                send(answer(b"200 OK", b"fine\n", *banners))
            case "/cut":
                send(answer(b"200 OK", b"only this", length=1000))
                return False
            case "/cut-chunks":
                send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")
                return False
            case "/cut-head":
                send(b"HTTP/1.1 200 OK\r\nContent-Le")
                return False
            case "/huge-head":
                send(answer(b"200 OK", b"x", *[b"X-%d: %s" % (n, b"a" * 8000) for n in range(200)]))
            case "/two-lengths":
                send(answer(b"200 OK", b"abc", b"Content-Length: 30"))
                return False
            case "/split":
                send(answer(b"200 OK", b"x", b"X-Bad: a\rSet-Cookie: evil=1"))
            case _:
                send(answer(b"200 OK", b"fine\n"))
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", int(sys.argv[1])), Connection) as server:
    server.serve_forever()
