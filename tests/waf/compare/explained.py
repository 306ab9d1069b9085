"""Why the two engines differ, where they do."""

import base64
import dataclasses
import re
from urllib.parse import unquote_to_bytes


@dataclasses.dataclass(frozen=True)
class Difference:
    """A rule that speaks of a request in one engine alone."""
    rule: int
    ours_alone: bool
    case: dict
    ours: set
    theirs: set

    def field(self, name):
        """The value of a header field of the request, in lower case; empty if it is not there."""
        for field, value in self.case["fields"]:
            if base64.b64decode(field).decode("latin-1").lower() == name:
                return base64.b64decode(value).decode("latin-1").lower()
        return ""

    def body(self):
        return base64.b64decode(self.case["body"])

    def target(self):
        return base64.b64decode(self.case["target"])


    def texts(self):
        """Where line ends and NUL bytes of a value may stand, encoded or not."""
        values = [self.target(), self.body(), *(base64.b64decode(value) for _, value in self.case["fields"])]
        return b" ".join([*values, *map(unquote_to_bytes, values)])

    def is_type(self, *types):
        return any(kind in self.field("content-type") for kind in types)

    @property
    def theirs_alone(self):
        return not self.ours_alone


# Rules whose targets hold REQUEST_BODY, in versions 3 and 4 of the Core Rule Set.
WHOLE_BODY = {920230, 920260, 920270, 920271, 920272, 920273, 920274, 921110, 921120, 921130, 921140, 921150, 921160, 931110, 931120, 932140, 934210, 934220,
              942432, 944100, 944110, 944120, 944130, 944140, 944150, 944151, 944152, 944200, 944210, 944240, 944250, 944260, 944300}
# Rules that sum up what others have found.
SUMS = {949110, 949111, 949100, 959100, 959101, 980130, 980140, 980170}


def line_end(difference):
    """Of a value; between the parts of a multipart form there are some always."""
    escaped = re.search(rb"\\[nr]|\\u000[ad]", difference.body()) is not None and difference.is_type("json")
    return not difference.is_type("multipart/form-data") and (escaped or re.search(rb"[\r\n]|&#x?0*(?:10|13|[ad]);", difference.texts(), re.I) is not None)


def form_of(difference):
    return difference.is_type("application/x-www-form-urlencoded") or not difference.field("content-type")


# In the order in which they are tried; the first that holds is the reason.
REASONS = {
    "a rule that says `noauditlog` is not told by libmodsecurity at all (its known fault with 980170)":
        lambda d: d.rule in {980130, 980140, 980170} and d.ours_alone,
    "it sums up what other rules have found, and one of those differs":
        lambda d: d.rule in SUMS and (d.ours ^ d.theirs) - SUMS != set(),
    "a body that cannot be read as what it says to be is read as a form as well, so that rules look into it; libmodsecurity looks no further":
        lambda d: d.ours_alone and 200002 in d.ours and d.body() != b"",
    "libmodsecurity shows the whole body in REQUEST_BODY, whatever its type; the Core Rule Set expects it for forms and texts alone":
        lambda d: d.theirs_alone and d.rule in WHOLE_BODY and d.body() != b"" and not form_of(d),
    "an empty body, or one with blanks before its beginning, is no XML for libmodsecurity; here it is none, or is read, and rules look into it":
        lambda d: d.is_type("xml") and 200002 in d.theirs - d.ours,
    "REQUEST_URI is the target as it was sent; libmodsecurity shows it with percent-encoding undone":
        lambda d: d.rule in {920220, 920221, 920230, 920250, 920260, 920272, 920460, 920540} and b"%" in d.target(),
    "a value of a multipart form keeps its line ends; libmodsecurity 3.0.9 leaves out those within it":
        lambda d: d.is_type("multipart/form-data") and re.search(rb"\r?\n\r?\n(?!--)(?:(?!\r\n--)[\x00-\xff])*\n", d.body()) is not None,
    "MATCHED_VARS holds what the link before has matched; libmodsecurity's holds what any link before has":
        lambda d: d.rule in {932200, 932205, 932206, 932207} and d.theirs_alone,
    "libmodsecurity's search for phrases misses one that stands at the end of a longer name, `.env` in `secrets.env`":
        lambda d: d.rule == 930130 and d.ours_alone,
    "libmodsecurity compiles patterns so that ^ and $ stand at every line end of a value; the Core Rule Set means its ends":
        lambda d: line_end(d),
    "libmodsecurity 3.0.9 keeps the line end of a part's header line, so that 922110 speaks of parts with a plain charset, of which the rule's own tests say that it is silent":
        lambda d: d.rule == 922110 and d.theirs_alone and d.is_type("multipart/form-data"),
    "blank lines after the last boundary are no data; libmodsecurity calls them so, and an empty body with a boundary too":
        lambda d: d.rule == 200003 and d.theirs_alone and (d.body().endswith(b"--\r\n\r\n") or d.body().rstrip(b"\r\n") == b""),
    "the first link of a chain logs in libmodsecurity, whether the whole chain matches or not (its known fault with 942131)":
        lambda d: d.rule in {942130, 942131, 920120, 920121} and d.theirs_alone,
    "an attribute is a handler if browsers know one of that name; the injection library in libmodsecurity 3.0.9 takes each that begins with `on`":
        lambda d: d.rule == 941100 and d.theirs_alone and re.search(rb"on\w{2,}", d.texts(), re.I) is not None,
    "libmodsecurity leaves backslashes before quotes in an operator's argument: 955350 never matches there":
        lambda d: d.rule == 955350 and d.ours_alone,
    "cookies are parted at `;` as browsers write them (RFC 6265 section 4.2.1) and keep blanks; libmodsecurity parts and trims them otherwise":
        lambda d: d.field("cookie") != "" and re.search(r"[;=]\s*[;=]|;\S|\s;|=\s|;\s*$|=[^;]*=|\x0b|\S=[^;]*\"", d.field("cookie")) is not None,
    "normalizePath goes up at a segment `..`; libmodsecurity also at a name that ends so, such as `mail..`":
        lambda d: d.rule == 932190 and d.ours_alone and re.search(rb"[^./]\.\./", d.texts()) is not None,
    "libmodsecurity's transformations lose NUL bytes (utf8toUnicode) or what is after them":
        lambda d: b"\x00" in d.texts(),
    "%uHHHH, and what utf8toUnicode makes of letters, is mapped to the ASCII that looks like it (code page 20127); libmodsecurity without a map file takes its low byte":
        lambda d: re.search(rb"%u[0-9a-fA-F]{4}|[\x80-\xff]", d.texts()) is not None,
}
