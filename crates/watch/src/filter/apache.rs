//! Apache's error log: refused and failed sign-ins.
//!
//! The address stands in front of what the client says, in brackets that only the server writes, so the line is read
//! from the front and only its first `[client …]` counts.

use super::cursor::{Cursor, is_dark, is_word};
use super::host::host;
use super::{Failure, at_once};
use crate::stamp::Stamp;

/// `[Sat Nov 21 10:00:00.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:40000] AH01617: user x:
/// authentication failure for "/": Password Mismatch`
pub(super) fn auth(line: &[u8]) -> Option<Failure<'_>> {
    let (time, rest) = Cursor(line).text("[")?.until("] ")?;
    let (module, rest) = rest.text("[")?.some(|byte| is_dark(byte) && byte != b']')?;
    let rest = rest.text("]")?;
    let rest = match rest.text(" [pid ") {
        Some(pid) => {
            let rest = pid.digits()?;
            let rest = if rest.text("]").is_some() { rest } else { rest.text(":")?.word()?.1.text(" ")?.digits()? };
            rest.text("]")?
        }
        None => rest,
    };
    let (host, rest) = host(rest.text(" [client ")?)?;
    let rest = rest.text(":").and_then(Cursor::digits).unwrap_or(rest).text("] ")?;
    let message = match rest.text("AH").and_then(Cursor::digits).and_then(|rest| rest.text(": ")) {
        Some(message) => message,
        None => rest,
    };
    (is_level(module) && is_failure(message)).then(|| at_once(host, Stamp::ctime(time))).flatten()
}

/// `error`, or module and level; the module that only counts requests (`mod_evasive`) is another matter.
fn is_level(module: &[u8]) -> bool {
    if matches!(module, b"error" | b":error") {
        return true;
    }
    let parted = module
        .split_first()
        .is_some_and(|(_, rest)| rest.split_last().is_some_and(|(_, middle)| middle.contains(&b':')));
    parted && !module.starts_with(b"evasive")
}

fn is_failure(message: Cursor<'_>) -> bool {
    let denied = ["client denied by server configuration", "client used wrong authentication scheme"];
    let unqualified = |start: &str| message.text(start);
    // `Digest: ` and the like.
    let scheme =
        message.some(is_word).filter(|(word, _)| word.len() > 1 && word.first().is_some_and(u8::is_ascii_uppercase));
    let qualified = scheme.and_then(|(_, rest)| rest.text(": ")).unwrap_or(message);
    message.one_of(&denied).is_some_and(Cursor::ends_word)
        || unqualified("user ").is_some_and(|rest| !rest.0.starts_with(b"`") && rest_fails(rest))
        || unqualified("Authorization of user ")
            .and_then(|rest| rest.until(" to access "))
            .is_some_and(|(_, rest)| rest.holds_words(&[" failed"]))
        || unqualified("invalid qop `").is_some_and(|rest| rest.holds_words(&["' received"]))
        || is_sni(message)
        || digest(qualified)
}

/// `x: authentication failure …`, `x not found: …`
fn rest_fails(rest: Cursor<'_>) -> bool {
    rest.holds_words(&[" authorization failure", " authentication failure", " not found", " denied by provider"])
}

/// What `mod_auth_digest` and its kin say, without their name.
fn digest(message: Cursor<'_>) -> bool {
    let after = |start: &str, texts: &[&'static str]| message.text(start).is_some_and(|rest| rest.holds_words(texts));
    after("user ", &[": password mismatch"])
        || message.text("user `").and_then(|rest| rest.until("' in realm `")).is_some_and(|(_, rest)| {
            let ends = ["' authorization failure", "' authentication failure", "' not found", "' denied by provider"];
            // The realm has at least one letter.
            rest.0.get(1..).is_some_and(|rest| Cursor(rest).holds_words(&ends))
        })
        || after("invalid nonce ", &[" received - length is not", " received - user attempted time travel"])
        || after("realm mismatch - got `", &["' but expected"])
        || after("unknown algorithm `", &["' received"])
}

/// A name that was asked for by TLS and not by HTTP, or the reverse.
fn is_sni(message: Cursor<'_>) -> bool {
    let rest = message.one_of(&["No hostname ", "Hostname "]).and_then(Cursor::word).map(|(_, rest)| rest);
    let Some(rest) = rest.and_then(|rest| rest.text(" provided via SNI")) else { return false };
    let two = || {
        let rest = rest.text(" and hostname ")?.word()?.1.text(" provided")?;
        Some(rest.ends_word())
    };
    let one = rest.one_of(&[", but no hostname provided", " for a name based virtual host"]);
    one.is_some_and(Cursor::ends_word) || two().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Host;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        let found = auth(line.as_bytes()).map(|failure| failure.host);
        assert_eq!(found, expected.map(|text| Host::Address(text.parse().unwrap())), "{line}");
    }

    #[test]
    fn what_the_server_says_counts_and_what_the_client_says_does_not() {
        let line = |module: &str, client: &str, message: &str| {
            format!("[Sat Nov 21 10:00:00.123456 2026] [{module}] [pid 12:tid 34] [client {client}] {message}")
        };
        let failed = "AH01617: user root: authentication failure for \"/a\": Password Mismatch";
        check(&line("auth_basic:error", "192.0.2.7:40000", failed), Some("192.0.2.7"));
        check(&line("auth_basic:error", "[2001:db8::7]:40000", failed), Some("2001:db8::7"));
        check(&line("evasive20:error", "192.0.2.7:40000", "client denied by server configuration: /a"), None);
        check(&line("core:error", "192.0.2.7:1", "AH00126: Invalid URI [client 203.0.113.1] user x not found"), None);
        check(&line("core:error", "192.0.2.7:1", "File does not exist: /a/user root not found"), None);
        check("[Sat Nov 21 10:00:00 2026] [error] [client 192.0.2.7] user  not found: /", Some("192.0.2.7"));
        check("[Sat Nov 21 10:00:00 2026] [notice] [client 192.0.2.7] user x not found: /", None);
    }
}
