//! nginx: failed basic authentication, and requests for what is not there and only scanners look for.
//!
//! What a client sends can stand in a line as it is: a user name in the error log holds anything but line ends. So the
//! lines are read from the end, where nginx writes what it knows, towards what the client says.

use super::cursor::{Cursor, is_dark};
use super::host::host;
use super::{Failure, at_once};
use crate::stamp::Stamp;

/// `2026/11/21 10:00:00 [error] 1#1: *1 user "x": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1",
/// host: "example.com"`
pub(super) fn http_auth(line: &[u8]) -> Option<Failure<'_>> {
    let (stamp, rest) = Stamp::slashes(line)?;
    let message = connection(Cursor(rest).space())?.text("user \"")?;
    // Nothing behind it can hold a space where this has one, so the last is nginx's own.
    let (before, rest) = message.until_last(", client: ")?;
    let (host, rest) = host(rest)?;
    let rest = rest.text(", server: ")?.take(|byte| is_dark(byte) && byte != b',').1.text(", request: \"")?;
    let rest = rest.word()?.1.text(" ")?.word()?.1.text(" HTTP/")?.digits()?.text(".")?.digits()?.text("\", host: ")?;
    let rest = match rest.until(", referrer: ") {
        Some((host, referrer)) => quoted_word(Cursor(host)).then_some(referrer)?,
        None => rest,
    };
    (quoted_word(Cursor(rest.0.trim_ascii_end())) && names_a_user(before)).then(|| at_once(host, stamp)).flatten()
}

/// `"…"` with no white space in it, and something.
fn quoted_word(text: Cursor<'_>) -> bool {
    text.0.len() > 2 && text.0.starts_with(b"\"") && text.0.ends_with(b"\"") && text.0.iter().all(|byte| is_dark(*byte))
}

/// What is left of `user "x": password mismatch` or `user "x" was not found in "/file"`.
fn names_a_user(text: &[u8]) -> bool {
    let user = match text.strip_suffix(b" password mismatch") {
        Some(user) => Some(user),
        None => text.strip_suffix(b"\"").and_then(|text| {
            let (before, file) = Cursor(text).until_last(" was not found in \"")?;
            (!file.holds("\"")).then_some(before)
        }),
    };
    user.is_some_and(|user| user.ends_with(b"\"") || user.ends_with(b"\":"))
}

/// `[error] 1#1: *1 `
fn connection(rest: Cursor<'_>) -> Option<Cursor<'_>> {
    rest.text("[error] ")?.digits()?.text("#")?.digits()?.text(": *")?.digits()?.text(" ")
}

/// A request for one of the places that scanners look for, answered with 404 or not found on the disk.
pub(super) fn botsearch(line: &[u8]) -> Option<Failure<'_>> {
    match Stamp::slashes(line) {
        Some((stamp, rest)) => not_found_on_disk(stamp, Cursor(rest)),
        None => not_found_by_status(line),
    }
}

/// `192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] "GET /phpMyAdmin/ HTTP/1.1" 404 162 "-" "-"`
fn not_found_by_status(line: &[u8]) -> Option<Failure<'_>> {
    let (host, rest) = host(Cursor(line))?;
    let rest = rest.text(" - ")?.word()?.1.text(" [")?;
    let (time, rest) = rest.until("] \"")?;
    let rest = scanned(rest)?;
    // nginx writes a quote that the client sent as \x22: the first one is the end.
    let (request, rest) = rest.until("\" 404 ")?;
    let one = !request.contains(&b'"') && ends_in_protocol(request);
    (one && !rest.0.is_empty()).then(|| at_once(host, Stamp::common(time))).flatten()
}

