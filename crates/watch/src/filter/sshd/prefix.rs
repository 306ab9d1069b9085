//! What syslog writes between the time and the message.

use crate::filter::cursor::{Cursor, is_dark, is_space};

/// The part that is the same for every line of a connection, and the message.
pub(super) fn split(rest: &[u8]) -> Option<(&[u8], Cursor<'_>)> {
    let start = Cursor(rest).space();
    let start = verbose(start).unwrap_or(start);
    // The host's name is whatever the first word is, for want of anything better.
    let start = start.word().and_then(|(_, rest)| rest.some_space()).unwrap_or(start);
    let start = kernel(start).unwrap_or(start);
    let start = start.text("@vserver_").and_then(Cursor::word).and_then(|(_, rest)| rest.some_space()).unwrap_or(start);
    let start = daemon(start).unwrap_or(start);
    let start = solaris(start).unwrap_or(start);
    let connection = rest.get(..rest.len() - start.0.len())?;
    let message = start.one_of(&["error: ", "fatal: "]).map_or(start, |rest| rest.optional("PAM: "));
    (!message.0.is_empty()).then_some((connection, message))
}

/// `<auth.info> `
fn verbose(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let (_, rest) = start.text("<")?.some(|byte| byte != b'.' && byte != b'>')?;
    let (_, rest) = rest.text(".")?.some(|byte| byte != b'>')?;
    rest.text(">")?.some_space()
}

/// `kernel: [769570.846956] `
fn kernel(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let rest = start.text("kernel:")?;
    let rest = rest.some(is_space).map_or(rest, |(_, rest)| rest).text("[")?;
    let rest = rest.take(|byte| byte == b' ').1.digits()?.text(".")?.digits()?.text("]")?;
    rest.optional(":").some_space()
}

/// `sshd[812]: `, `[sshd] `, `sshd(pam_unix)[812]: `, `[812]: sshd `; since OpenSSH 9.8 also `sshd-session[812]: `.
fn daemon(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let pid_first = || {
        let rest = pid(start).unwrap_or(start).text(":")?.some_space()?;
        name(rest)?.some_space()
    };
    let name_first = || {
        let rest = name(start)?;
        pid(rest).unwrap_or(rest).optional(":").some_space()
    };
    pid_first().or_else(name_first)
}

fn name(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let start = start.one_of(&["[", "("]).unwrap_or(start);
    let rest = start.one_of(&["sshd-session", "sshd-auth", "sshd"])?;
    let rest = match rest.0.strip_prefix(b"(") {
        Some(inside) => {
            let (word, _) = Cursor(inside).take(is_dark);
            let close = memchr::memrchr(b')', word)?;
            Cursor(inside.get(close + 1..)?)
        }
        None => rest,
    };
    Some(rest.one_of(&["]", ")"]).unwrap_or(rest).optional(":"))
}

fn pid(start: Cursor<'_>) -> Option<Cursor<'_>> {
    start.text("[")?.digits()?.text("]")
}

/// `[ID 800047 auth.info] `
fn solaris(start: Cursor<'_>) -> Option<Cursor<'_>> {
    let (_, rest) = start.text("[ID ")?.digits()?.text(" ")?.some(|byte| is_dark(byte) && byte != b']')?;
    rest.text("]")?.some_space()
}
