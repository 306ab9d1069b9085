"""Writes requests for two engines that run the same rules: attacks and harmless ones, mutated.

    cases.py --rules DIR [--tests DIR] [--count N] [--seed N] CASES TESTS

CASES gets a line of JSON for each request, taken apart (modsecurity.py reads it). TESTS gets the same requests, byte for
byte, as a folder of tests for `reeve waf test`. From the same seed and rules come the same requests.

Where they come from: the texts of the rules, each of which is turned into values that it speaks of; a folder of FTW tests,
where one is named; and harmless.txt beside this file. Then mutators of our own change values, the way they are packed, and
the bytes of the request.
"""

import argparse
import base64
import html
import json
import pathlib
import random
import re
import warnings
from re import _constants as sre, _parser
from urllib.parse import quote

HERE = pathlib.Path(__file__).parent
TESTS_A_FILE = 200
VALUE_BYTES_MAX = 3_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SQL = ["1' or '1'='1", "1 union select name,pass from users--", "x'; drop table t; --", "1 and sleep(5)", "admin'/*",
       "-1' group by 1 having 1=1#", "') or ('a'='a", "1 procedure analyse(extractvalue(1,2))", "0x41 or 1", "a'||'b"]
SCRIPT = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "<svg/onload=a()>",
          "'\"><iframe src=//evil>", "<a href=\"jav&#x09;ascript:a()\">", "<x style=\"b:expression(a())\">"]

warnings.simplefilter("ignore")


# --- values from the texts of rules -----------------------------------------------------------------------------------

def logical_lines(text):
    """Lines of a rule file, joined where they go on."""
    whole = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") and not whole:
            continue
        whole += line.strip() if not line.endswith("\\") else line[:-1].strip() + " "
        if not line.endswith("\\"):
            yield whole
            whole = ""


RULE = re.compile(r'SecRule\s+("(?:[^"\\]|\\.)*"|\S+)\s+"((?:[^"\\]|\\.)*)"')


def rules(folder):
    """Targets, operator and argument of each rule."""
    for path in sorted(pathlib.Path(folder).rglob("*.conf")):
        for line in logical_lines(path.read_text(encoding="utf-8", errors="replace")):
            found = RULE.match(line)
            if not found:
                continue
            targets, operator = found[1].strip('"'), found[2].replace('\\"', '"')
            if operator.startswith("@"):
                operator, _, argument = operator[1:].partition(" ")
                yield path, targets, operator, argument
            elif not operator.startswith("!"):
                yield path, targets, "rx", operator


def phrases(path, argument):
    words = []
    for name in argument.split():
        file = path.parent / name
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            words += [line for line in lines if line and not line.startswith("#")]
    return words


class Speaker:
    """Makes texts that a pattern matches."""

    def __init__(self, chance):
        self.chance = chance

    def of(self, pattern):
        try:
            return self.items(_parser.parse(re.sub(r"\\x\{(..)\}", r"\\x\1", bytewise(pattern)), re.DOTALL), {})
        except Exception:  # What Python's syntax has no word for.
            return None

    def items(self, items, groups):
        return "".join(self.item(kind, value, groups) for kind, value in items)

    def item(self, kind, value, groups):
        chance = self.chance
        if kind is sre.LITERAL:
            return chr(value)
        if kind is sre.NOT_LITERAL:
            return chance.choice([letter for letter in "aZ0 -_" if ord(letter) != value])
        if kind is sre.ANY:
            return chance.choice("ab1 /.")
        if kind is sre.IN:
            return self.one_of(value)
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, inner = value
            count = chance.randint(least, min(int(most), max(least + 2, 2)))
            return "".join(self.items(inner, groups) for _ in range(min(count, 60)))
        if kind is sre.BRANCH:
            return self.items(chance.choice(value[1]), groups)
        if kind is sre.SUBPATTERN:
            text = self.items(value[-1], groups)
            groups[value[0]] = text
            return text
        if kind is sre.ATOMIC_GROUP:
            return self.items(value, groups)
        if kind is sre.GROUPREF:
            return groups.get(value, "")
        if kind is sre.ASSERT:
            return self.items(value[1], groups) if chance.random() < 0.5 else ""
        return ""

    def one_of(self, items):
        chance = self.chance
        negated = items[0][0] is sre.NEGATE
        letters = []
        for kind, value in items[negated:]:
            if kind is sre.LITERAL:
                letters.append(chr(value))
            elif kind is sre.RANGE:
                letters += [chr(chance.randint(*value)) for _ in range(3)]
            else:
                letters += {sre.CATEGORY_SPACE: " \t\n", sre.CATEGORY_DIGIT: "017", sre.CATEGORY_WORD: "aZ_9",
                            sre.CATEGORY_NOT_SPACE: "a-;", sre.CATEGORY_NOT_DIGIT: "a -", sre.CATEGORY_NOT_WORD: " ;(",
                            }.get(value, "a")
        if negated:
            letters = [letter for letter in "aZ0 -_;/\n\"'<(=" if letter not in letters] or ["~"]
        return chance.choice(letters)


