//! Hexadecimal, base 64, digests, parity.

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};

use super::{hex_pair, replace_at};

/// What to do at a byte that is not of the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// The rest is not decoded; line breaks alone are passed over.
    Ends,
    /// It is passed over, as lenient decoders do (RFC 2045 section 6.8).
    Skipped,
}

/// Base 64 (RFC 4648 section 4), with or without padding.
pub(super) fn base64_decode(value: &[u8], foreign: Foreign, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in value {
        let Some(six) = six_bits(*byte) else {
            if foreign == Foreign::Skipped || matches!(byte, b'\r' | b'\n') {
                continue;
            }
            break;
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(low_byte(bits >> count));
        }
    }
}

pub(super) fn base64_encode(value: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in value.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place) & 0x3f) as usize;
            let letter = if place <= three.len() { ALPHABET.get(six) } else { None };
            out.push(letter.copied().unwrap_or(b'='));
        }
    }
}

const fn six_bits(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Two digits make a byte; what is not a digit counts as ModSecurity counts it, and an odd one at the end is left out.
pub(super) fn hex_decode(value: &[u8], out: &mut Vec<u8>) {
    const fn digit(byte: u8) -> u8 {
        if byte >= b'A' { (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10) } else { byte.wrapping_sub(b'0') }
    }
    out.extend(value.chunks_exact(2).filter_map(|pair| match pair {
        [high, low] => Some(digit(*high).wrapping_mul(16).wrapping_add(digit(*low))),
        _ => None,
    }));
}

pub(super) fn hex_encode(value: &[u8], out: &mut Vec<u8>) {
    const fn digit(four: u8) -> u8 {
        if four < 10 { b'0' + four } else { b'a' + four - 10 }
    }
    for byte in value {
        out.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

/// `0x414243`, as MySQL has it, is ABC; an odd digit at the end stays.
pub(super) fn sql_hex_decode(value: &[u8], out: &mut Vec<u8>) {
    replace_at(b'0', value, out, |from, out| {
        let digits = match from {
            [_, b'x' | b'X', digits @ ..] => digits,
            _ => &[],
        };
        let start = out.len();
        out.extend(digits.chunks_exact(2).map_while(|pair| hex_pair(pair.first(), pair.get(1))));
        match out.len() - start {
            0 => {
                out.push(b'0');
                1
            }
            pairs => 2 + 2 * pairs,
        }
    });
}

/// SHA-1 (FIPS 180-4), 20 bytes: rules compare with it, nothing is protected by it.
pub(super) fn sha1(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, value).as_ref());
}

/// MD5 (RFC 1321), 16 bytes: rules compare with it, nothing is protected by it.
pub(super) fn md5(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&Md5::digest(value));
}

/// The low seven bits, and above them the one that makes the number of set ones even (`odd` is 0) or odd (1).
pub(super) const fn parity(byte: u8, odd: u32) -> u8 {
    let seven = byte & 0x7f;
    if seven.count_ones() % 2 == odd { seven } else { seven | 0x80 }
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
const fn low_byte(bits: u32) -> u8 {
    bits as u8
}
