//! Entry bundles: the leaves of one tile of level 0, each behind its length (c2sp.org/tlog-tiles, "Log entries").

use super::tile::HASHES;

/// The longest entry in bytes: its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// The longest bundle in bytes: [`HASHES`] entries of the greatest length.
pub const BUNDLE_BYTES_MAX: usize = HASHES as usize * (ENTRY_BYTES_MAX + LENGTH_BYTES);

/// Why bytes are no bundle, or entries fit in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An entry is longer than [`ENTRY_BYTES_MAX`].
    #[error("an entry of {0} bytes is longer than {ENTRY_BYTES_MAX}, the most that a bundle can hold")]
    TooLong(usize),
    /// The bytes end inside of an entry.
    #[error("the bundle ends inside of entry {0}")]
    Cut(usize),
    /// It holds another number of entries than its name says.
    #[error("the bundle holds {found} entries where {expected} belong")]
    Count {
        /// How many it holds, counted up to one more than expected.
        found: usize,
        /// How many it should hold.
        expected: u16,
    },
}

/// Appends one entry to the bytes of a bundle.
///
/// # Errors
/// [`BundleError::TooLong`]; nothing was appended then.
pub fn append(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Writes a bundle. That it has at most [`HASHES`] entries is the caller's to see to.
///
/// # Errors
/// [`BundleError::TooLong`].
pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    let length = entries.iter().map(|entry| LENGTH_BYTES + entry.as_ref().len()).sum();
    let mut bundle = Vec::with_capacity(length);
    for entry in entries {
        append(&mut bundle, entry.as_ref())?;
    }
    Ok(bundle)
}

/// Reads a bundle of exactly `width` entries, which stay where they are in `bytes`.
///
/// # Errors
/// When the bytes end too early or too late.
pub fn decode(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width.min(HASHES)));
    let mut rest = bytes;
    while !rest.is_empty() && entries.len() <= usize::from(width) {
        let cut = BundleError::Cut(entries.len());
        let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(cut)?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(cut)?;
        entries.push(entry);
        rest = after;
    }
    if entries.len() == usize::from(width) {
        Ok(entries)
    } else {
        Err(BundleError::Count { found: entries.len(), expected: width })
    }
}

/// The length stands in front of its entry, the high byte first.
const LENGTH_BYTES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_length_come_back() {
        let entries = [vec![], vec![1], vec![2; 256], vec![3; ENTRY_BYTES_MAX]];
        let bundle = encode(&entries).unwrap();
        assert_eq!(decode(&bundle, 4).unwrap(), entries);
        assert_eq!(&bundle[..5], [0, 0, 0, 1, 1]);
        assert_eq!(encode(&[vec![0; ENTRY_BYTES_MAX + 1]]), Err(BundleError::TooLong(65_536)));
    }

    #[test]
    fn a_bundle_has_exactly_its_entries() {
        let bundle = encode(&[b"one", b"two"]).unwrap();
        assert_eq!(decode(&bundle, 1), Err(BundleError::Count { found: 2, expected: 1 }));
        assert_eq!(decode(&bundle, 3), Err(BundleError::Count { found: 2, expected: 3 }));
        assert_eq!(decode(&[], 1), Err(BundleError::Count { found: 0, expected: 1 }));
        assert_eq!(decode(&[], 0), Ok(vec![]));
        for length in [1, 4, 6, 9] {
            assert_eq!(decode(&bundle[..length], 2), Err(BundleError::Cut(length / 5)), "{length} bytes");
        }
    }
}
