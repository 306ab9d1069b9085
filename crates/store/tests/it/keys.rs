//! Keys and a clock that a test holds in its hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use reeve_base::{Clock, Entropy as _, Purpose, SealError, Sealer, Secret, SystemEntropy, Ticks, Timestamp};

/// AES-256-GCM-SIV under fixed keys: `version | nonce | ciphertext`, purpose and context authenticated.
pub(crate) struct Keys {
    seed: u8,
    versions: Mutex<BTreeMap<u8, LessSafeKey>>,
    lookup: hmac::Key,
}

impl Keys {
    pub(crate) fn new(seed: u8) -> Arc<Self> {
        let keys =
            Self { seed, versions: Mutex::default(), lookup: hmac::Key::new(hmac::HMAC_SHA256, &[seed ^ 0x55; 32]) };
        keys.rotate();
        Arc::new(keys)
    }

    /// A new newest version.
    pub(crate) fn rotate(&self) {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.keys().last().copied().unwrap_or_default() + 1;
        let key = UnboundKey::new(&AES_256_GCM_SIV, &[self.seed ^ version; 32]).unwrap();
        versions.insert(version, LessSafeKey::new(key));
    }

    /// Destroys all versions but the newest.
    pub(crate) fn destroy_old(&self) {
        let mut versions = self.versions.lock().unwrap();
        let newest = *versions.keys().last().unwrap();
        versions.retain(|version, _| *version == newest);
    }

    fn bound(purpose: Purpose, context: &[u8]) -> Vec<u8> {
        [&[purpose as u8], context].concat()
    }
}

impl Sealer for Keys {
    fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 12];
        SystemEntropy.fill(&mut nonce).unwrap();
        let versions = self.versions.lock().unwrap();
        let (version, key) = versions.last_key_value().unwrap();
        let mut sealed = plain.to_vec();
        let bound = Aad::from(Self::bound(purpose, context));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).unwrap();
        Ok([&[*version], nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let refused = SealError::Refused(purpose);
        let (head, body) = sealed.split_at_checked(13).ok_or(refused.clone())?;
        let versions = self.versions.lock().unwrap();
        let destroyed = SealError::Destroyed { purpose, version: head[0].into() };
        let key = versions.get(&head[0]).ok_or(destroyed)?;
        let mut body = body.to_vec();
        let bound = Aad::from(Self::bound(purpose, context));
        let nonce = Nonce::try_assume_unique_for_key(&head[1..]).unwrap();
        let length = key.open_in_place(nonce, bound, &mut body).map_err(|_| refused)?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.first() == self.versions.lock().unwrap().keys().last()
    }

    fn lookup(&self, purpose: Purpose, context: &[u8], value: &[u8]) -> [u8; 32] {
        let mut message = Self::bound(purpose, context);
        message.extend_from_slice(&(context.len() as u64).to_be_bytes());
        message.extend_from_slice(value);
        hmac::sign(&self.lookup, &message).as_ref().try_into().unwrap()
    }
}

/// Time stands still until a test moves it.
pub(crate) struct Hands {
    milliseconds: AtomicI64,
    ticks: AtomicU64,
}

impl Hands {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { milliseconds: AtomicI64::new(1_800_000_000_000), ticks: AtomicU64::new(1_000_000_000_000) })
    }

    pub(crate) fn forward(&self, by: Duration) {
        self.milliseconds.fetch_add(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
        self.ticks.fetch_add(by.as_nanos().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.milliseconds.load(Ordering::SeqCst)).unwrap()
    }

    fn ticks(&self) -> Ticks {
        Ticks(self.ticks.load(Ordering::SeqCst))
    }
}
