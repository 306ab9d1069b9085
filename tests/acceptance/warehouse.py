"""A small application that judges by itself, with openapi-core, every request that reaches it.

warehouse.py PORT DOCUMENT JOURNAL: a line for each request, `fit` or `unfit`, its target and why.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

port, document, journal = int(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
spec = yaml.safe_load(open(document))
api = OpenAPI.from_dict(spec)
base = spec["servers"][0]["url"]
lock = threading.Lock()


class Asked:
    """What arrived, in the form that openapi-core reads."""

    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.host_url = "http://localhost"
        self.path = parts.path
        self.full_url_pattern = self.host_url + parts.path
        self.method = method.lower()
        self.body = body or None
        self.content_type = (headers.get("content-type") or "").split(";")[0].strip().lower()
        query = parse_qsl(parts.query, keep_blank_values=True)
        self.names = {name for name, _ in query}
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(query), header=Headers(headers.items()), cookie=ImmutableMultiDict(), path={}
        )


def unknown_names(asked):
    """Parameters that the operation does not have: openapi-core lets those pass."""
    for template, item in spec["paths"].items():
        wanted = (base + template).split("/")
        found = asked.path.split("/")
        same = len(wanted) == len(found) and all(one.startswith("{") or one == other for one, other in zip(wanted, found))
        if same and asked.method in item:
            listed = item[asked.method].get("parameters", []) + item.get("parameters", [])
            return asked.names - {parameter["name"] for parameter in listed if parameter["in"] == "query"}
    return set()


def fault(asked):
    unknown = unknown_names(asked)
    if unknown:
        return f"unknown parameters {sorted(unknown)}"
    try:
        api.validate_request(asked)
    except Exception as error:  # whatever it is, the request is not one of the document's
        return f"{type(error).__name__}: {error} {error.__cause__}"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        why = fault(Asked(self.command, self.path, self.headers, body))
        with lock:
            journal.write(json.dumps(["unfit" if why else "fit", self.command, self.path, body.decode("latin-1"), why]) + "\n")
        answer = b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_QUERY = handle_any

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