def spoken(folder, chance):
    """Pairs of targets and values, several for each rule."""
    speaker = Speaker(chance)
    pairs = []
    for path, targets, operator, argument in rules(folder):
        if re.match(r"TX|&|ENV|IP:|DURATION", targets) or "%{" in argument:
            continue
        if operator in ("rx", "pm", "pmFromFile", "pmf", "contains", "streq", "beginsWith", "endsWith", "within"):
            words = phrases(path, argument) if operator.startswith("pmf") or operator == "pmFromFile" else [argument]
            words = argument.split() if operator == "pm" else words
            for _ in range(12):
                value = speaker.of(argument) if operator == "rx" else bytewise(chance.choice(words or [""]))
                if value:
                    pairs.append((targets, value[:VALUE_BYTES_MAX]))
        elif operator in ("detectSQLi", "detectXSS"):
            pairs += [(targets, value) for value in (SQL if operator == "detectSQLi" else SCRIPT)]
    return pairs


# --- requests ---------------------------------------------------------------------------------------------------------

class Request:
    """A request as it is sent. Texts are Latin-1: a character for each byte."""

    def __init__(self, method="GET", target="/", fields=(), body="", response=None, version="HTTP/1.1"):
        self.method, self.target, self.version, self.body, self.response = method, target, version, body, response
        self.fields = list(fields)

    def set(self, name, value):
        self.fields = [field for field in self.fields if field[0].lower() != name.lower()] + [(name, value)]

    def get(self, name):
        return next((value for field, value in self.fields if field.lower() == name.lower()), None)

    def finished(self):
        """With what a server insists on; None if it would not take it all the same."""
        clean = lambda text: re.sub(r"[\x00\r\n]", " ", text)
        self.fields = [(name, clean(value).strip(" \t")) for name, value in self.fields]
        self.target = re.sub(r"[\x00-\x20#\x7f-\xff]", lambda found: f"%{ord(found[0]):02x}", self.target) or "/"
        if not self.target.startswith("/"):
            self.target = "/" + self.target
        if not self.get("Host"):
            self.set("Host", "localhost")
        self.fields = [field for field in self.fields if field[0].lower() not in ("content-length", "transfer-encoding")]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            self.set("Content-Length", str(len(raw(self.body))))
        names = all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) for name, _ in self.fields)
        return self if names and re.fullmatch(r"[A-Za-z]+", self.method) and len(self.body) < 60_000 else None


def raw(text):
    return text.encode("latin-1", errors="replace")


def bytewise(text):
    """Text as the bytes of UTF-8, a character each."""
    return text.encode("utf-8", errors="replace").decode("latin-1")


FIELDS = [("Host", "localhost"), ("User-Agent", AGENT), ("Accept", "*/*")]
FORM = "application/x-www-form-urlencoded"


