//! When a line says that it was written.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The time of a line, not read yet: most lines are of no interest, and their time neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'l> {
    text: &'l [u8],
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `Nov 21 10:00:00` (RFC 3164 section 4.1.2): no year and no zone.
    Syslog,
    /// `2026-11-21T10:00:00.123456+01:00` (RFC 3339); the zone may be missing.
    Iso,
    /// `2026/11/21 10:00:00`, as nginx writes errors.
    Slashes,
    /// `Sat Nov 21 10:00:00.123456 2026`, as Apache writes errors.
    Ctime,
    /// `21/Nov/2026:10:00:00 +0100`, as both write requests.
    Common,
}

impl<'l> Stamp<'l> {
    /// Takes the time that a line of syslog begins with; the rest begins behind it.
    pub(crate) fn syslog(line: &'l [u8]) -> Option<(Self, &'l [u8])> {
        match line.first()? {
            b'0'..=b'9' => {
                let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
                // A space may stand where others write a T.
                let end = if end == 10 { end + 1 + time_end(line.get(11..)?) } else { end };
                let (text, rest) = line.split_at_checked(end)?;
                let dashes = text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-') && text.len() >= 19;
                dashes.then_some((Self { text, form: Form::Iso }, rest))
            }
            b'A'..=b'Z' => {
                let long = line.get(4) == Some(&b' ') || line.get(5).is_some_and(u8::is_ascii_digit);
                let (text, rest) = line.split_at_checked(if long { 15 } else { 14 })?;
                let colons = text.iter().filter(|byte| **byte == b':').count() == 2;
                let month = text.get(..3).is_some_and(|name| month(name).is_some());
                (colons && month).then_some((Self { text, form: Form::Syslog }, rest))
            }
            _ => None,
        }
    }

    /// Takes the time that a line of nginx's error log begins with.
    pub(crate) fn slashes(line: &'l [u8]) -> Option<(Self, &'l [u8])> {
        let (text, rest) = line.split_at_checked(19)?;
        let slashes = text.get(4) == Some(&b'/') && text.get(7) == Some(&b'/') && text.get(10) == Some(&b' ');
        slashes.then_some((Self { text, form: Form::Slashes }, rest))
    }

    /// The time between the brackets that a line of Apache's error log begins with.
    pub(crate) const fn ctime(text: &'l [u8]) -> Self {
        Self { text, form: Form::Ctime }
    }

    /// The time between the brackets of the common log format.
    pub(crate) const fn common(text: &'l [u8]) -> Self {
        Self { text, form: Form::Common }
    }

    /// How long ago it was; nothing if it cannot be read. What lies ahead, within a day, was just now: clocks differ.
    #[must_use]
    pub fn age(&self, now: Timestamp, zone: &TimeZone) -> Option<Duration> {
        let then = self.read(now, zone)?;
        let age = now.duration_since(then);
        if age < -AHEAD_MAX {
            return None;
        }
        Some(Duration::try_from(age).unwrap_or_default())
    }

    /// The instant. Times without a zone are of `zone`; those without a year are of the last 12 months.
    #[must_use]
    pub fn read(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let text = std::str::from_utf8(self.text).ok()?;
        match self.form {
            Form::Iso => match text.replacen(' ', "T", 1).parse() {
                Ok(instant) => Some(instant),
                Err(_) => local(text.replacen(' ', "T", 1).parse().ok()?, zone),
            },
            Form::Slashes => local(text.replace('/', "-").replacen(' ', "T", 1).parse().ok()?, zone),
            Form::Syslog => yearless(text, now, zone),
            Form::Ctime => ctime(text, zone),
            Form::Common => common(text),
        }
    }
}

/// Where a time of day ends that may have fractions and a zone.
fn time_end(text: &[u8]) -> usize {
    let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b',' | b'+' | b'-' | b'Z');
    text.iter().position(|byte| !part(byte)).unwrap_or(text.len())
}

fn yearless(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let month = month(words.next()?.as_bytes())?;
    let day = words.next()?.parse().ok()?;
    let time: Time = words.next()?.parse().ok()?;
    let year = now.to_zoned(zone.clone()).year();
    // The newest year that does not put it far into the future: on 1 January, 31 December was yesterday. The 29th of
    // February may be the last one.
    (year - 4..=year + 1).rev().find_map(|year| {
        let then = local(DateTime::from_parts(Date::new(year, month, day).ok()?, time), zone)?;
        (then.duration_since(now) <= AHEAD_MAX).then_some(then)
    })
}

