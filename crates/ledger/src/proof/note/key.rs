//! Keys that sign notes, and the text form of their public halves.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reeve_base::Secret;

use super::{Signature, is_name};
use crate::proof::cosignature;
use crate::proof::hash::sha256_of;

/// The length of an Ed25519 private key in bytes (RFC 8032, section 5.1.5).
pub const SEED_BYTES: usize = 32;

/// How a key signs. Only Ed25519 is known here; signatures of other kinds are kept and say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519 over the text: a log's own signature.
    Ed25519,
    /// Ed25519 over a time and the text: a witness's `cosignature/v1`.
    Cosignature,
}

/// The public half of a key, under its name: `<name>+<id in hex>+<base64 of algorithm and key>`.
///
/// Its parts cannot contradict each other: a text whose id is not that of its name and key is refused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    algorithm: Algorithm,
    key: [u8; 32],
}

/// The key of a log. It signs whatever it is given: that no two of its checkpoints contradict each other is the
/// writer's to see to.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: VerifierKey,
}

/// Why something is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `<name>+<id>+<base64>`, or an algorithm that is not known here.
    #[error("`{0}` is not a verifier key (`name+1a2b3c4d+AQ…` of an Ed25519 key)")]
    Malformed(String),
    /// Its id is not the one that name and key give.
    #[error("the verifier key of `{0}` was altered: its id is not that of its name and key")]
    WrongId(String),
    /// Empty, or with a space or a plus in it.
    #[error("`{0}` cannot be a key's name: it must not be empty and have neither spaces nor `+`")]
    Name(String),
    /// The private key is not one.
    #[error("the private key of `{0}` is not an Ed25519 key")]
    Private(String),
}

impl Algorithm {
    /// Its byte in ids and keys (c2sp.org/signed-note, "Signature types").
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ed25519),
            4 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

impl VerifierKey {
    /// The key under a name.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, algorithm: Algorithm, key: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let hash = sha256_of(&[name.as_bytes(), b"\n", &[algorithm.byte()], &key]);
        let id = hash.0.first_chunk().copied().unwrap_or_default();
        Ok(Self { name: name.to_owned(), id, algorithm, key })
    }

    /// Whose it is. For a log that is its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256 over name, newline, algorithm and key.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature says that it was made with this key.
    #[must_use]
    pub fn made(&self, signature: &Signature) -> bool {
        self.id == signature.id && self.name == signature.name
    }

    /// Verifies a signature over `text`: the time that it bears, if its kind bears one. None if it is wrong.
    pub(super) fn verify(&self, text: &str, signature: &Signature) -> Option<Option<u64>> {
        match self.algorithm {
            Algorithm::Ed25519 => self.holds(text.as_bytes(), &signature.bytes).then_some(None),
            Algorithm::Cosignature => {
                let (time, bytes) = cosignature::split(&signature.bytes)?;
                self.holds(cosignature::message(time, text).as_bytes(), bytes).then_some(Some(time))
            }
        }
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(message, signature).is_ok()
    }
}

impl Signer {
    /// From the private key of [`SEED_BYTES`] bytes that RFC 8032 calls the secret.
    ///
    /// # Errors
    /// When the name cannot be a key's.
    pub fn from_seed(name: &str, seed: &Secret<[u8; SEED_BYTES]>) -> Result<Self, KeyError> {
        let (pair, public) = pair_from_seed(name, Algorithm::Ed25519, seed)?;
        Ok(Self { pair, public })
    }

    /// Its public half, to be given to everyone who verifies.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// Signs a text.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        let bytes = self.pair.sign(text.as_bytes()).as_ref().to_vec();
        Signature { name: self.public.name.clone(), id: self.public.id, bytes }
    }
}

/// A key pair and its public half under a name.
pub(in crate::proof) fn pair_from_seed(
    name: &str,
    algorithm: Algorithm,
    seed: &Secret<[u8; SEED_BYTES]>,
) -> Result<(Ed25519KeyPair, VerifierKey), KeyError> {
    // "Unchecked" is only that no public key came along to compare with.
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyError::Private(name.to_owned()))?;
    let key = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private(name.to_owned()))?;
    let public = VerifierKey::new(name, algorithm, key)?;
    Ok((pair, public))
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let mut bytes = vec![self.algorithm.byte()];
        bytes.extend(self.key);
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed(text.to_owned());
        // The base64 may contain a plus, the name and the id may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let bytes = STANDARD.decode(key).map_err(|_| malformed())?;
        let (algorithm, key) = bytes.split_first().ok_or_else(malformed)?;
        let algorithm = Algorithm::from_byte(*algorithm).ok_or_else(malformed)?;
        let key = Self::new(name, algorithm, key.try_into().map_err(|_| malformed())?)?;
        if id == format!("{:08x}", u32::from_be_bytes(key.id)) {
            Ok(key)
        } else {
            Err(KeyError::WrongId(name.to_owned()))
        }
    }
}
