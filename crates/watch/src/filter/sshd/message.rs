//! What sshd says, by how the message begins.

use super::{Last, Said, Weight};
use crate::filter::Host;
use crate::filter::cursor::{Cursor, is_dark, is_space};
use crate::filter::host::host;

/// What the message says of its connection, if it is one that matters.
pub(super) fn read(message: Cursor<'_>) -> Option<Said<'_>> {
    // Most lines are told apart by their first letter.
    match message.0.first()? {
        b'F' => failed(message.text("Failed ")?),
        b'A' | b'a' => authentication(message).or_else(|| accepted(message)),
        b'I' | b'i' => invalid_user(message),
        b'C' => connection(message),
        b'D' => disconnecting(message).or_else(|| closed(message)),
        b'R' => received(message).or_else(|| root_refused(message)),
        b'U' => user(message),
        b'p' => pam(message),
        b'm' => too_many(message),
        b'r' => refused(message),
        _ => None,
    }
}

fn failure(host: Host, user: Option<&[u8]>) -> Said<'_> {
    Said { host: Some(host), user, ..Said::default() }
}

/// `Failed password for invalid user x from 192.0.2.7 port 40022 ssh2`, and behind a colon what was offered.
fn failed(rest: Cursor<'_>) -> Option<Said<'_>> {
    let (method, rest) = rest.word()?;
    let rest = rest.text(" for ")?;
    if rest.text("invalid user ").is_some() && is_ambiguous(rest) {
        return None;
    }
    let invalid = rest.text("invalid user ").and_then(|rest| one_word(rest).or_else(|| first_from(rest)));
    // A key that is not known is no failure yet, unless it is certain that the user is not known either.
    let unknown_key = method == b"publickey" && invalid.is_none();
    let weight = if unknown_key { Weight::Perhaps } else { Weight::Failure };
    let (user, host) = invalid.or_else(|| one_word(rest)).or_else(|| last_from(rest))?;
    Some(Said { weight, ..failure(host, Some(user)) })
}

/// Whether two addresses stand where sshd may have written its own: one is part of a name that nobody here has, the name
/// of the user or that of a key, and it cannot be told which. Then nobody is accused: sshd says elsewhere, where it can
/// be told, that the user is not known. Users that are known have names without spaces.
fn is_ambiguous(rest: Cursor<'_>) -> bool {
    let written = rest.each(" from ").filter(|(_, rest)| {
        let Some((_, rest)) = host(*rest) else { return false };
        let rest = protocol(port(rest));
        rest.text(": ").is_some() || rest.is_blank()
    });
    written.count() > 1
}

/// A user without spaces, and something behind a colon at the end.
fn one_word(rest: Cursor<'_>) -> Option<(&[u8], Host)> {
    let (user, rest) = rest.word()?;
    let (host, rest) = host(rest.text(" from ")?)?;
    // Perhaps with ports, perhaps with a protocol; the colon decides.
    [rest, port(rest), protocol(port(rest)), protocol(rest)]
        .into_iter()
        .any(|rest| rest.text(": ").is_some())
        .then_some((user, host))
}

/// Any user, if there is but one ` from `.
fn first_from(rest: Cursor<'_>) -> Option<(&[u8], Host)> {
    let (user, rest) = rest.until(" from ")?;
    let (host, rest) = host(rest)?;
    (!rest.holds(" from ")).then_some((user, host))
}

/// Any user without a colon, before the last ` from `.
fn last_from(rest: Cursor<'_>) -> Option<(&[u8], Host)> {
    let (user, rest) = rest.until_last(" from ")?;
    let (host, _) = host(rest)?;
    (!user.is_empty() && !user.contains(&b':')).then_some((user, host))
}

/// `Authentication failure for x from 192.0.2.7 via 192.0.2.1`
fn authentication(message: Cursor<'_>) -> Option<Said<'_>> {
    let rest = message.one_of(&["Authentication ", "authentication "])?;
    let rest = rest.one_of(&["failure for ", "error for ", "failed for "])?;
    rest.each(" from ").rev().find_map(|(user, rest)| {
        let (host, rest) = host(rest)?;
        let via = rest.text(" via ").and_then(Cursor::word).map(|(_, rest)| rest);
        let ends = via.is_some_and(is_suffix) || is_suffix(rest);
        ends.then(|| failure(host, Some(user)))
    })
}

/// `Accepted publickey for x from 192.0.2.7 port 40022 ssh2: …`
fn accepted(message: Cursor<'_>) -> Option<Said<'_>> {
    let (_, rest) = message.text("Accepted ")?.some(|byte| byte.is_ascii_alphanumeric() || byte == b'_')?;
    let (user, rest) = rest.text(" for ")?.word()?;
    let (host, rest) = host(rest.text(" from ")?)?;
    let ends = rest.0.first().is_none_or(|byte| is_space(*byte));
    ends.then(|| Said { weight: Weight::SignedIn, last: Last::Yes, ..failure(host, Some(user)) })
}

/// `Invalid user x from 192.0.2.7 port 40022`
fn invalid_user(message: Cursor<'_>) -> Option<Said<'_>> {
    let rest = message.one_of(&["Invalid user ", "invalid user ", "Illegal user ", "illegal user "])?;
    rest.each(" from ").rev().find_map(|(user, rest)| {
        let (host, rest) = host(rest)?;
        is_suffix(rest).then(|| failure(host, Some(user)))
    })
}

/// `Connection from …`, `Connection closed by …`, `Connection reset by …`
fn connection(message: Cursor<'_>) -> Option<Said<'_>> {
    match message.text("Connection from ") {
        Some(rest) => host(rest).map(|(host, _)| Said { weight: Weight::Perhaps, ..failure(host, None) }),
        None => closed(message),
    }
}

/// `Connection closed by authenticating user x 192.0.2.7 port 40022 [preauth]`, `Disconnected from …`
fn closed(message: Cursor<'_>) -> Option<Said<'_>> {
    let rest = message.one_of(&["Connection closed ", "Connection reset ", "Disconnected "])?;
    let rest = rest.one_of(&["by", "from"])?;
    let said = |user, host| Said { weight: Weight::Perhaps, last: Last::Yes, ..failure(host, user) };
    if let Some(named) = rest.one_of(&[" invalid user ", " authenticating user "]) {
        let ends = |(user, rest): (_, _)| {
            let (host, rest) = host(rest)?;
            is_suffix(rest).then_some((user, host))
        };
        // The last address is sshd's own; one before it may be part of the user's name.
        let addressed = named.each(" ").rev().filter_map(ends).find(|(_, host)| matches!(host, Host::Address(_)));
        if let Some((user, host)) = addressed.or_else(|| named.each(" ").find_map(ends)) {
            return Some(said(Some(user), host));
        }
    }
    let (host, rest) = host(rest.text(" ")?)?;
    is_suffix(rest).then(|| said(None, host))
}

/// `Disconnecting: Too many authentication failures for x [preauth]`, `Disconnecting invalid user x 192.0.2.7 port
/// 40022: Change of username or service not allowed: …`
fn disconnecting(message: Cursor<'_>) -> Option<Said<'_>> {
    let rest = message.text("Disconnecting")?;
    if let Some(rest) = rest.text(": Too many authentication failures") {
        if is_suffix(rest) {
            return Some(Said::default());
        }
        let named = rest.text(" for ")?;
        if let Some((user, rest)) = named.word()
            && is_suffix(rest)
        {
            return Some(Said { user: Some(user), ..Said::default() });
        }
        // A user name with spaces: it ends where nothing but the usual end is left.
        let user = ends(named).find(|(_, rest)| is_suffix(*rest)).map_or(named.0, |(user, _)| user);
        return Some(Said { user: Some(user), ..Said::default() });
    }
    let rest = rest.optional(" from").one_of(&[" invalid user ", " authenticating user "])?;
    let (user, rest) = rest.word()?;
    let (host, rest) = host(rest.text(" ")?)?;
    let rest = port(rest).text(":")?.space().text("Change of username or service not allowed:")?;
    let closed = rest.0.trim_ascii_end().ends_with(b"[preauth]");
    closed.then(|| Said { last: Last::Yes, ..failure(host, Some(user)) })
}

/// Every place where a word ends.
fn ends(text: Cursor<'_>) -> impl Iterator<Item = (&[u8], Cursor<'_>)> {
    text.each(" ").map(move |(before, _)| (before, Cursor(text.0.get(before.len()..).unwrap_or_default())))
}

/// `Received disconnect from 192.0.2.7 port 40022:11: Bye Bye [preauth]`; number 3 with `Auth fail` is a failure by
/// itself.
fn received(message: Cursor<'_>) -> Option<Said<'_>> {
    let (host, rest) = host(message.text("Received disconnect from ")?)?;
    let rest = port(rest).text(":")?.space();
    if let Some(why) = rest.text("3: ") {
        let fails = why.each(": Auth fail").any(|(_, rest)| is_suffix(rest));
        return fails.then(|| Said { last: Last::Yes, ..failure(host, None) });
    }
    rest.text("11:")?;
    Some(Said { weight: Weight::Perhaps, last: Last::Yes, ..failure(host, None) })
}

/// `ROOT LOGIN REFUSED FROM 192.0.2.7`
fn root_refused(message: Cursor<'_>) -> Option<Said<'_>> {
    let (host, _) = host(message.text("ROOT LOGIN REFUSED FROM ")?)?;
    Some(failure(host, Some(b"ROOT")))
}

/// `User x from 192.0.2.7 not allowed because …`, `User not known to …`
fn user(message: Cursor<'_>) -> Option<Said<'_>> {
    if let Some(rest) = message.text("User not known to the underlying authentication module for ") {
        return rest.each(" from ").rev().find_map(|(user, rest)| {
            let (host, rest) = host(rest)?;
            is_suffix(rest).then(|| failure(host, Some(user)))
        });
    }
    let rest = message.text("User ")?;
    let refused = rest.each(" from ").rev().find_map(|(user, rest)| {
        let (host, rest) = host(rest)?;
        let rest = rest.text(" not allowed because ")?.one_of(&NOT_ALLOWED)?;
        is_suffix(rest).then(|| failure(host, Some(user)))
    });
    refused.or_else(|| {
        let (user, _) = rest.until(" not allowed because account is locked")?;
        Some(Said { user: Some(user), ..Said::default() })
    })
}

const NOT_ALLOWED: [&str; 5] = [
    "not listed in AllowUsers",
    "listed in DenyUsers",
    "not in any group",
    "a group is listed in DenyGroups",
    "none of user's groups are listed in AllowGroups",
];

/// `pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root`
fn pam(message: Cursor<'_>) -> Option<Said<'_>> {
    let (_, rest) = message.text("pam_")?.some(|byte| byte.is_ascii_lowercase())?;
    let mut rest = rest.text("(sshd:auth):")?.some_space()?.text("authentication failure;")?;
    for _ in 0..PAM_FIELDS_MAX {
        let next = rest.some_space().and_then(|rest| rest.one_of(&["logname=", "euid=", "uid=", "tty="]));
        let Some(next) = next else { break };
        rest = next.take(is_dark).1;
    }
    let (asked, rest) = rest.some_space()?.text("ruser=")?.take(is_dark);
    let (host, rest) = host(rest.some_space()?.text("rhost=")?)?;
    let named = rest.some_space().and_then(|rest| rest.text("user=")).map(|rest| rest.take(is_dark));
    let (user, rest) = named.unwrap_or((asked, rest));
    let user = if user.is_empty() { asked } else { user };
    let user = (!user.is_empty()).then_some(user);
    is_suffix(rest).then(|| Said { weight: Weight::Perhaps, ..failure(host, user) })
}

const PAM_FIELDS_MAX: usize = 4;

/// `maximum authentication attempts exceeded for x from 192.0.2.7 port 40022 ssh2 [preauth]`
fn too_many(message: Cursor<'_>) -> Option<Said<'_>> {
    let rest = message.text("maximum authentication attempts exceeded for ")?;
    rest.each(" from ").rev().find_map(|(user, rest)| {
        let (host, rest) = host(rest)?;
        let ends = is_suffix(protocol(port(rest))) || is_suffix(rest);
        ends.then(|| failure(host, Some(user)))
    })
}

/// `refused connect from x@y (192.0.2.7)`
fn refused(message: Cursor<'_>) -> Option<Said<'_>> {
    let (_, rest) = message.text("refused connect from ")?.word()?;
    let (host, rest) = host(rest.text(" (")?)?;
    rest.text(")")?;
    Some(failure(host, None))
}

/// ` port 40022`, ` on x`, at most two of them.
fn port(rest: Cursor<'_>) -> Cursor<'_> {
    one_port(one_port(rest))
}

fn one_port(rest: Cursor<'_>) -> Cursor<'_> {
    let numbered = || rest.text(" port ").and_then(Cursor::digits);
    // What stands behind a colon is no part of it.
    let on = || rest.text(" on ")?.some(|byte| is_dark(byte) && byte != b':').map(|(_, rest)| rest);
    numbered().or_else(on).unwrap_or(rest)
}

/// ` ssh2`
fn protocol(rest: Cursor<'_>) -> Cursor<'_> {
    rest.text(" ssh").map_or(rest, |rest| rest.take(|byte| byte.is_ascii_digit()).1)
}

/// Whether what is left is how messages end: at most three of ` port 40022`, ` on x` and ` [preauth]`, and white space.
fn is_suffix(rest: Cursor<'_>) -> bool {
    let mut rest = rest;
    for _ in 0..SUFFIXES_MAX {
        let numbered = || rest.text(" port ").and_then(Cursor::digits);
        let on = || rest.text(" on ").and_then(Cursor::word).map(|(_, rest)| rest);
        match rest.text(" [preauth]").or_else(numbered).or_else(on) {
            Some(next) => rest = next,
            None => break,
        }
    }
    rest.is_blank()
}

const SUFFIXES_MAX: usize = 3;
