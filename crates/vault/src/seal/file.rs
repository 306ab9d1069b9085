//! The seal file: a secret of 256 bits in one line of text, and whose it is.
//!
//! ```text
//! reeve-seal/1 <installation, 32 digits> <seal, 16 digits> <secret, base64>
//! ```

use std::path::Path;

use aws_lc_rs::aead::LessSafeKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_base::Entropy;
use zeroize::Zeroizing;

use crate::chance;
use crate::disk;
use crate::error::{FileError, KeyError, OpenError};
use crate::id::{InstallationId, SealId};
use crate::locked::{KEY_BYTES, Key, derive_aead};
use crate::ring::Ring;

/// What a seal file says.
pub(crate) struct SealFile {
    installation: InstallationId,
    pub(crate) seal: SealId,
    secret: Zeroizing<Vec<u8>>,
}

impl SealFile {
    /// One with a fresh secret.
    pub(crate) fn new(
        installation: InstallationId,
        seal: SealId,
        entropy: &dyn Entropy,
    ) -> Result<Self, chance::NoEntropy> {
        let mut secret = Zeroizing::new(vec![0; KEY_BYTES]);
        chance::fill(entropy, &mut secret)?;
        Ok(Self { installation, seal, secret })
    }

    /// The text of the file.
    pub(crate) fn write(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(STANDARD.encode(self.secret.as_slice()));
        Zeroizing::new(format!("{FORMAT} {} {} {}\n", self.installation, self.seal, secret.as_str()))
    }

    /// The file at `path`. `None`: there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, OpenError> {
        let Some(content) = disk::read(path, FILE_BYTES_MAX)? else { return Ok(None) };
        let bytes = Zeroizing::new(content.bytes);
        if content.mode & OTHERS != 0 {
            return Err(OpenError::SealFileExposed { path: path.to_owned(), mode: content.mode });
        }
        Self::read(&bytes).map(Some).ok_or_else(|| OpenError::SealFileDamaged(path.to_owned()))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let mut words = text.split(' ');
        let (Some(FORMAT), Some(installation), Some(seal), Some(secret), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let secret = Zeroizing::new(STANDARD.decode(secret).ok()?);
        let whole = secret.len() == KEY_BYTES;
        let (installation, seal) = (installation.parse().ok()?, seal.parse().ok()?);
        whole.then_some(Self { installation, seal, secret })
    }

    /// The key that the root is sealed with.
    pub(crate) fn key(&self) -> Result<LessSafeKey, KeyError> {
        Ok(derive_aead(&self.secret, self.installation, "seal file")?)
    }
}

/// The root of the ring, opened with the seal file at `path`.
///
/// A file beside it that has its new name still before it (`.new`) counts too: a reseal that was interrupted right after
/// the ring was replaced left it so.
pub(crate) fn open(path: &Path, ring: &Ring) -> Result<(Key, SealId), OpenError> {
    let unfinished = disk::unfinished(path);
    match open_one(path, ring) {
        Err(named @ (OpenError::SealFileLost(_) | OpenError::SealFileReplaced { .. })) => {
            open_one(&unfinished, ring).map_err(|_| named)
        }
        other => other,
    }
}

fn open_one(path: &Path, ring: &Ring) -> Result<(Key, SealId), OpenError> {
    let file = SealFile::load(path)?.ok_or_else(|| OpenError::SealFileLost(path.to_owned()))?;
    if file.installation != ring.installation {
        let (found, expected) = (file.installation, ring.installation);
        return Err(OpenError::SealFileForeign { path: path.to_owned(), found, expected });
    }
    let replaced = || OpenError::SealFileReplaced { path: path.to_owned(), seal: file.seal };
    let sealed = ring.seal(file.seal).ok_or_else(replaced)?;
    let root = sealed.open(&file.key()?).ok_or_else(|| OpenError::SealFileRefused(path.to_owned()))?;
    Ok((root, file.seal))
}

/// Gives a seal file its name, if it was written and the process ended before it had it.
pub(crate) fn finish(path: &Path, seal: SealId, disk: &dyn disk::Disk) -> Result<(), FileError> {
    let unfinished = disk::unfinished(path);
    let left = SealFile::load(&unfinished).ok().flatten().is_some_and(|file| file.seal == seal);
    if left { disk.rename(&unfinished, path) } else { Ok(()) }
}

const FORMAT: &str = "reeve-seal/1";

/// A seal file is a third of it.
const FILE_BYTES_MAX: usize = 512;

/// Permissions of the group and of everybody.
const OTHERS: u32 = 0o077;
