"""Why the two engines differ, where they do."""

import base64
import dataclasses


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


REASONS = {}