def packed(kind, pairs, chance):
    """A request with these names and values, packed in one of the ways there are."""
    name, value = pairs[0]
    request = Request(fields=FIELDS)
    encoded = "&".join(f"{quote(raw(name), safe='')}={quote(raw(value), safe=chance.choice(['', '/:;,()']))}" for name, value in pairs)
    if kind == "query":
        request.target = f"/search?{encoded}"
        return request
    if kind == "path":
        request.target = "/a/" + quote(raw(value), safe="/%?=&;.~")
        return request
    if kind.startswith("header:"):
        request.set(kind[7:] or "X-Value", value)
        return request
    if kind == "cookie":
        request.set("Cookie", "; ".join(f"{name}={value}" for name, value in pairs))
        return request
    request.method = "POST"
    if kind == "form":
        request.set("Content-Type", FORM)
        request.body = encoded
    elif kind == "json":
        request.set("Content-Type", "application/json")
        text = lambda value: value.encode("latin-1", errors="replace").decode("utf-8", errors="replace")
        tree = {text(name): text(value) for name, value in pairs}
        tree = chance.choice([tree, {"a": tree}, {"list": [tree, 1, None, True]}, [tree], {"n": 1.5, **tree}])
        request.body = bytewise(json.dumps(tree, ensure_ascii=chance.random() < 0.3))
    elif kind == "xml":
        request.set("Content-Type", chance.choice(["application/xml", "text/xml"]))
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]", "", value)
        inside = html.escape(text) if "]]>" in text or chance.random() < 0.5 else f"<![CDATA[{text}]]>"
        request.body = f'<?xml version="1.0"?><a><b c="{html.escape(text)}">{inside}</b><d>e</d></a>'
    elif kind in ("multipart", "file"):
        request.set("Content-Type", "multipart/form-data; boundary=----0a1b2c")
        clean = lambda text: re.sub(r'[\r\n"\\\x00]', "", text)
        parts = []
        for name, value in pairs:
            if kind == "file":
                head = f'Content-Disposition: form-data; name="f"; filename="{clean(value)}"\r\nContent-Type: text/plain'
                parts.append(f"{head}\r\n\r\nwhatever")
            else:
                parts.append(f'Content-Disposition: form-data; name="{clean(name)}"\r\n\r\n{value}')
        request.body = "".join(f"------0a1b2c\r\n{part}\r\n" for part in parts) + "------0a1b2c--\r\n"
    elif kind == "text":
        request.set("Content-Type", "text/plain")
        request.body = value
    return request


def places(targets):
    """Where a rule with these targets looks."""
    kinds = []
    if "RESPONSE_BODY" in targets:
        return ["answer"]
    if "RESPONSE_HEADERS" in targets or "RESPONSE_STATUS" in targets:
        return ["answer-head"]
    for name in re.findall(r"(?<!!)REQUEST_HEADERS:([\w-]+)", targets):
        kinds.append(f"header:{name}")
    if "REQUEST_COOKIES" in targets:
        kinds.append("cookie")
    if re.search(r"(?<![&!])ARGS|REQUEST_BODY", targets):
        kinds += ["query", "form", "json", "multipart"]
    if "XML:" in targets:
        kinds.append("xml")
    if "FILES" in targets:
        kinds.append("file")
    if re.search(r"REQUEST_(URI|LINE|FILENAME|BASENAME)|QUERY_STRING", targets):
        kinds += ["path", "query"]
    return kinds or ["query", "form", "header:X-Value"]


NAMES = ["q", "id", "text", "user", "file", "a.b", "list[]", "obj[key]", "comment", "url"]


def from_value(kind, value, chance, others):
    if kind == "answer":
        media = chance.choice(["text/html", "text/plain", "application/json"])
        answer = {"status": chance.choice([200, 200, 500, 404]), "headers": {"Content-Type": media}, "body": value}
        return Request(fields=FIELDS, response=answer)
    if kind == "answer-head":
        answer = {"status": 302, "headers": {"Location": re.sub(r"[\r\n\x00]", "", value), "Content-Type": "text/html"}, "body": ""}
        return Request(fields=FIELDS, response=answer)
    pairs = [(chance.choice(NAMES), value)]
    while chance.random() < 0.4:
        pairs.append((chance.choice(NAMES), chance.choice(others)))
    if chance.random() < 0.08:
        # A name is a value, too.
        pairs[0] = (value[:200], "1")
    return packed(kind, pairs, chance)


