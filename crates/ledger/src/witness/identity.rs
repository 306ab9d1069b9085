//! The witness's own key, as a file.
//!
//! A witness stands on another host than the log, so that nobody who rules the log's host rules both. It therefore has
//! no vault to lean on and keeps its key in its own folder, readable for its owner only. The form is the one that
//! x/mod/sumdb/note prints for private keys: `PRIVATE+KEY+<name>+<id in hex>+<base64 of algorithm and seed>`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reeve_base::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::proof::cosignature::CosigningKey;
use crate::proof::note::{KeyError, SEED_BYTES};

/// Why the key's file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is a memory, and no key.
    #[error("it is missing; bring it back, or begin as a new witness in an empty folder and give the logs its new key")]
    Missing,
    /// Not the file that is written here.
    #[error("it is damaged; bring it back, or begin as a new witness in an empty folder and give the logs its new key")]
    Malformed,
    /// It was made under another name.
    #[error("it is that of the witness `{0}`; start with that name")]
    Name(String),
    /// The name cannot be a key's.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No randomness to make one from.
    #[error("{0}")]
    Entropy(String),
}

/// Makes a key, and the text to keep it as.
pub(super) fn make(name: &str, entropy: &dyn Entropy) -> Result<(CosigningKey, Secret<String>), IdentityError> {
    let mut bytes = Zeroizing::new([0; SEED_BYTES]);
    entropy.fill(&mut *bytes).map_err(|error| IdentityError::Entropy(error.to_string()))?;
    let key = CosigningKey::from_seed(name, &Secret::new(*bytes))?;
    let mut typed = Zeroizing::new(vec![COSIGNATURE]);
    typed.extend_from_slice(&*bytes);
    let encoded = Zeroizing::new(STANDARD.encode(&*typed));
    let id = u32::from_be_bytes(key.verifier_key().id());
    let text = format!("{PREFIX}{name}+{id:08x}+{}\n", *encoded);
    Ok((key, Secret::new(text)))
}

/// Reads what [`make`] printed for a witness of this name.
pub(super) fn read(file: &[u8], name: &str) -> Result<CosigningKey, IdentityError> {
    let text = std::str::from_utf8(file).map_err(|_| IdentityError::Malformed)?;
    let rest = text.trim_end().strip_prefix(PREFIX).ok_or(IdentityError::Malformed)?;
    let mut parts = rest.splitn(3, '+');
    let (Some(named), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(IdentityError::Malformed);
    };
    if named != name {
        return Err(IdentityError::Name(named.to_owned()));
    }
    let typed = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| IdentityError::Malformed)?);
    let Some((&COSIGNATURE, seed)) = typed.split_first() else { return Err(IdentityError::Malformed) };
    let seed = seed.try_into().map_err(|_| IdentityError::Malformed)?;
    let key = CosigningKey::from_seed(name, &Secret::new(seed))?;
    let expected = format!("{:08x}", u32::from_be_bytes(key.verifier_key().id()));
    if id == expected { Ok(key) } else { Err(IdentityError::Malformed) }
}

const PREFIX: &str = "PRIVATE+KEY+";

/// The algorithm's byte (c2sp.org/signed-note, "Signature types").
const COSIGNATURE: u8 = 4;
