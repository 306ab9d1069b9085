"""Do testssl.sh, sslscan and curl agree with the verdicts of `reeve prove` on TLS?

    agree.py PROVE.json SSLSCAN.xml CURL_STATUS TESTSSL.json...

Prints a row for each control: what Reeve says, and what the others would have said from what they saw. Each of them
looks in a way of its own; none is told what Reeve found. Exit codes: 0 they agree, 1 they do not, 2 one saw nothing.
"""

import datetime
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

LISTED = re.compile(r"TLS_(?!.*_anon_)(.*_WITH_)?(AES_(128|256)_GCM|CHACHA20_POLY1305)_")
OLD = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1")
DAYS_LEFT_MIN = 30


def word(broken):
    return "broken" if broken else "kept"


def is_static(suite):
    """Whether the server's long-lived key is all that protects what was recorded."""
    return "_WITH_" in suite and not re.search(r"DHE_|_anon_", suite)


def names_by_number():
    """The registry's names, from OpenSSL, which sslscan calls by other names."""
    listing = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=True,
    )
    rows = re.findall(r"0x(..),0x(..) - (\S+)", listing.stdout)
    return {int(high + low, 16): name for high, low, name in rows}


def sslscan(path):
    test = xml.parse(path).find("ssltest")
    enabled = [protocol for protocol in test.findall("protocol") if protocol.get("enabled") == "1"]
    versions = {f"{protocol.get('type').upper()}v{protocol.get('version')}" for protocol in enabled}
    names = names_by_number()
    suites = {}
    weakest = []
    for cipher in test.findall("cipher"):
        name = names.get(int(cipher.get("id"), 16), cipher.get("cipher"))
        suites.setdefault(cipher.get("sslversion"), set()).add(name)
        weakest.append(int(cipher.get("bits")))
    if not versions or not suites:
        sys.exit(2)
    every = set().union(*suites.values())
    end = datetime.datetime.strptime(test.find(".//not-valid-after").text, "%b %d %H:%M:%S %Y %Z")
    left = end - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    opinion = {
        "tls.floor": word(any(version in OLD for version in versions)),
        "tls.ciphers": word(any(not LISTED.match(suite) for suite in every)),
        "tls.cipher_bits": word(min(weakest) < 128),
        "tls.pfs": word(any(is_static(suite) for suite in every)),
        "tls.cert_expiry": word(left.days < DAYS_LEFT_MIN or test.find(".//expired").text == "true"),
    }
    weak = {version: {suite for suite in found if not LISTED.match(suite)} for version, found in suites.items()}
    return opinion, {version: found for version, found in weak.items() if found}


def testssl(paths):
    entries = [entry for path in paths for entry in json.load(open(path))]
    found = {entry["id"]: entry["finding"] for entry in entries}
    offered = {identity for identity, finding in found.items() if finding.startswith("offered")}
    suites = {entry["finding"].split()[-1] for entry in entries if entry["id"].startswith("cipher_x")}
    if "TLS1_2" not in found or "cipherlist_NULL" not in found or not suites:
        sys.exit(2)
    weak_lists = {f"cipherlist_{name}" for name in ("NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE")}
    opinion = {
        "tls.floor": word(offered & {"SSLv2", "SSLv3", "TLS1", "TLS1_1"}),
        "tls.ciphers": word(offered & weak_lists or any(not LISTED.match(suite) for suite in suites)),
        # Its LOW holds RC4 with 128 bits too, which no OpenSSL of today has.
        "tls.cipher_bits": word(offered & {"cipherlist_NULL", "cipherlist_EXPORT", "cipherlist_LOW"}),
        "tls.pfs": word(any(is_static(suite) for suite in suites)),
    }
    if "cert_notAfter" in found:
        end = datetime.datetime.strptime(found["cert_notAfter"][:16], "%Y-%m-%d %H:%M")
        left = end - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        opinion["tls.cert_expiry"] = word(left.days < DAYS_LEFT_MIN)
    return opinion


def main():
    report, scan, plain, *rest = sys.argv[1:]
    clauses = [clause for clause in json.load(open(report))["clauses"] if clause["control"].startswith("tls.")]
    scan_opinion, scan_weak = sslscan(scan)
    test_opinion = testssl(rest)
    # What plain HTTP got: a redirect to HTTPS is all that may come.
    curl_opinion = dict.fromkeys(("tls.only", "tls.https_only"), word(not plain.startswith("308 https://")))
    agreed = bool(clauses)
    print(f"{'':16} {'reeve':8} {'sslscan':8} {'testssl':8} {'curl':8}")
    for clause in clauses:
        control, verdict = clause["control"], clause["verdict"]
        opinions = [opinion.get(control, "-") for opinion in (scan_opinion, test_opinion, curl_opinion)]
        said = {opinion for opinion in opinions if opinion != "-"}
        same = said == {verdict}
        agreed = agreed and same
        row = [f"{word:8}" for word in (verdict, *opinions)]
        print(f"{control:16} {' '.join(row)} {'' if same else '<-- they do not agree'}".rstrip())
    # Not only whether: also which weak suites, version by version.
    lines = [line for clause in clauses if clause["control"] == "tls.ciphers" for line in clause["observations"]]
    accepted = [re.fullmatch(r"accepted in (\S+) (\S+): (.*)", line) for line in lines]
    weak = {f"{m[1]}v{m[2]}": set(m[3].split(", ")) for m in accepted if m}
    for version in sorted(weak.keys() | scan_weak.keys()):
        ours, theirs = weak.get(version, set()), scan_weak.get(version, set())
        print(f"weak suites of {version}: {len(ours)} by reeve, {len(theirs)} by sslscan")
        if ours != theirs:
            agreed = False
            print(f"  only reeve: {sorted(ours - theirs)}\n  only sslscan: {sorted(theirs - ours)}")
    sys.exit(0 if agreed else 1)


main()
