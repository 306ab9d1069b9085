"""Holds what two engines found against each other.

    compare.py [--show N] [--only RULE] CASES MODSECURITY REEVE

CASES is what cases.py wrote, MODSECURITY what modsecurity.py printed, REEVE what `reeve waf test --json` printed. A difference
is a rule that speaks of a request in one engine and not in the other. Each must be explained in explained.py; the table
has a line for each reason. Ends with 1 if a difference is not explained.
"""

import argparse
import base64
import collections
import json
import sys

from explained import REASONS, Difference


def read(options):
    """The cases with what each engine found; those that the server itself refused are left out."""
    ours = {}
    for test in json.load(open(options.reeve, encoding="utf-8")):
        if test.get("found") is None:
            sys.exit(f"{test['id']} was not judged: {test.get('why')}")
        ours[int(test["id"].split("-")[1])] = test["found"]
    theirs = {}
    for line in open(options.modsecurity, encoding="utf-8"):
        found = json.loads(line)
        theirs[found["id"]] = found["ids"]
    for line in open(options.cases, encoding="utf-8"):
        case = json.loads(line)
        yield case, set(theirs[case["id"]]), ours[case["id"]]


def differences(options, counts):
    for case, theirs, found in read(options):
        if found.get("refused"):
            counts["refused by the server before any rule"] += 1
            continue
        ours = set(found["ids"])
        counts["requests compared"] += 1
        counts["findings of both"] += len(ours & theirs)
        counts["requests with a difference"] += ours != theirs
        for rule in sorted(ours ^ theirs):
            counts["findings of one alone"] += 1
            yield Difference(rule, rule in ours, case, ours, theirs)


def reason(difference):
    return next((name for name, holds in REASONS.items() if holds(difference)), None)


def shown(case):
    text = lambda name: base64.b64decode(case[name]).decode("latin-1")
    fields = "".join(f"{base64.b64decode(name).decode('latin-1')}: {base64.b64decode(value).decode('latin-1')}\n" for name, value in case["fields"])
    answer = f"\n  answer {json.dumps(case['response'])[:600]}" if case["response"] else ""
    return f"{text('method')} {text('target')[:600]!r}\n{fields}\n{text('body')[:900]!r}{answer}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--show", type=int, default=3)
    parser.add_argument("--only", type=int)
    parser.add_argument("cases")
    parser.add_argument("modsecurity")
    parser.add_argument("reeve")
    options = parser.parse_args()
    counts, reasons, open_ones = collections.Counter(), {}, collections.defaultdict(list)
    for difference in differences(options, counts):
        why = reason(difference)
        if why is None:
            open_ones[difference.rule, difference.ours_alone].append(difference)
        else:
            reasons.setdefault(why, collections.Counter())[difference.rule] += 1
    for name, count in counts.items():
        print(f"{count:7} {name}")
    for why, rules in sorted(reasons.items(), key=lambda row: -row[1].total()):
        print(f"\n{rules.total():7} {why}\n        rules " + ", ".join(f"{rule} ({count})" for rule, count in rules.most_common(12)))
    for (rule, ours_alone), found in sorted(open_ones.items(), key=lambda row: -len(row[1])):
        if options.only in (None, rule):
            print(f"\nNOT EXPLAINED: {rule} speaks in {'Reeve' if ours_alone else 'ModSecurity'} alone, {len(found)} times")
            for difference in found[: options.show]:
                print(f"  case {difference.case['id']}: {shown(difference.case)}\n  Reeve {sorted(difference.ours)}\n  ModSecurity {sorted(difference.theirs)}")
    total = sum(map(len, open_ones.values()))
    print(f"\n{total} findings are not explained")
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
