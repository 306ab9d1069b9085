"""Sends GETs over kept connections and POSTs over new ones for some seconds, and counts those that failed.

A server that answers a POST before it has read all of it ends the connection after it: what comes next would say nothing.

steady.py HOST PORT AUTHORITY SECONDS: one line of JSON. Each POST has a number of its own in its path.
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time

host, port, authority, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
context = ssl.create_default_context(cafile=authority)
deadline = time.monotonic() + seconds
counts = {"gets": 0, "gets_failed": 0, "posts": 0, "posts_failed": 0, "causes": {}}
lock = threading.Lock()


def one(connection, method, path, body):
    connection.request(method, path, body)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def run(number, method):
    connection, turn, kind = None, 0, method.lower() + "s"
    while time.monotonic() < deadline:
        turn += 1
        path = f"/{method.lower()}/{os.getpid()}-{number}-{turn}"
        try:
            connection = connection or http.client.HTTPSConnection(host, port, timeout=20, context=context)
            status = one(connection, method, path, b"hello" if method == "POST" else None)
            cause = None if status == 200 else str(status)
        except Exception as error:  # whatever it is, a request failed
            cause, connection = repr(error), None
        with lock:
            counts[kind] += 1
            if cause:
                counts[kind + "_failed"] += 1
                counts["causes"][f"{method} {cause}"] = counts["causes"].get(f"{method} {cause}", 0) + 1
        if method == "POST":
            connection = None
            time.sleep(0.02)


threads = [threading.Thread(target=run, args=(n, "GET")) for n in range(8)]
threads += [threading.Thread(target=run, args=(n, "POST")) for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(counts))