/// `… [error] 1#1: *1 open() "/srv/cgi-bin/x" failed (2: No such file or directory), client: 192.0.2.7, server: x,
/// request: "GET /cgi-bin/x HTTP/1.1", host: "x"`
fn not_found_on_disk<'l>(stamp: Stamp<'l>, rest: Cursor<'l>) -> Option<Failure<'l>> {
    let rest = connection(rest.text(" ")?)?;
    let rest = if rest.text("\"").is_some() { rest } else { rest.word()?.1.text(" ")? };
    let (file, rest) = rest.text("\"")?.word()?;
    let closed = file.len() > 1 && file.ends_with(b"\"");
    let rest = closed.then_some(rest)?.one_of(&[" failed", " is not found"])?;
    let rest = rest.text(" (2: No such file or directory), client: ")?;
    let (host, rest) = host(rest)?;
    let rest = rest.text(", server: ")?.take(|byte| is_dark(byte) && byte != b',').1.text(", request: \"")?;
    let (request, _) = scanned(rest)?.until("\", ")?;
    ends_in_protocol(request).then(|| at_once(host, stamp)).flatten()
}

/// Something after the path, with a space before it.
fn ends_in_protocol(request: &[u8]) -> bool {
    let place = memchr::memrchr(b' ', request);
    let protocol = place.and_then(|place| request.get(place + 1..));
    let path = place.and_then(|place| request.get(..place));
    protocol.is_some_and(|protocol| !protocol.is_empty()) && path.is_some_and(|path| !path.contains(&b','))
}

/// Steps over the method and the beginning of a path that scanners ask for.
fn scanned(rest: Cursor<'_>) -> Option<Cursor<'_>> {
    let path = rest.one_of(&["GET /", "POST /", "HEAD /"])?.optional("/");
    let mail = path.one_of(&["roundcube", "extmail", "mail", "horde", "v-webmail", "vwebmail", "webmail"]);
    let other = || path.one_of(&["wp-login.php", "wp-signup.php", "wp-admin.php", "cgi-bin", "mysqladmin"]);
    let tables = || {
        let below = [path.text("typo3/"), path.text("xampp/"), path.text("admin/"), Some(path)];
        let mut below = below.into_iter().flatten();
        below.find_map(|path| {
            let named = || path.optional("php").one_of(&["MyAdmin", "Myadmin", "myAdmin", "myadmin"]);
            path.text("pma").or_else(named)
        })
    };
    mail.or_else(tables).or_else(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Host;

    #[track_caller]
    fn check(read: fn(&[u8]) -> Option<Failure<'_>>, line: &str, expected: Option<&str>) {
        let found = read(line.as_bytes()).map(|failure| failure.host);
        assert_eq!(found, expected.map(|text| Host::Address(text.parse().unwrap())), "{line}");
    }

    #[test]
    fn failed_sign_ins_are_found_and_user_names_cannot_accuse_others() {
        let line = |user: &str, client: &str| {
            format!(
                "2026/11/21 10:00:00 [error] 12#12: *3 user \"{user}\": password mismatch, client: {client}, \
                 server: example.com, request: \"GET /a HTTP/1.1\", host: \"example.com\""
            )
        };
        check(http_auth, &line("x", "192.0.2.7"), Some("192.0.2.7"));
        check(http_auth, &line("x y", "2001:db8::7"), Some("2001:db8::7"));
        let injected = line(&line("x", "203.0.113.1"), "192.0.2.7");
        check(http_auth, &injected, Some("192.0.2.7"));
        check(
            http_auth,
            &line("x\": password mismatch, client: 203.0.113.1, server: ", "192.0.2.7"),
            Some("192.0.2.7"),
        );
        check(http_auth, &line("x", "192.0.2.7").replace("[error]", "[warn]"), None);
        check(http_auth, &line("x", "192.0.2.7").replace("password mismatch", "is fine"), None);
    }

    #[test]
    fn a_scanners_request_counts_where_it_failed() {
        let line = |request: &str, status: u16| {
            format!("192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"{request}\" {status} 162 \"-\" \"curl\"")
        };
        check(botsearch, &line("GET //phpMyAdmin-2.8/x.php HTTP/1.1", 404), Some("192.0.2.7"));
        check(botsearch, &line("HEAD /wp-login.php HTTP/1.1", 404), Some("192.0.2.7"));
        check(botsearch, &line("GET /wp-login.php HTTP/1.1", 200), None);
        check(botsearch, &line("PUT /wp-login.php HTTP/1.1", 404), None);
        check(botsearch, &line("GET /about HTTP/1.1", 404), None);
        check(botsearch, &line("GET /pma", 404), None);
    }
}
