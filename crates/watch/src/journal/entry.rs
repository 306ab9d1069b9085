//! One entry of a journal, as `journalctl --output=json` writes it.
//!
//! Who wrote an entry is told by fields that begin with `_`: the system adds them and no client can
//! (systemd.journal-fields(7), "Trusted Journal Fields"). What a client says of itself, `SYSLOG_IDENTIFIER` for one, is not
//! asked for: anybody may write to the journal under any name.

use std::borrow::Cow;
use std::io::Write;

use jiff::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Units;
use crate::filter::Kind;

/// What is read of an entry beside its address, which is always there.
pub(super) const FIELDS: [&str; 6] = ["MESSAGE", "_SYSTEMD_UNIT", "_COMM", "_PID", "_UID", "_HOSTNAME"];

/// The programs of a service that say what is looked for. Where there are none, it is said by all of them.
pub(super) const fn programs(kind: Kind) -> &'static [&'static str] {
    match kind {
        // OpenSSH 9.8 made two programs more of the one.
        Kind::Sshd => &["sshd", "sshd-session", "sshd-auth"],
        Kind::NginxHttpAuth | Kind::NginxBotsearch | Kind::ApacheAuth | Kind::ApacheBadbots => &[],
    }
}

/// An entry, with the fields that matter. All of them are text, but a field that stands there twice is a list.
#[derive(Debug, Deserialize)]
pub(super) struct Entry<'e> {
    #[serde(rename = "__CURSOR", borrow, default)]
    cursor: Field<'e>,
    #[serde(rename = "__REALTIME_TIMESTAMP", borrow, default)]
    time: Field<'e>,
    #[serde(rename = "_SYSTEMD_UNIT", borrow, default)]
    unit: Field<'e>,
    #[serde(rename = "_COMM", borrow, default)]
    program: Field<'e>,
    #[serde(rename = "_PID", borrow, default)]
    pid: Field<'e>,
    #[serde(rename = "_UID", borrow, default)]
    uid: Field<'e>,
    #[serde(rename = "_HOSTNAME", borrow, default)]
    host: Field<'e>,
    #[serde(rename = "MESSAGE", borrow, default)]
    message: Field<'e>,
}

/// What an entry comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A line, which the journal took at this time.
    Line(Timestamp),
    /// Nothing that the service in question writes.
    Odd,
}

impl Entry<'_> {
    /// Its address in the journal.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.text()
    }

    /// Writes the line that the program would have written to a file.
    pub(super) fn line(&self, kind: Kind, units: &Units, line: &mut Vec<u8>) -> Read {
        line.clear();
        let Some((time, message)) = self.admitted(kind, units) else { return Read::Odd };
        let headed = match kind {
            Kind::Sshd => self.syslog_head(time, line),
            Kind::NginxHttpAuth | Kind::NginxBotsearch | Kind::ApacheAuth | Kind::ApacheBadbots => Some(()),
        };
        if headed.is_none() {
            return Read::Odd;
        }
        line.extend_from_slice(message);
        Read::Line(time)
    }

    /// When it came and what it says, if it is by whom it should be.
    fn admitted(&self, kind: Kind, units: &Units) -> Option<(Timestamp, &[u8])> {
        if !units.hold(self.unit.text()?) {
            return None;
        }
        let time = Timestamp::from_microsecond(self.time.text()?.parse().ok()?).ok()?;
        let Field::Once(message) = &self.message else { return None };
        // A second line is nothing that these programs write: they escape what comes from outside.
        if message.contains(&b'\n') {
            return None;
        }
        // Shells of users who have signed in may belong to the same unit, and only they are not root.
        let privileged = kind != Kind::Sshd || self.uid.text() == Some("0");
        privileged.then_some((time, message.as_ref()))
    }

    /// `2026-11-21T10:00:00.123456Z web sshd[812]: `
    fn syslog_head(&self, time: Timestamp, line: &mut Vec<u8>) -> Option<()> {
        let program = self.program.text().filter(|name| programs(Kind::Sshd).contains(name))?;
        let pid = self.pid.text().filter(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))?;
        let plain = |host: &&str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        let host = self.host.text().filter(plain).unwrap_or("-");
        write!(line, "{time} {host} {program}[{pid}]: ").ok()
    }
}

/// A field's value.
#[derive(Debug, Default, PartialEq, Eq)]
enum Field<'e> {
    /// It is not there, or it is too long for whoever wrote it down.
    #[default]
    None,
    /// It stands there once. Bytes that are no text come as a list of numbers.
    Once(Cow<'e, [u8]>),
    /// It stands there several times, or is something else.
    Odd,
}

impl Field<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Once(bytes) => std::str::from_utf8(bytes).ok(),
            Self::None | Self::Odd => None,
        }
    }
}

impl<'de: 'e, 'e> Deserialize<'de> for Field<'e> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = Field<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a field of a journal's entry")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Field::Once(Cow::Borrowed(text.as_bytes())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Field::Once(Cow::Owned(text.as_bytes().to_vec())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Field::None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Field::Odd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut bytes = Some(Vec::new());
                while let Some(element) = list.next_element::<Element>()? {
                    match (element, &mut bytes) {
                        (Element::Byte(byte), Some(bytes)) => bytes.push(byte),
                        (Element::Byte(_) | Element::Other, _) => bytes = None,
                    }
                }
                Ok(bytes.map_or(Field::Odd, |bytes| Field::Once(Cow::Owned(bytes))))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// An element of a list.
enum Element {
    Byte(u8),
    Other,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Element;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte, or one of several values")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
                Ok(u8::try_from(number).map_or(Element::Other, Element::Byte))
            }

            fn visit_str<E>(self, _: &str) -> Result<Element, E> {
                Ok(Element::Other)
            }

            fn visit_unit<E>(self) -> Result<Element, E> {
                Ok(Element::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Element::Other)
            }
        }
        deserializer.deserialize_any(One)
    }
}