fn ctime(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let month = month(words.next()?.as_bytes())?;
    let day = words.next()?.parse().ok()?;
    let time: Time = words.next()?.parse().ok()?;
    let year = words.next()?.parse().ok()?;
    local(DateTime::from_parts(Date::new(year, month, day).ok()?, time), zone)
}

fn common(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once(':')?;
    let (time, offset) = rest.split_once(' ')?;
    let mut parts = date.split('/');
    let day = parts.next()?.parse().ok()?;
    let month = month(parts.next()?.as_bytes())?;
    let year = parts.next()?.parse().ok()?;
    let then = DateTime::from_parts(Date::new(year, month, day).ok()?, time.parse().ok()?);
    let (sign, digits) = offset.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
    let offset = Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()?;
    offset.to_timestamp(then).ok()
}

fn local(then: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(then).compatible().ok().map(|zoned| zoned.timestamp())
}

fn month(name: &[u8]) -> Option<i8> {
    let index = MONTHS.iter().position(|month| month.as_bytes() == name)?;
    i8::try_from(index + 1).ok()
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How far ahead a clock, or a zone that was set wrongly, may be.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stamp: Option<Stamp<'_>>, now: &str, expected: &str) {
        let zone = TimeZone::fixed(Offset::from_seconds(3_600).unwrap());
        let read = stamp.unwrap().read(now.parse().unwrap(), &zone).unwrap();
        assert_eq!(read, expected.parse().unwrap());
    }

    fn syslog(text: &str) -> Option<Stamp<'_>> {
        Stamp::syslog(text.as_bytes()).map(|(stamp, rest)| {
            assert!(rest.is_empty() || rest.starts_with(b" "), "{text}");
            stamp
        })
    }

    const NOW: &str = "2026-11-21T10:00:00Z";

    #[test]
    fn each_form_is_read() {
        check(syslog("Nov 21 10:59:58 host x"), NOW, "2026-11-21T09:59:58Z");
        check(syslog("Nov  1 10:59:58 host x"), NOW, "2026-11-01T09:59:58Z");
        check(syslog("Nov 1 10:59:58 host x"), NOW, "2026-11-01T09:59:58Z");
        check(syslog("2026-11-21T10:59:58.123456+02:00 host"), NOW, "2026-11-21T08:59:58.123456Z");
        check(syslog("2026-11-21T10:59:58Z host"), NOW, "2026-11-21T10:59:58Z");
        check(syslog("2026-11-21 10:59:58 host"), NOW, "2026-11-21T09:59:58Z");
        check(syslog("2026-11-21T10:59:58 host"), NOW, "2026-11-21T09:59:58Z");
        let slashes = Stamp::slashes(b"2026/11/21 10:59:58 [error]").map(|(stamp, _)| stamp);
        check(slashes, NOW, "2026-11-21T09:59:58Z");
        check(Some(Stamp::ctime(b"Sat Nov 21 10:59:58.123456 2026")), NOW, "2026-11-21T09:59:58.123456Z");
        check(Some(Stamp::common(b"21/Nov/2026:10:59:58 -0230")), NOW, "2026-11-21T13:29:58Z");
    }

    #[test]
    fn a_line_without_a_year_is_of_the_last_twelve_months() {
        check(syslog("Dec 31 23:59:59 host"), "2027-01-01T00:00:10Z", "2026-12-31T22:59:59Z");
        check(syslog("Jan  1 00:30:00 host"), "2026-12-31T22:00:00Z", "2026-12-31T23:30:00Z");
        check(syslog("Feb 29 12:00:00 host"), "2026-11-21T10:00:00Z", "2024-02-29T11:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "Foo 21 10:00:00 x", "Nov 21", "20261121T100000Z host", "2026-11-21", "x"] {
            assert_eq!(syslog(text), None, "{text}");
        }
        let zone = TimeZone::UTC;
        let now = NOW.parse().unwrap();
        for text in ["Nov 31 10:00:00 x", "Nov 21 25:00:00 x", "2026-13-21T10:00:00Z x"] {
            assert_eq!(syslog(text).and_then(|stamp| stamp.read(now, &zone)), None, "{text}");
        }
        assert_eq!(Stamp::common(b"21/Nov/2026:10:59:58").read(now, &zone), None);
        assert_eq!(Stamp::common(b"21/Nov/2027:10:59:58 +0000").age(now, &zone), None, "a year ahead");
        assert_eq!(Stamp::common(b"21/Nov/2026:10:59:58 +0000").age(now, &zone), Some(Duration::ZERO));
    }
}
