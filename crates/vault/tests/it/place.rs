//! A scratch installation whose randomness is known.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use reeve_base::{Entropy, EntropyError, Secret, Timestamp};
use reeve_vault::{NewSeal, OpenError, PassphraseCost, Unlock, Vault};

/// Bytes that can be foretold, and that are remembered.
pub(crate) struct Seeded {
    state: Mutex<(u64, Vec<Vec<u8>>)>,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new((seed, Vec::new())) })
    }

    /// Everything that was given out in pieces of 32 bytes: every key and every secret.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().1.iter().filter(|given| given.len() == 32).cloned().collect()
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let (state, given) = &mut *self.state.lock().unwrap();
        for byte in &mut *bytes {
            // SplitMix64, of which the top byte is as good as any.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = u8::try_from(mixed >> 56).unwrap();
        }
        given.push(bytes.to_vec());
        Ok(())
    }
}

/// A scratch folder with the keys in `data/keys` and a seal file beside `data`.
pub(crate) struct Place {
    scratch: tempfile::TempDir,
    pub(crate) entropy: Arc<Seeded>,
}

impl Place {
    pub(crate) fn new(seed: u64) -> Self {
        Self { scratch: tempfile::tempdir().unwrap(), entropy: Seeded::new(seed) }
    }

    pub(crate) fn root(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root().join("data/keys")
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.keys().join("ring")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.root().join("data.seal")
    }

    /// Keys with a seal file.
    pub(crate) fn create(&self) -> Vault {
        Vault::create(&self.keys(), vec![NewSeal::File(self.file())], self.entropy.clone(), at(0)).unwrap()
    }

    /// Keys with a passphrase and nothing else.
    pub(crate) fn create_with(&self, passphrase: &str) -> Vault {
        let seal = NewSeal::Passphrase { passphrase: secret(passphrase), cost: PassphraseCost::LEAST };
        Vault::create(&self.keys(), vec![seal], self.entropy.clone(), at(0)).unwrap()
    }

    pub(crate) fn open(&self) -> Result<Vault, OpenError> {
        self.open_with(Unlock::File(self.file()))
    }

    pub(crate) fn open_with(&self, unlock: Unlock) -> Result<Vault, OpenError> {
        Vault::open(&self.keys(), unlock, self.entropy.clone())
    }
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// So many hours after an instant that is the same in every test.
pub(crate) fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}
