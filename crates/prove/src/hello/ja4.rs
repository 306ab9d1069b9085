//! JA4 of a ClientHello that a probe made (<https://github.com/FoxIO-LLC/ja4>, `technical_details/JA4.md`).
//!
//! Written from the specification, and for hellos of [`super::offer`] only: one record, sound lengths, no GREASE.

use crate::tlog::hexadecimal;

/// The fingerprint of one record with one ClientHello in it; none if it is not made as [`super::offer`] makes them.
pub(crate) fn ja4(record: &[u8]) -> Option<String> {
    // Record header, message header, version, random.
    let legacy = word(record, 9)?;
    let session = usize::from(*record.get(43)?);
    let (ciphers, after) = words(record, 44 + session)?;
    let compressions = usize::from(*record.get(after)?);
    let mut at = after + 1 + compressions + 2;
    let (mut kinds, mut signatures, mut version, mut alpn) = (Vec::new(), Vec::new(), legacy, String::from("00"));
    while at < record.len() {
        let (kind, length) = (word(record, at)?, usize::from(word(record, at + 2)?));
        let content = record.get(at + 4..at + 4 + length)?;
        match kind {
            13 => signatures = words(content, 0)?.0,
            16 => {
                let first = content.get(3..3 + usize::from(*content.get(2)?))?;
                alpn = [first.first()?, first.last()?].map(|byte| char::from(*byte)).iter().collect();
            }
            43 => version = word(content, 1)?,
            _ => {}
        }
        kinds.push(kind);
        at += 4 + length;
    }
    let number = match version {
        772 => "13",
        771 => "12",
        _ => "10",
    };
    let name = if kinds.contains(&0) { "d" } else { "i" };
    let counts = format!("{:02}{:02}", ciphers.len().min(99), kinds.len().min(99));
    let sorted = |mut codes: Vec<u16>| {
        codes.sort_unstable();
        codes
    };
    let rest = sorted(kinds.into_iter().filter(|kind| *kind != 0 && *kind != 16).collect());
    let rest = format!("{}_{}", commas(&rest), commas(&signatures));
    Some(format!("t{number}{name}{counts}{alpn}_{}_{}", short(&commas(&sorted(ciphers))), short(&rest)))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The list of numbers behind a length of two bytes, and where it ends.
fn words(bytes: &[u8], at: usize) -> Option<(Vec<u16>, usize)> {
    let end = at + 2 + usize::from(word(bytes, at)?);
    let list = bytes.get(at + 2..end)?;
    Some(((0..list.len() / 2).filter_map(|index| word(list, 2 * index)).collect(), end))
}

fn commas(codes: &[u16]) -> String {
    codes.iter().map(|code| format!("{code:04x}")).collect::<Vec<_>>().join(",")
}

fn short(text: &str) -> String {
    hexadecimal(text.as_bytes()).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hello::Version;
    use crate::hello::offer::{Offer, RANDOM_BYTES};

    #[test]
    fn a_hello_of_ours_has_the_fingerprint_that_is_worked_out_by_hand() {
        let offer = Offer {
            version: Version::Tls13,
            suites: &[0x1303, 0x1301],
            server_name: Some("a.test"),
            random: [7; RANDOM_BYTES],
        };
        let print = ja4(&offer.encode()).unwrap();
        // SHA-256 of "1301,1303".
        let ciphers = short("1301,1303");
        assert!(print.starts_with("t13d02") && print.contains(&format!("_{ciphers}_")), "{print}");
        let bare = Offer { server_name: None, ..offer };
        assert!(ja4(&bare.encode()).unwrap().starts_with("t13i02"));
        assert_eq!(ja4(&bare.encode()[..60]), None);
    }
}