def from_tests(folder):
    """The requests of FTW tests, without those that servers take apart in more than one way."""
    import yaml
    for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
        for test in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("tests") or []:
            for stage in test["stages"]:
                given = stage["input"]
                if "encoded_request" in given or given.get("autocomplete_headers") is False or "{{" in str(given.get("data")):
                    continue
                fields = [(name, bytewise(str(value or ""))) for name, value in sorted((given.get("headers") or {}).items())]
                body = bytewise(str(given.get("data") or ""))
                request = Request(given.get("method", "GET"), bytewise(str(given.get("uri", "/"))), fields, body)
                if body and not request.get("Content-Type"):
                    request.set("Content-Type", FORM)
                if "multipart/form-data;" in (request.get("Content-Type") or ""):
                    request.body = re.sub(r"\r?\n", "\r\n", body)
                if request.target.startswith("/reflect") and body:
                    try:
                        told = json.loads(given["data"])
                    except ValueError:
                        continue
                    text = told.get("body") or base64.b64decode(told.get("encodedBody") or "").decode("utf-8", "replace")
                    answer = {"status": told.get("status", 200), "headers": told.get("headers") or {}, "body": text}
                    answer["headers"].setdefault("Content-Type", "text/html")
                    request = Request(fields=FIELDS, response=answer)
                yield request


# --- mutations --------------------------------------------------------------------------------------------------------

def flipped(value, chance):
    return "".join(letter.swapcase() if chance.random() < 0.3 else letter for letter in value)


def spaced(value, chance):
    return re.sub(r" ", lambda _: chance.choice([" ", "  ", "\t", "\n", "/**/", "\x0b", "\xa0", "+"]), value)


def encoded(value, chance):
    ways = [lambda letter: f"%{ord(letter):02x}", lambda letter: f"%25{ord(letter):02X}", lambda letter: f"%u{ord(letter):04x}",
            lambda letter: f"&#{ord(letter)};", lambda letter: f"&#x{ord(letter):x};", lambda letter: f"\\x{ord(letter):02x}",
            lambda letter: f"\\u{ord(letter):04x}", lambda letter: f"\\{ord(letter):o}", lambda letter: f"\\{ord(letter):x} "]
    way, share = chance.choice(ways), chance.choice([0.05, 0.3, 1])
    return "".join(way(letter) if ord(letter) < 256 and chance.random() < share else letter for letter in value[:800])


def inserted(value, chance):
    at = chance.randint(0, len(value))
    odd = ["\x00", "\x01", "\x7f", "\x80", "\xc0\xaf", "\xe2\x80\x99", "%", "%2", "%zz", "\\", "'", '"', "`", "<", "/*", "*/", "--",
           "&amp;", "../", ";", "|", "$(", "${", "{{", "\r\n", "\n", "=", "&"]
    return value[:at] + chance.choice(odd) + value[at:]


def cut(value, chance):
    return value[: chance.randint(0, len(value))] if chance.random() < 0.5 else value[chance.randint(0, len(value)) :]


def doubled(value, chance):
    return value * chance.randint(2, 4)


def as_base64(value, _):
    return base64.b64encode(raw(value)).decode()


OF_VALUES = [flipped, spaced, encoded, encoded, inserted, inserted, cut, doubled, as_base64]


