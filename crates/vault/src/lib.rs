//! Keys: the root and its seals, the keys derived from it and wrapped under it, their versions and rotation.
//!
//! ```text
//! seal: a file 0600, or a passphrase through Argon2id   (several side by side, any one opens)
//!   └─ ROOT, 256 bit, only in locked memory
//!        ├─ lookup keys, one for each purpose  (HKDF; never change)
//!        ├─ audit key, ring key                (HKDF; never change)
//!        └─ store key v1..vN                   (random, wrapped under ROOT in the ring)
//!             └─ one key for each purpose      (HKDF) seals values, AES-256-GCM-SIV
//! ```
//!
//! A [`Vault`] is opened with one of its seals and is a [`Sealer`](reeve_base::Sealer) from then on. On disk there is
//! one file, the ring (`docs/reference/keys.md`), always replaced as a whole; it holds nothing that is of use without a seal.
//! Whoever has both the ring and a seal file has everything, so the two never go into the same backup.
//!
//! Invariants: no key leaves this crate; no key and no seal's secret is written in clear beside the seal file; what was
//! written under one purpose, context, version or installation opens under no other; a ring that was altered is not used.
//!
//! ```
//! use std::sync::Arc;
//!
//! use reeve_base::{Clock, Purpose, Sealer, SystemClock, SystemEntropy};
//! use reeve_vault::{NewSeal, Unlock, Vault};
//!
//! let scratch = tempfile::tempdir().unwrap();
//! let (keys, file) = (scratch.path().join("data/keys"), scratch.path().join("data.seal"));
//! Vault::create(&keys, vec![NewSeal::File(file.clone())], Arc::new(SystemEntropy), SystemClock::new().now()).unwrap();
//!
//! let vault = Vault::open(&keys, Unlock::File(file), Arc::new(SystemEntropy)).unwrap();
//! let sealed = vault.seal(Purpose::StoreRecord, b"visitors/7", b"Ada").unwrap();
//! assert_eq!(vault.open(Purpose::StoreRecord, b"visitors/7", &sealed).unwrap().expose(), b"Ada");
//! assert!(vault.open(Purpose::StoreRecord, b"visitors/8", &sealed).is_err());
//! ```
//!
//! Start reading at [`Vault`], then `ring` and `envelope`.

#![forbid(unsafe_code)]

mod chance;
mod disk;
mod envelope;
mod error;
mod id;
mod locked;
pub mod process;
mod ring;
mod seal;
mod status;
mod vault;
mod version;

pub use chance::NoEntropy;
pub use error::{ChangeError, CreateError, FileError, OpenError, RingError};
pub use id::{InstallationId, SealId};
pub use locked::MemoryLock;
pub use ring::inspect::{Inspection, SealKind};
pub use seal::{NewSeal, PassphraseCost, Reseal, Unlock};
pub use status::{SealStatus, Status, VersionState, VersionStatus};
pub use vault::Vault;
