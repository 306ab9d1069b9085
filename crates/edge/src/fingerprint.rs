//! What a client is known by without saying so: how it shakes hands, and how it orders its header fields.
//!
//! The handshake's fingerprint is JA4 (<https://github.com/FoxIO-LLC/ja4>, the client's part, under the BSD licence):
//! worked out once for each connection, from the bytes of its ClientHello. That of the header order is Reeve's own
//! ([`HeaderOrder`]): worked out for each request, and it allocates nothing.

mod hello;
mod order;
mod tape;

pub use hello::ja4;
pub(crate) use order::HeaderOrder;
pub use order::NameHash;
pub(crate) use tape::Tape;

/// Whether a text has the form of a fingerprint: of a handshake as JA4 writes it, or of a header order.
#[must_use]
pub fn is_fingerprint(text: &str) -> bool {
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(facts), Some(ciphers), Some(extensions), None) => {
            facts.len() == 10 && facts.starts_with('t') && facts.is_ascii() && hex(ciphers, 12) && hex(extensions, 12)
        }
        (Some(facts), Some(names), None, None) => {
            facts.len() == 6 && facts.bytes().all(|byte| byte.is_ascii_alphanumeric()) && hex(names, 16)
        }
        _ => false,
    }
}

/// Whether a fingerprint is that of a handshake, and not of a header order, which begins with a digit.
pub(crate) fn is_handshake(fingerprint: &str) -> bool {
    fingerprint.starts_with('t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_known_by_their_form() {
        for sound in
            ["t13d1516h2_8daaf6152771_e5627efa2ab1", "t13i000000_000000000000_000000000000", "11ge07_0123456789abcdef"]
        {
            assert!(is_fingerprint(sound), "{sound}");
        }
        for wrong in
            ["", "t13d1516h2", "t13d1516h2_8daaf6152771", "q13d1516h2_8daaf6152771_e5627efa2ab1", "11ge07_0123"]
        {
            assert!(!is_fingerprint(wrong), "{wrong}");
        }
    }
}
