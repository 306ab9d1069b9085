//! Seals: each keeps the root key under something that is not on the same disk, or in somebody's head.
//!
//! A further kind, such as a cloud's key service, is a variant of [`NewSeal`], [`Unlock`] and [`SealedBy`] and a way to
//! 32 secret bytes; the format of the ring changes with it, because an older Reeve must refuse what it cannot open.

pub(crate) mod file;

use std::path::PathBuf;

use argon2::{Algorithm, Argon2, Block, Params};
use aws_lc_rs::aead::LessSafeKey;
use reeve_base::{Entropy, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::chance;
use crate::envelope::{self, Header};
use crate::error::KeyError;
use crate::id::{InstallationId, SealId};
use crate::locked::{KEY_BYTES, Key, derive_aead};
use crate::ring::Bytes;
use crate::ring::inspect::SealKind;
use crate::seal::file::SealFile;

/// A seal to be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum NewSeal {
    /// A fresh secret, in a file of mode 0600 at this path. Keep it outside of the data folder, and out of the backup
    /// that holds the keys.
    File(PathBuf),
    /// What a person knows.
    Passphrase {
        /// 12 characters or more.
        passphrase: Secret<String>,
        /// What a guess shall cost; [`PassphraseCost::RECOMMENDED`] unless there is a reason.
        cost: PassphraseCost,
    },
}

/// What a vault is opened with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unlock {
    /// The path of a seal file.
    File(PathBuf),
    /// A passphrase; every seal of that kind is tried, oldest first.
    Passphrase(Secret<String>),
}

/// A change of the seals.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reseal {
    /// One more passphrase.
    AddPassphrase {
        /// 12 characters or more.
        passphrase: Secret<String>,
        /// What a guess shall cost.
        cost: PassphraseCost,
    },
    /// A fresh secret in a file at this path, in place of every seal file that there is. The path may be that of a
    /// file that is replaced.
    ReplaceFile(PathBuf),
    /// One seal less.
    Remove(SealId),
}

/// What one guess at a passphrase costs: the parameters of Argon2id (RFC 9106). They are stored with each seal, so that
/// raising them for new seals leaves the old ones openable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenCost", into = "WrittenCost")]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseCost {
    /// 256 MiB, 3 passes, 1 lane: about a second on a small server. RFC 9106 section 4 recommends 64 MiB for machines
    /// with little memory and 2 GiB for those with much.
    pub const RECOMMENDED: Self = Self { memory_kib: 256 << 10, passes: 3, lanes: 1 };

    /// The least that is accepted, OWASP's minimum: 19 MiB, 2 passes, 1 lane. For tests, and machines with very little memory.
    pub const LEAST: Self = Self { memory_kib: 19 << 10, passes: 2, lanes: 1 };

    /// Memory in KiB (19 MiB to 2 GiB), passes (2 to 16), lanes (1 to 16).
    ///
    /// # Errors
    /// When one is out of bounds. The upper ones keep a ring that somebody altered from stopping the machine.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        if memory_kib < Self::LEAST.memory_kib || memory_kib > 2 << 20 {
            return Err(CostError::Memory(memory_kib));
        }
        if passes < Self::LEAST.passes || passes > 16 {
            return Err(CostError::Passes(passes));
        }
        if lanes < 1 || lanes > 16 {
            return Err(CostError::Lanes(lanes));
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }
}

/// A passphrase, or what a guess at it shall cost, is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// Memory.
    #[error("{0} KiB of memory for a passphrase: 19 MiB to 2 GiB are possible")]
    Memory(u32),
    /// Passes.
    #[error("{0} passes for a passphrase: 2 to 16 are possible")]
    Passes(u32),
    /// Lanes.
    #[error("{0} lanes for a passphrase: 1 to 16 are possible")]
    Lanes(u32),
    /// The passphrase is short.
    #[error("the passphrase is shorter than {PASSPHRASE_CHARACTERS_MIN} characters")]
    PassphraseShort,
    /// The passphrase is long.
    #[error("the passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes")]
    PassphraseLong,
}

impl CostError {
    /// What the operator can do about it.
    #[must_use]
    pub fn remedy(self) -> String {
        match self {
            Self::Memory(_) | Self::Passes(_) | Self::Lanes(_) => {
                String::from("256 MiB, 3 passes and 1 lane are recommended")
            }
            Self::PassphraseShort | Self::PassphraseLong => {
                String::from("take six words or more that a die has chosen: length counts, not odd characters")
            }
        }
    }
}

/// As it is written, before anybody looked at the bounds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl TryFrom<WrittenCost> for PassphraseCost {
    type Error = CostError;

    fn try_from(written: WrittenCost) -> Result<Self, CostError> {
        Self::new(written.memory_kib, written.passes, written.lanes)
    }
}

impl From<PassphraseCost> for WrittenCost {
    fn from(cost: PassphraseCost) -> Self {
        Self { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes }
    }
}

/// The root key under one seal, as the ring keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedRoot {
    pub(crate) id: SealId,
    pub(crate) created: Timestamp,
    pub(crate) by: SealedBy,
    sealed: Bytes,
}

/// What the seal's key is made from, as far as it may be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum SealedBy {
    File {},
    Passphrase { cost: PassphraseCost, salt: Bytes },
}

