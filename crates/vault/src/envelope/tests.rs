//! The form of sealed values, tried bit by bit.

use proptest::prelude::*;
use reeve_base::SystemEntropy;

use super::*;
use crate::locked::Key;

const INSTALLATION: InstallationId = InstallationId([7; 16]);
const HEADER: Header = Header { purpose: 3, installation: INSTALLATION, version: 0x0102_0304 };

fn key(byte: u8) -> LessSafeKey {
    Key::new(&[byte; 32]).unwrap().derive_aead(INSTALLATION, "test").unwrap()
}

fn sealed(context: &[u8], plain: &[u8]) -> Vec<u8> {
    seal(&key(1), HEADER, context, plain, &SystemEntropy).unwrap()
}

#[test]
fn the_header_is_what_the_format_says() {
    let sealed = sealed(b"here", b"plain");
    assert_eq!(sealed[..6], *b"RVW1\x02\x03");
    assert_eq!(sealed[6..22], [7; 16]);
    assert_eq!(sealed[22..26], [1, 2, 3, 4]);
    assert_eq!(sealed.len(), OVERHEAD_BYTES + 5);
    assert_eq!(read(&sealed).unwrap().0, HEADER);
}

#[test]
fn no_flipped_bit_and_no_cut_opens() {
    let whole = sealed(b"here", b"a value that is kept");
    assert_eq!(open(&key(1), b"here", &whole).unwrap().expose(), b"a value that is kept");
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&key(1), b"here", &flipped).is_none(), "bit {bit}");
    }
    for length in 0..whole.len() {
        assert!(open(&key(1), b"here", &whole[..length]).is_none(), "cut to {length}");
    }
    let longer = [whole.as_slice(), b"\0"].concat();
    assert!(open(&key(1), b"here", &longer).is_none());
}

#[test]
fn another_key_or_context_does_not_open() {
    let sealed = sealed(b"table/7", b"plain");
    for context in [b"table/8".as_slice(), b"table/", b"table/70", b""] {
        assert!(open(&key(1), context, &sealed).is_none());
    }
    assert!(open(&key(2), b"table/7", &sealed).is_none());
}

#[test]
fn the_same_value_never_looks_the_same() {
    assert_ne!(sealed(b"here", b"plain"), sealed(b"here", b"plain"));
}

#[test]
fn what_is_too_long_for_one_piece_is_refused() {
    let most = vec![0; PLAIN_BYTES_MAX];
    assert!(seal(&key(1), HEADER, b"", &most, &SystemEntropy).is_ok());
    let more = vec![0; PLAIN_BYTES_MAX + 1];
    assert!(matches!(seal(&key(1), HEADER, b"", &more, &SystemEntropy), Err(EnvelopeError::TooLong)));
}

proptest! {
    #[test]
    fn what_was_sealed_opens(plain: Vec<u8>, context: Vec<u8>, purpose: u8, version: u32) {
        let header = Header { purpose, installation: INSTALLATION, version };
        let sealed = seal(&key(1), header, &context, &plain, &SystemEntropy).unwrap();
        let opened = open(&key(1), &context, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plain);
        prop_assert_eq!(read(&sealed).unwrap().0, header);
    }

    #[test]
    fn foreign_bytes_do_not_open(bytes: Vec<u8>, context: Vec<u8>) {
        prop_assert!(open(&key(1), &context, &bytes).is_none());
        let dressed = [b"RVW1\x02".as_slice(), &bytes].concat();
        prop_assert!(open(&key(1), &context, &dressed).is_none());
    }

    #[test]
    fn no_two_rows_of_parts_read_the_same(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>) {
        let [joined_one, joined_other] = [&one, &other].map(|parts| {
            let mut bytes = Vec::new();
            parts.iter().for_each(|part| append(&mut bytes, part));
            bytes
        });
        prop_assert_eq!(one == other, joined_one == joined_other);
    }
}