def spoilt(request, chance):
    """Changes the bytes of a request."""
    kind = chance.choice(["target", "body", "type", "field", "again", "cookie", "method", "byte"])
    if kind == "target" and "?" in request.target:
        path, _, query = request.target.partition("?")
        request.target = path + "?" + chance.choice([query.replace("=", "", 1), query.replace("=", "==", 1), query + "&" + query,
                                                     query + "&", "&&" + query, query.replace("&", ";"), query + "?x=1", query.replace("%", "%25", 1)])
    elif kind == "body" and request.body:
        request.body = chance.choice([request.body[: len(request.body) * 3 // 4], request.body + request.body[:40],
                                      request.body + "\r\n", " " + request.body, request.body.replace("&", "&&", 1)])
    elif kind == "type" and request.body:
        request.set("Content-Type", chance.choice([FORM, FORM + "; charset=utf-8", "text/plain", "application/json", "application/json; charset=UTF-8",
                                                   "application/xml", "APPLICATION/JSON", "application/octet-stream", "application/soap+xml"]))
    elif kind == "field":
        name, value = chance.choice([("X-Forwarded-For", "203.0.113.7"), ("Referer", "https://localhost/a?b=c"), ("Accept", "text/html;q=0.9"),
                                     ("Range", "bytes=0-1,2-3,4-5,6-7,8-9,10-11"), ("Accept-Encoding", "gzip"), ("User-Agent", "curl/8.0"), ("Accept", ""),
                                     ("Content-Encoding", "identity"), ("X-Up-Devcap-Post-Charset", "utf-16"), ("Connection", "keep-alive, close")])
        request.set(name, value)
    elif kind == "again" and request.fields:
        name, value = chance.choice(request.fields)
        if name.lower() not in ("host", "content-length", "content-type"):
            request.fields.append((name, value))
    elif kind == "cookie":
        request.set("Cookie", chance.choice(["a=b; c=d", "a=b;c=d", "a", "=b", "a=b=c; a=d", " a = b ; ; c", "$Version=1; a=%3cb%3e", "a=\"b; c\""]))
    elif kind == "method":
        request.method = chance.choice(["HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "POST", "TEST"])
    elif kind == "byte" and request.body:
        at = chance.randrange(len(request.body))
        request.body = request.body[:at] + chr(chance.randrange(256)) + request.body[at + 1 :]
    return request


def mutated(request, chance):
    """A request of a test, with some of its values changed."""
    way = chance.choice(OF_VALUES)
    if request.body and chance.random() < 0.6:
        request.body = re.sub(r"(?<=[=:>])[^&<>]{1,400}", lambda found: way(found[0], chance) if chance.random() < 0.5 else found[0], request.body)
    else:
        request.target = re.sub(r"(?<==)[^&]+", lambda found: way(found[0], chance), request.target)
    return request


def requests(options, chance):
    """Without an end."""
    harmless = [bytewise(line) for line in (HERE / "harmless.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = spoken(options.rules, chance)
    values = [value for _, value in pairs]
    tests = list(from_tests(options.tests)) if options.tests else []
    while True:
        if tests and chance.random() < 0.35:
            given = chance.choice(tests)
            request = Request(given.method, given.target, given.fields, given.body, given.response)
            request = mutated(request, chance) if chance.random() < 0.8 else request
        else:
            targets, value = chance.choice(pairs) if chance.random() < 0.9 else ("ARGS", chance.choice(harmless))
            while chance.random() < 0.5:
                value = chance.choice(OF_VALUES)(value, chance)[:VALUE_BYTES_MAX]
            if chance.random() < 0.1:
                value = (value + chance.choice(values))[:VALUE_BYTES_MAX]
            kinds = places(targets)
            kind = chance.choice(kinds)
            if chance.random() < 0.15 and not kind.startswith("answer"):
                kind = chance.choice(["query", "form", "json", "xml", "multipart", "file", "cookie", "path", "text", "header:User-Agent", "header:Referer"])
            request = from_value(kind, value, chance, harmless)
        if chance.random() < 0.25:
            request = spoilt(request, chance)
        request = request.finished()
        if request:
            yield request


# --- files ------------------------------------------------------------------------------------------------------------

def coded(text):
    return base64.b64encode(raw(text)).decode()


def taken_apart(number, request):
    return {"id": number, "method": coded(request.method), "target": coded(request.target), "version": coded(request.version),
            "fields": [[coded(name), coded(value)] for name, value in request.fields], "body": coded(request.body),
            "response": request.response}


def as_test(number, request):
    head = f"{request.method} {request.target} {request.version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in request.fields)
    given = {"encoded_request": coded(f"{head}\r\n{request.body}")}
    if request.response:
        given["response"] = request.response
    return {"test_id": number, "stages": [{"input": given, "output": {}}]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rules", required=True)
    parser.add_argument("--tests")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("cases", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    source = requests(options, random.Random(options.seed))
    made = [next(source) for _ in range(options.count)]
    options.cases.write_text("".join(json.dumps(taken_apart(number, request)) + "\n" for number, request in enumerate(made)), encoding="utf-8")
    options.folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(made), TESTS_A_FILE):
        tests = [as_test(start + index, request) for index, request in enumerate(made[start : start + TESTS_A_FILE])]
        # JSON is YAML.
        (options.folder / f"{start:06}.yaml").write_text(json.dumps({"rule_id": 1, "tests": tests}), encoding="utf-8")


if __name__ == "__main__":
    main()
