"""Runs requests through libmodsecurity 3 and tells which rules spoke.

    modsecurity.py CASES RULE-FILE... > found.jsonl

CASES is what cases.py writes. The rules are loaded in the order in which they are named, through the library's C
interface (Debian: libmodsecurity3), and only find. One line of JSON for each case: its number and the ids of the rules that
logged something, in their order.
"""

import base64
import ctypes
import json
import os
import re
import sys

LIBRARY = "libmodsecurity.so.3"
ID = re.compile(rb'\[id "(\d+)"\]')
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def library():
    """The functions used here, with their types."""
    lib = ctypes.CDLL(LIBRARY)
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    types = {
        "msc_init": (pointer, []),
        "msc_set_connector_info": (None, [pointer, text]),
        "msc_set_log_cb": (None, [pointer, LOG]),
        "msc_create_rules_set": (pointer, []),
        "msc_rules_add_file": (number, [pointer, text, ctypes.POINTER(text)]),
        "msc_new_transaction_with_id": (pointer, [pointer, pointer, text, pointer]),
        "msc_process_connection": (number, [pointer, text, number, text, number]),
        "msc_process_uri": (number, [pointer, text, text, text]),
        "msc_add_n_request_header": (number, [pointer, text, size, text, size]),
        "msc_process_request_headers": (number, [pointer]),
        "msc_append_request_body": (number, [pointer, text, size]),
        "msc_process_request_body": (number, [pointer]),
        "msc_add_n_response_header": (number, [pointer, text, size, text, size]),
        "msc_process_response_headers": (number, [pointer, number, text]),
        "msc_append_response_body": (number, [pointer, text, size]),
        "msc_process_response_body": (number, [pointer]),
        "msc_process_logging": (number, [pointer]),
        "msc_transaction_cleanup": (None, [pointer]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class ModSecurity:
    """An engine with its rules."""

    def __init__(self, files):
        self.lib = library()
        self.lines = []
        # Kept: the library holds no reference of its own to what Python made.
        self.log = LOG(lambda _, line: self.lines.append(ctypes.string_at(line)))
        self.engine = self.lib.msc_init()
        self.lib.msc_set_connector_info(self.engine, b"reeve-compare")
        self.lib.msc_set_log_cb(self.engine, self.log)
        self.rules = self.lib.msc_create_rules_set()
        for name in files:
            error = ctypes.c_char_p()
            if self.lib.msc_rules_add_file(self.rules, os.fsencode(name), ctypes.byref(error)) < 0:
                sys.exit(f"{name}: {(error.value or b'').decode(errors='replace')}")

    def found(self, case):
        """The ids of the rules that speak of a case."""
        self.lines.clear()
        lib = self.lib
        transaction = lib.msc_new_transaction_with_id(self.engine, self.rules, str(case["id"]).encode(), None)
        lib.msc_process_connection(transaction, b"192.0.2.10", 40000, b"127.0.0.1", 80)
        text = lambda name: base64.b64decode(case[name])
        version = text("version").removeprefix(b"HTTP/")
        lib.msc_process_uri(transaction, text("target"), text("method"), version)
        for name, value in case["fields"]:
            name, value = base64.b64decode(name), base64.b64decode(value)
            lib.msc_add_n_request_header(transaction, name, len(name), value, len(value))
        lib.msc_process_request_headers(transaction)
        body = text("body")
        if body:
            lib.msc_append_request_body(transaction, body, len(body))
        lib.msc_process_request_body(transaction)
        answer = case.get("response") or {"status": 200, "headers": {}, "body": ""}
        body = answer["body"].encode()
        for name, value in [*answer["headers"].items(), ("Content-Length", str(len(body)))]:
            name, value = name.encode(), value.encode()
            lib.msc_add_n_response_header(transaction, name, len(name), value, len(value))
        lib.msc_process_response_headers(transaction, answer["status"], b"HTTP/1.1")
        if body:
            lib.msc_append_response_body(transaction, body, len(body))
        lib.msc_process_response_body(transaction)
        lib.msc_process_logging(transaction)
        lib.msc_transaction_cleanup(transaction)
        return list(dict.fromkeys(int(number) for line in self.lines for number in ID.findall(line)[:1]))


def main():
    cases, *files = sys.argv[1:]
    engine = ModSecurity(files)
    with open(cases, encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            print(json.dumps({"id": case["id"], "ids": engine.found(case)}), flush=True)


main()
