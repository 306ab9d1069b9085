//! Lines of unknown origin, by the thousand.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use reeve_watch::{Filter, Host, Kind};

/// Pieces that real lines are made of, so that chance comes far into them.
const PIECES: [&str; 40] = [
    "Nov 21 10:00:00",
    "2026-11-21T10:00:00.5+00:00",
    "2026/11/21 10:00:00",
    "[Sat Nov 21 10:00:00 2026]",
    " ",
    "  ",
    "web",
    "sshd[812]: ",
    "[sshd] ",
    "error: ",
    "PAM: ",
    "Failed password for ",
    "Failed publickey for ",
    "invalid user ",
    "Accepted publickey for ",
    "Invalid user ",
    "Connection closed by ",
    "authenticating user ",
    "Received disconnect from ",
    " from ",
    "192.0.2.7",
    "2001:db8::7",
    "[2001:db8::7]",
    "example.com",
    " port 22",
    " ssh2",
    ": ",
    " [preauth]",
    "pam_unix(sshd:auth): authentication failure;",
    " ruser=",
    " rhost=",
    "user \"",
    "\": password mismatch",
    ", client: ",
    ", server: ",
    ", request: \"GET /cgi-bin/ HTTP/1.1\"",
    ", host: \"x\"",
    "[error] ",
    "[client ",
    "192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /pma HTTP/1.1\" 404 1 \"-\" \"EmailSiphon\"",
];

proptest! {
    #[test]
    fn no_line_is_too_odd(
        pieces in proptest::collection::vec((0_usize..PIECES.len(), proptest::collection::vec(any::<u8>(), 0..4)), 0..20),
    ) {
        let mut line = Vec::new();
        for (piece, odd) in &pieces {
            line.extend_from_slice(PIECES.get(*piece).unwrap().as_bytes());
            line.extend_from_slice(odd);
        }
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for kind in Kind::ALL {
            let mut filter = Filter::new(kind);
            for cut in [line.as_slice(), line.get(..line.len() / 2).unwrap()] {
                if let Some(failure) = filter.read(cut) {
                    prop_assert!(failure.attempts >= 1);
                    let _ = failure.stamp.age(now, &TimeZone::UTC);
                }
            }
        }
    }

    /// Whatever somebody calls himself whom the system does not know: the address that is accused is his own.
    #[test]
    fn no_name_accuses_somebody_else(words in proptest::collection::vec(0_usize..WORDS.len(), 0..12)) {
        let user: String = words.iter().map(|word| *WORDS.get(*word).unwrap()).collect();
        let own: Host = Host::Address("192.0.2.7".parse().unwrap());
        for message in [
            format!("Failed password for invalid user {user} from 192.0.2.7 port 40022 ssh2"),
            format!("Invalid user {user} from 192.0.2.7 port 40022"),
            format!("error: maximum authentication attempts exceeded for invalid user {user} from 192.0.2.7 port 1 ssh2 [preauth]"),
        ] {
            let line = format!("Nov 21 10:00:00 web sshd[812]: {message}");
            let found = Filter::new(Kind::Sshd).read(line.as_bytes()).map(|failure| failure.host);
            prop_assert!(found.is_none() || found == Some(own.clone()), "{}: {:?}", line, found);
        }
        let quoted = user.replace('"', "\\\"");
        let line = format!(
            "2026/11/21 10:00:00 [error] 1#1: *1 user \"{quoted}\": password mismatch, client: 192.0.2.7, server: , \
             request: \"GET / HTTP/1.1\", host: \"x\""
        );
        let found = Filter::new(Kind::NginxHttpAuth).read(line.as_bytes()).map(|failure| failure.host);
        prop_assert_eq!(found, Some(own), "{}", line);
    }
}

const WORDS: [&str; 16] = [
    " from ",
    "203.0.113.1",
    " port 22",
    " ssh2",
    ": ",
    "x",
    " ",
    "RSA SHA256:x",
    " [preauth]",
    " on ",
    "invalid user ",
    "\": password mismatch",
    ", client: ",
    ", server: , request: \"GET / HTTP/1.1\", host: \"x\"",
    "user \"",
    "[2001:db8::9]",
];
