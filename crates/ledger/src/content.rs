//! How contents are sealed: AES-256-GCM under a key that is derived from the day's for one run of the process.
//!
//! ```text
//! run 16 bytes | counter 8 bytes | AES-256-GCM(salt 32 bytes | body) | tag 16 bytes
//! key   = HKDF-SHA-256(day key, salt: run, info: "reeve ledger contents v1")
//! nonce = 4 zero bytes | counter
//! AAD   = "reeve ledger contents v1|" origin "|" class "|" day "|" seq
//! ```
//!
//! A nonce never comes twice under one key: a run is 16 random bytes, drawn anew at each start, and the counter goes up
//! by one for each entry of the run, also for those whose write failed and whose number was given to another.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use reeve_base::Entropy;
use zeroize::Zeroizing;

use crate::log::ClassDay;
use crate::proof::Hash;
use crate::proof::entry::Contents;
use crate::proof::leaf::SALT_BYTES;

/// One day's key of one class, ready for use.
pub(crate) struct DayKey {
    key: Zeroizing<Vec<u8>>,
    actors: hmac::Key,
    /// `origin|class|day|`, what every entry's additional data begins with.
    place: String,
}

/// One start of the process: what its entries' keys and nonces are made from.
pub(crate) struct Run {
    id: [u8; RUN_BYTES],
    /// `Relaxed`: only that no two values are equal is asked of it.
    next: AtomicU64,
}

/// The contents do not open: they were altered, moved, or sealed under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contents do not open: they were altered or moved")]
pub(crate) struct Unopened;

impl DayKey {
    pub(crate) fn new(bytes: &[u8], origin: &str, of: ClassDay) -> Option<Self> {
        let actors = hmac::Key::new(hmac::HMAC_SHA256, &*derive(bytes, &[], ACTORS)?);
        let place = format!("{CONTENTS}|{origin}|{}|{}|", of.class, of.day);
        Some(Self { key: Zeroizing::new(bytes.to_owned()), actors, place })
    }

    /// The actor's name for this day: the same for the same actor, and nothing without the key.
    pub(crate) fn actor_tag(&self, actor: &str) -> Hash {
        let tag = hmac::sign(&self.actors, actor.as_bytes());
        Hash(tag.as_ref().try_into().unwrap_or_default())
    }

    /// The key for the entries of one run.
    pub(crate) fn cipher(&self, run: &[u8; RUN_BYTES]) -> Option<Cipher> {
        let key = derive(&self.key, run, CONTENTS)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).ok()?);
        Some(Cipher { run: *run, key, place: self.place.clone() })
    }
}

/// Seals and opens the contents of one run under one day's key.
pub(crate) struct Cipher {
    run: [u8; RUN_BYTES],
    key: LessSafeKey,
    place: String,
}

impl Cipher {
    /// Seals the contents of entry `seq`. `None` when the run has used all its nonces or the library refuses.
    pub(crate) fn seal(&self, run: &Run, seq: u64, salt: &[u8; SALT_BYTES], body: &[u8]) -> Option<Vec<u8>> {
        let counter = run.next.fetch_add(1, Ordering::Relaxed);
        let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + body.len());
        sealed.extend_from_slice(&run.id);
        sealed.extend_from_slice(&counter.to_be_bytes());
        sealed.extend_from_slice(salt);
        sealed.extend_from_slice(body);
        let plain = sealed.get_mut(HEADER_BYTES..)?;
        let tag = self.key.seal_in_place_separate_tag(nonce(counter), self.aad(seq), plain).ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// Opens what [`Cipher::seal`] made for the same entry.
    pub(crate) fn open(&self, seq: u64, sealed: &[u8]) -> Result<Contents, Unopened> {
        let (_, rest) = sealed.split_first_chunk::<RUN_BYTES>().ok_or(Unopened)?;
        let (counter, rest) = rest.split_first_chunk().ok_or(Unopened)?;
        let mut bytes = rest.to_vec();
        let nonce = nonce(u64::from_be_bytes(*counter));
        let plain = self.key.open_in_place(nonce, self.aad(seq), &mut bytes).map_err(|_| Unopened)?;
        let (salt, body) = plain.split_first_chunk().ok_or(Unopened)?;
        Ok(Contents { salt: *salt, body: body.to_owned() })
    }

    /// Whether it is the key for these contents.
    pub(crate) fn fits(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.run)
    }

    fn aad(&self, seq: u64) -> Aad<String> {
        Aad::from(format!("{}{seq}", self.place))
    }
}

