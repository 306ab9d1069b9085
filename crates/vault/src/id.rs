//! Numbers that keys and seals are known by. They are no secrets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An installation of Reeve: 128 random bits, made with its root key and bound into everything it seals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationId(pub(crate) [u8; 16]);

/// One seal of the root key: 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealId(pub(crate) [u8; 8]);

/// A text is no id: not the right number of lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of {digits} lower-case hexadecimal digits")]
pub struct IdError {
    digits: usize,
}

macro_rules! as_hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hexadecimal(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                bytes(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

as_hexadecimal!(InstallationId);
as_hexadecimal!(SealId);

/// Lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
    let (pairs, rest) = digits.as_deref().unwrap_or_default().as_chunks();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if !rest.is_empty() {
        return Err(IdError { digits: N * 2 });
    }
    bytes.try_into().map_err(|_| IdError { digits: N * 2 })
}

/// Only lower case: an id has one form, so that two texts are the same id exactly if they are the same text.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<[u8; 8]>) {
        assert_eq!(text.parse::<SealId>().ok().map(|id| id.0), expected);
    }

    #[test]
    fn an_id_has_exactly_one_form() {
        check("00ff10a1b2c3d4e5", Some([0, 255, 16, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5]));
        check("00FF10A1B2C3D4E5", None);
        check("00ff10a1b2c3d4e", None);
        check("00ff10a1b2c3d4e5f6", None);
        check("00ff10a1b2c3d4eg", None);
        check("", None);
        assert_eq!(SealId([0, 255, 16, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5]).to_string(), "00ff10a1b2c3d4e5");
    }
}
