//! What may be known of the keys.

use reeve_base::Timestamp;
use serde::Serialize;

use crate::id::{InstallationId, SealId};
use crate::locked::MemoryLock;
use crate::ring::WrappedVersion;
use crate::ring::inspect::SealKind;
use crate::seal::PassphraseCost;
use crate::version::USES_TO_ROTATE;

/// Everything about the keys but the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Whose keys these are.
    pub installation: InstallationId,
    /// Counts every change of the ring. One that is lower than it was says that an old copy was put back.
    pub generation: u64,
    /// Oldest first.
    pub seals: Vec<SealStatus>,
    /// Of the store key, from 1 on.
    pub versions: Vec<VersionStatus>,
    /// The current version has sealed 2^31 values and should be replaced; at 2^32 it seals no more.
    pub rotation_due: bool,
    /// Whether the root key's memory can be swapped out.
    pub memory: MemoryLock,
}

/// One seal of the root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SealStatus {
    /// What it is called.
    pub id: SealId,
    /// How it keeps the root.
    pub kind: SealKind,
    /// When it was made.
    pub created: Timestamp,
    /// What a guess at a passphrase costs.
    pub cost: Option<PassphraseCost>,
    /// The vault was opened with this one.
    pub opened: bool,
}

/// One version of the store key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VersionStatus {
    /// Its number.
    pub version: u32,
    /// When it was made.
    pub created: Timestamp,
    /// What it still does.
    #[serde(flatten)]
    pub state: VersionState,
    /// It has sealed this many values or fewer: counted in blocks.
    pub uses_max: u64,
}

/// What a version of the store key still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a new state should break whoever decides by it")]
pub enum VersionState {
    /// It seals and opens.
    Current,
    /// It only opens.
    DecryptOnly {
        /// Since then.
        since: Timestamp,
    },
    /// Nothing opens what was sealed under it.
    Destroyed {
        /// Since then.
        since: Timestamp,
    },
}

impl VersionStatus {
    pub(crate) fn new(number: u32, version: &WrappedVersion) -> Self {
        let state = match (version.destroyed, version.superseded) {
            (Some(since), _) => VersionState::Destroyed { since },
            (None, Some(since)) => VersionState::DecryptOnly { since },
            (None, None) => VersionState::Current,
        };
        Self { version: number, created: version.created, state, uses_max: version.uses }
    }

    pub(crate) fn rotation_due(&self) -> bool {
        self.state == VersionState::Current && self.uses_max >= USES_TO_ROTATE
    }
}