impl Run {
    pub(crate) fn begin(entropy: &dyn Entropy) -> Result<Self, String> {
        let mut id = [0; RUN_BYTES];
        entropy.fill(&mut id).map_err(|error| error.to_string())?;
        Ok(Self { id, next: AtomicU64::new(0) })
    }

    pub(crate) const fn id(&self) -> &[u8; RUN_BYTES] {
        &self.id
    }
}

/// The run that contents were sealed in.
pub(crate) fn run_of(sealed: &[u8]) -> Option<&[u8; RUN_BYTES]> {
    sealed.first_chunk()
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    for (room, byte) in bytes.iter_mut().skip(NONCE_LEN - size_of::<u64>()).zip(counter.to_be_bytes()) {
        *room = byte;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// `None` if the library refuses, which it does for outputs past 255 * 32 bytes: there must be no key of zeroes then.
fn derive(key: &[u8], salt: &[u8], purpose: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            KEY_BYTES
        }
    }
    let key: Prk = Salt::new(HKDF_SHA256, salt).extract(key);
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    key.expand(&[purpose.as_bytes()], Length).and_then(|okm| okm.fill(derived.as_mut())).ok()?;
    Some(derived)
}

/// The length of a run's name in bytes.
pub(crate) const RUN_BYTES: usize = 16;

/// What stands before the ciphertext: run and counter.
const HEADER_BYTES: usize = RUN_BYTES + size_of::<u64>();

/// By how much contents are longer when sealed.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + SALT_BYTES + 16;

const KEY_BYTES: usize = 32;
const CONTENTS: &str = "reeve ledger contents v1";
const ACTORS: &str = "reeve ledger actors v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::SeededEntropy;
    use crate::log::Class;

    const SALT: [u8; SALT_BYTES] = [5; SALT_BYTES];

    fn of(class: Class, day: i8) -> ClassDay {
        ClassDay { class, day: jiff::civil::date(2026, 3, day) }
    }

    fn key(bytes: [u8; 32], origin: &str, of: ClassDay) -> DayKey {
        DayKey::new(&bytes, origin, of).unwrap()
    }

    #[test]
    fn contents_open_for_their_entry_day_class_log_and_key_alone() {
        let run = Run::begin(&SeededEntropy::default()).unwrap();
        let day = of(Class::Request, 1);
        let own = key([1; 32], "log", day).cipher(run.id()).unwrap();
        let sealed = own.seal(&run, 7, &SALT, b"body").unwrap();
        assert_eq!(sealed.len(), OVERHEAD_BYTES + 4);
        assert_eq!(own.open(7, &sealed), Ok(Contents { salt: SALT, body: b"body".to_vec() }));
        assert_eq!(own.open(8, &sealed), Err(Unopened));
        for other in [
            key([2; 32], "log", day),
            key([1; 32], "gol", day),
            key([1; 32], "log", of(Class::Request, 2)),
            key([1; 32], "log", of(Class::Security, 1)),
        ] {
            assert_eq!(other.cipher(run.id()).unwrap().open(7, &sealed), Err(Unopened));
        }
        for position in RUN_BYTES..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert_eq!(own.open(7, &altered), Err(Unopened), "byte {position}");
            assert_eq!(own.open(7, &sealed[..position]), Err(Unopened), "{position} bytes");
        }
    }

    #[test]
    fn no_nonce_comes_twice_under_one_key() {
        let entropy = SeededEntropy::default();
        let (run, next_run) = (Run::begin(&entropy).unwrap(), Run::begin(&entropy).unwrap());
        let day = key([1; 32], "log", of(Class::Request, 1));
        let sealed = |run: &Run| day.cipher(run.id()).unwrap().seal(run, 7, &SALT, b"body").unwrap();
        // The same entry again, as after a write that failed; then after a restart.
        let heads: Vec<Vec<u8>> =
            [sealed(&run), sealed(&run), sealed(&next_run)].map(|bytes| bytes[..HEADER_BYTES].to_vec()).into();
        assert_ne!(heads[0], heads[1]);
        assert_ne!(heads[0][..RUN_BYTES], heads[2][..RUN_BYTES]);
    }

    #[test]
    fn an_actors_tag_hangs_on_the_day_and_the_actor() {
        let day = key([1; 32], "log", of(Class::Request, 1));
        assert_eq!(day.actor_tag("a"), day.actor_tag("a"));
        assert_ne!(day.actor_tag("a"), day.actor_tag("b"));
        assert_ne!(day.actor_tag("a"), key([2; 32], "log", of(Class::Request, 1)).actor_tag("a"));
    }
}
