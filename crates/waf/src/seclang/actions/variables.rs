//! Actions that write to collections.

use crate::rule::{Assignment, Change, Collection, Effect, Text};
use crate::seclang::text;
use crate::seclang::wrong::{Wrong, show};

/// `setvar`: `tx.a`, `tx.a=1`, `tx.a=+1`, `tx.a=-1`, `!tx.a`.
pub(super) fn assignment(value: &[u8]) -> Result<Effect, Wrong> {
    if let Some(name) = value.strip_prefix(b"!") {
        let (collection, key) = member(name)?;
        return Ok(Effect::Set(Assignment { collection, key, change: Change::Unset }));
    }
    let (name, value) = halves(value);
    let (collection, key) = member(name)?;
    let change = match value {
        None => Change::Set(Text::plain(b"1")),
        Some([b'+', number @ ..]) => Change::Add(text::read(number)?),
        Some([b'-', number @ ..]) => Change::Subtract(text::read(number)?),
        Some(value) => Change::Set(text::read(value)?),
    };
    Ok(Effect::Set(Assignment { collection, key, change }))
}

/// `setenv`: `name`, `name=value`, `!name`.
pub(super) fn environment(value: &[u8]) -> Result<Effect, Wrong> {
    let (name, change) = match value {
        [b'!', name @ ..] => (name, Change::Unset),
        _ => match halves(value) {
            (name, Some(value)) => (name, Change::Set(text::read(value)?)),
            (name, None) => (name, Change::Set(Text::plain(b"1"))),
        },
    };
    let key = key(name)?;
    Ok(Effect::Set(Assignment { collection: Collection::Env, key, change }))
}

/// `expirevar`: `ip.a=60`.
pub(super) fn expiry(value: &[u8]) -> Result<Effect, Wrong> {
    let (name, Some(seconds)) = halves(value) else {
        return Err(Wrong::new("`expirevar` without seconds").help("as in `expirevar:ip.counter=60`"));
    };
    let (collection, key) = member(name)?;
    let seconds = text::read(seconds)?;
    let plain = seconds.as_plain().map(|digits| str::from_utf8(digits).unwrap_or_default().parse::<u32>());
    if let Some(Err(_)) = plain {
        return Err(Wrong::new(format!("`{}` are no seconds", show(&text::write(&seconds)))));
    }
    Ok(Effect::Expire { collection, key, seconds })
}

/// `initcol`: `ip=%{REMOTE_ADDR}`.
pub(super) fn opening(value: &[u8]) -> Result<Effect, Wrong> {
    let (name, Some(key)) = halves(value) else {
        return Err(Wrong::new("`initcol` without a key").help("as in `initcol:ip=%{REMOTE_ADDR}`"));
    };
    let collection = collection(name)?;
    if matches!(collection, Collection::Tx | Collection::Env) {
        return Err(Wrong::new(format!("`{}` needs no `initcol`", show(name))).help("leave it out"));
    }
    Ok(Effect::Open { collection, key: self::key(key)? })
}

/// `setuid`, `setsid`, `setrsc`: whose the transaction is.
pub(super) fn owner(name: &str, value: &[u8]) -> Result<Effect, Wrong> {
    let collection = match name {
        "setuid" => Collection::User,
        "setsid" => Collection::Session,
        _ => Collection::Resource,
    };
    Ok(Effect::Open { collection, key: key(value)? })
}

/// Before and after the first `=` that stands outside of `%{...}`.
fn halves(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let equals = memchr::memchr(b'=', text);
    (text.get(..equals.unwrap_or(text.len())).unwrap_or_default(), equals.and_then(|at| text.get(at + 1..)))
}

/// `collection.key`
fn member(name: &[u8]) -> Result<(Collection, Text), Wrong> {
    let Some(dot) = memchr::memchr(b'.', name) else {
        return Err(Wrong::new(format!("`{}` names no member of a collection", show(name))).help("as in `tx.name`"));
    };
    let collection = collection(name.get(..dot).unwrap_or_default())?;
    Ok((collection, key(name.get(dot + 1..).unwrap_or_default())?))
}

fn key(name: &[u8]) -> Result<Text, Wrong> {
    match name.trim_ascii() {
        [] => Err(Wrong::new("the name of the member is empty")),
        name => text::read(name),
    }
}

fn collection(name: &[u8]) -> Result<Collection, Wrong> {
    let name = name.trim_ascii();
    let known = COLLECTIONS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    let names = COLLECTIONS.iter().map(|(name, _)| *name);
    known.map(|(_, collection)| *collection).ok_or_else(|| Wrong::unknown("collection", name, names))
}

const COLLECTIONS: &[(&str, Collection)] = &[
    ("tx", Collection::Tx),
    ("env", Collection::Env),
    ("global", Collection::Global),
    ("ip", Collection::Ip),
    ("resource", Collection::Resource),
    ("session", Collection::Session),
    ("user", Collection::User),
];
