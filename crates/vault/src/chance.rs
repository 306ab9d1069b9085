//! Fresh randomness, from the entropy that the vault was given.

use reeve_base::Entropy;

/// The operating system gives no randomness: nothing is made or sealed without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoEntropy(String);

/// Fills `bytes`.
pub(crate) fn fill(entropy: &dyn Entropy, bytes: &mut [u8]) -> Result<(), NoEntropy> {
    entropy.fill(bytes).map_err(|error| NoEntropy(error.to_string()))
}

/// As many random bytes as are asked for. Not for keys: what is returned is copied and not wiped.
pub(crate) fn array<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    fill(entropy, &mut bytes)?;
    Ok(bytes)
}