/// A seal that was just made: what goes into the ring, and what goes into a file of its own.
pub(crate) struct MadeSeal {
    pub(crate) sealed: SealedRoot,
    pub(crate) file: Option<(PathBuf, SealFile)>,
}

/// Everything that making a seal needs beside the seal.
pub(crate) struct Making<'m> {
    pub(crate) root: &'m Key,
    pub(crate) installation: InstallationId,
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'m dyn Entropy,
}

impl Making<'_> {
    /// Makes a seal, and opens it again before anybody relies on it.
    pub(crate) fn make(&self, new: NewSeal) -> Result<MadeSeal, KeyError> {
        let id = SealId(chance::array(self.entropy)?);
        match new {
            NewSeal::File(path) => {
                let file = SealFile::new(self.installation, id, self.entropy)?;
                let sealed = self.seal(id, SealedBy::File {}, &file.key()?)?;
                Ok(MadeSeal { sealed, file: Some((path, file)) })
            }
            NewSeal::Passphrase { passphrase, cost } => {
                let salt: [u8; SALT_BYTES] = chance::array(self.entropy)?;
                let key = passphrase_key(&passphrase, cost, &salt, self.installation)?;
                let by = SealedBy::Passphrase { cost, salt: Bytes(salt.to_vec()) };
                Ok(MadeSeal { sealed: self.seal(id, by, &key)?, file: None })
            }
        }
    }

    fn seal(&self, id: SealId, by: SealedBy, key: &LessSafeKey) -> Result<SealedRoot, KeyError> {
        let header = Header { purpose: envelope::SEALED_ROOT, installation: self.installation, version: 0 };
        let mut sealed = SealedRoot { id, created: self.now, by, sealed: Bytes(Vec::new()) };
        sealed.sealed.0 = envelope::seal(key, header, &sealed.context(), self.root.expose(), self.entropy)?;
        match sealed.open(key) {
            Some(root) if root.expose() == self.root.expose() => Ok(sealed),
            _ => Err(KeyError::Library),
        }
    }
}

impl SealedRoot {
    /// Which kind of seal it is.
    pub(crate) const fn kind(&self) -> SealKind {
        match self.by {
            SealedBy::File {} => SealKind::File,
            SealedBy::Passphrase { .. } => SealKind::Passphrase,
        }
    }

    /// The root, if this is the key that it was sealed with.
    pub(crate) fn open(&self, key: &LessSafeKey) -> Option<Key> {
        let root = envelope::open(key, &self.context(), &self.sealed.0)?;
        Key::new(root.expose())
    }

    /// The root, if the passphrase is right. `None` also if this seal is of another kind.
    pub(crate) fn open_with(
        &self,
        passphrase: &Secret<String>,
        installation: InstallationId,
    ) -> Result<Option<Key>, KeyError> {
        let SealedBy::Passphrase { cost, salt } = &self.by else { return Ok(None) };
        let key = passphrase_key(passphrase, *cost, &salt.0, installation)?;
        Ok(self.open(&key))
    }

    /// Everything that the ring says of this seal, so that no part of it can be exchanged.
    fn context(&self) -> Vec<u8> {
        let mut context = Vec::new();
        let mut part = |part: &[u8]| envelope::append(&mut context, part);
        part(b"seal");
        part(self.kind().as_str().as_bytes());
        part(&self.id.0);
        part(self.created.to_string().as_bytes());
        if let SealedBy::Passphrase { cost, salt } = &self.by {
            part(&[cost.memory_kib, cost.passes, cost.lanes].map(u32::to_be_bytes).concat());
            part(&salt.0);
        }
        context
    }
}

/// Whether a passphrase may seal: length is all that can be judged without a list of what others chose.
pub(crate) fn strong_enough(passphrase: &Secret<String>) -> Result<(), CostError> {
    if passphrase.expose().len() > PASSPHRASE_BYTES_MAX {
        return Err(CostError::PassphraseLong);
    }
    let characters = passphrase.expose().chars().count();
    if characters < PASSPHRASE_CHARACTERS_MIN { Err(CostError::PassphraseShort) } else { Ok(()) }
}

/// The key of a passphrase: Argon2id, then HKDF with the installation.
fn passphrase_key(
    passphrase: &Secret<String>,
    cost: PassphraseCost,
    salt: &[u8],
    installation: InstallationId,
) -> Result<LessSafeKey, KeyError> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES)).map_err(|_| KeyError::Library)?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| KeyError::NoMemory { memory_kib: cost.memory_kib })?;
    memory.resize(params.block_count(), Block::new());
    let mut hash = Zeroizing::new([0; KEY_BYTES]);
    let argon = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
    let outcome =
        argon.hash_password_into_with_memory(passphrase.expose().as_bytes(), salt, hash.as_mut(), &mut memory);
    // The last blocks give the key away.
    memory.iter_mut().for_each(Zeroize::zeroize);
    outcome.map_err(|_| KeyError::Library)?;
    Ok(derive_aead(hash.as_ref(), installation, "seal passphrase")?)
}

/// What a person can be expected to type; six words of a die are more than twice that.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// More is no passphrase but a file.
const PASSPHRASE_BYTES_MAX: usize = 1024;

const SALT_BYTES: usize = 16;
