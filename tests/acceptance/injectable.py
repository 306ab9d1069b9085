"""An application with SQL injection wherever a request can hold a value, for tests of what stands before it.

    injectable.py PORT

It asks an SQLite database in memory, and puts what it is sent into the text of its queries:

    GET  /item?id=1         a number; shows rows and the database's errors
    GET  /find?name=apple   a text in a LIKE; shows rows
    GET  /seen?id=1         a number; shows the same whatever comes out, so that only time tells
    POST /login             form, user=; says whether there is one
    POST /api/item          JSON, {"id": "1"}; shows rows and the database's errors
    GET  /me                Cookie: token=; says whether there is one

Never run it where anybody else can reach it.
"""

import http.server
import json
import sqlite3
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

TABLES = """
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price TEXT);
INSERT INTO items VALUES (1, 'apple', '0.40'), (2, 'pear', '0.50'), (3, 'plum', '0.20');
CREATE TABLE users (id INTEGER PRIMARY KEY, user TEXT, token TEXT, secret TEXT);
INSERT INTO users VALUES (1, 'anna', 't0ken', 'the-treasure-of-anna');
"""


# SQLite has no function that waits, and none whose errors show what it was given. MySQL has, and these are as it has them.


def wait(seconds):
    time.sleep(min(float(seconds), 5))
    return 0


def concat(*values):
    """Of texts; what is written in hexadecimal is one."""
    text = lambda value: value.to_bytes((value.bit_length() + 7) // 8, "big").decode("latin-1")
    return "".join(text(value) if isinstance(value, int) and value > 9 else str(value) for value in values)


def elt(at, *values):
    return str(values[at - 1]) if 0 < at <= len(values) else None


class Database:
    """One connection; a query at a time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.shown = None
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.executescript(TABLES)
        self.connection.create_function("sleep", 1, wait)
        self.connection.create_function("if", 3, lambda holds, this, that: this if holds else that)
        self.connection.create_function("concat", -1, concat)
        self.connection.create_function("elt", -1, elt)
        self.connection.create_function("extractvalue", 2, self.extract)

    def extract(self, _, path):
        self.shown = f"XPATH syntax error: '{path}'"
        raise ValueError(self.shown)

    def rows(self, query):
        with self.lock:
            self.shown = None
            try:
                return self.connection.execute(query).fetchmany(200)
            except sqlite3.Error as error:
                raise sqlite3.Error(self.shown or str(error)) from error
            finally:
                self.connection.rollback()


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    database = Database()

    def do_GET(self):
        url = urlsplit(self.path)
        values = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        # Not by http.cookies, which leaves out what is no token.
        cookies = (self.headers.get("Cookie") or "").split("; ")
        token = next((unquote(cookie.removeprefix("token=")) for cookie in cookies if cookie.startswith("token=")), "")
        match url.path:
            case "/item":
                self.show(f"SELECT name, price FROM items WHERE id = {values.get('id', '0')}")
            case "/find":
                self.show(f"SELECT name, price FROM items WHERE name LIKE '%{values.get('name', '')}%'", errors=False)
            case "/seen":
                self.ask(f"SELECT 1 FROM items WHERE id = {values.get('id', '0')}")
                self.answer("seen")
            case "/me":
                known = self.ask(f"SELECT 1 FROM users WHERE token = '{token}'")
                self.answer("welcome back" if known else "please sign in")
            case _:
                self.answer("a shop for fruit")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        if self.path == "/login":
            user = parse_qs(body, keep_blank_values=True).get("user", [""])[0]
            known = self.ask(f"SELECT 1 FROM users WHERE user = '{user}'")
            return self.answer("welcome" if known else "no such user")
        try:
            wanted = json.loads(body).get("id", "0")
        except (ValueError, AttributeError):
            return self.answer("this is no JSON", 400)
        self.show(f"SELECT name, price FROM items WHERE id = {wanted}")

    def ask(self, query):
        try:
            return self.database.rows(query)
        except sqlite3.Error:
            return []

    def show(self, query, errors=True):
        try:
            rows = self.database.rows(query)
        except sqlite3.Error as error:
            return self.answer(f"the database says: {error}" if errors else "nothing found", 500 if errors else 200)
        self.answer("\n".join(" ".join(map(str, row)) for row in rows) or "nothing found")

    def answer(self, text, status=200):
        body = f"<html><body><pre>{text}</pre></body></html>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application).serve_forever()
