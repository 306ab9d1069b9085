//! What stands in a database in the place of a name, and what a sealed value is bound to.
//!
//! A name that may be personal (a tenant, an id, a lookup's value) becomes a keyed hash, which is the same for as long
//! as the installation lives. Contexts are sequences of parts, each with its length before it, so that no two
//! different sequences are the same bytes.

use std::sync::Arc;

use reeve_base::{Purpose, Sealer};

/// A keyed hash.
pub(crate) type Digest = [u8; 32];

/// Makes the hashes.
#[derive(Clone)]
pub(crate) struct Names {
    sealer: Arc<dyn Sealer>,
}

impl Names {
    pub(crate) fn new(sealer: Arc<dyn Sealer>) -> Self {
        Self { sealer }
    }

    pub(crate) fn tenant(&self, tenant: &str) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"tenant"], tenant.as_bytes())
    }

    pub(crate) fn record(&self, tenant: &Digest, collection: &str, id: &str) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"record", tenant, collection.as_bytes()], id.as_bytes())
    }

    pub(crate) fn lookup(&self, tenant: &Digest, collection: &str, name: &str, value: &[u8]) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"lookup", tenant, collection.as_bytes(), name.as_bytes()], value)
    }

    pub(crate) fn lane(&self, tenant: &Digest, topic: &str, key: &str) -> Digest {
        self.hash(Purpose::StoreMessage, &[b"lane", tenant, topic.as_bytes()], key.as_bytes())
    }

    pub(crate) fn lease(&self, name: &str) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"lease"], name.as_bytes())
    }

    pub(crate) fn holder(&self, holder: &str) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"holder"], holder.as_bytes())
    }

    pub(crate) fn counter(&self, name: &str, of: &str) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"counter", name.as_bytes()], of.as_bytes())
    }

    pub(crate) fn rate(&self, limit: &str, subject: &[u8]) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"rate", limit.as_bytes()], subject)
    }

    pub(crate) fn object(&self, tenant: &Digest, name: &str) -> Digest {
        self.hash(Purpose::StoreObject, &[b"object", tenant], name.as_bytes())
    }

    /// What tells whether a store belongs to these keys.
    pub(crate) fn fingerprint(&self, store: &[u8]) -> Digest {
        self.hash(Purpose::StoreRecord, &[b"store"], store)
    }

    fn hash(&self, purpose: Purpose, context: &[&[u8]], value: &[u8]) -> Digest {
        self.sealer.lookup(purpose, &parts(context), value)
    }
}

/// What a record is bound to: an old ciphertext of the same record does not open under a new version.
pub(crate) fn record_context(tenant: &[u8], collection: &str, key: &[u8], version: i64) -> Vec<u8> {
    parts(&[b"record", tenant, collection.as_bytes(), key, &version.to_be_bytes()])
}

/// What a message is bound to.
pub(crate) fn message_context(tenant: &[u8], topic: &str, lane: &[u8], id: &[u8]) -> Vec<u8> {
    parts(&[b"message", tenant, topic.as_bytes(), lane, id])
}

/// What a chunk of an object is bound to: its place, and whether it is the last, so that nothing can be cut off.
pub(crate) fn chunk_context(object: &[u8], writing: &[u8], index: u64, last: bool) -> Vec<u8> {
    parts(&[b"object", object, writing, &index.to_be_bytes(), &[u8::from(last)]])
}

/// Each part with its length before it, as eight bytes.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(parts(&[b"ab", b"c"]), parts(&[b"a", b"bc"]));
        assert_ne!(parts(&[b"ab"]), parts(&[b"ab", b""]));
    }

    #[test]
    fn a_context_differs_in_each_of_its_parts() {
        let first = record_context(b"t", "c", b"k", 1);
        for other in [
            record_context(b"u", "c", b"k", 1),
            record_context(b"t", "d", b"k", 1),
            record_context(b"t", "c", b"l", 1),
            record_context(b"t", "c", b"k", 2),
        ] {
            assert_ne!(first, other);
        }
        assert_ne!(chunk_context(b"o", b"w", 0, false), chunk_context(b"o", b"w", 0, true));
    }
}
