"""What fail2ban's filter of this name finds in a file: `fail2ban_says.py KIND FILE` prints line, host and attempts.

Uses the modules of Debian's package, as `fail2ban-regex` does, because that one prints no line numbers. Names are printed
as they stand; nothing is looked up.
"""

import sys

from fail2ban.client import fail2banregex

kind, path = sys.argv[1], sys.argv[2]
options, _ = fail2banregex.get_opt_parser().parse_args(["--raw", "-o", "id", path, kind])
oracle = fail2banregex.Fail2banRegex(options)
oracle.readRegex(kind, "fail")
with open(path, "rb") as lines:
    for number, line in enumerate(lines, 1):
        _, found, _ = oracle.testRegex(line.decode("utf-8", "surrogateescape").rstrip("\r\n"))
        for _, host, _, failure in found:
            print(number, host, len(failure.get("matches", [])) or 1)
