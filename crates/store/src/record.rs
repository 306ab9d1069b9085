//! What a type must say of itself to be kept.

use reeve_base::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that the store keeps.
pub trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// The collection it lives in: at most 64 characters. Stands in clear in the database.
    const COLLECTION: &'static str;

    /// The version of the type's form, kept beside each value. Raise it when older values need [`Record::upgrade`].
    const SCHEMA: u16;

    /// The values by which it can be found, besides its id. At most 32.
    fn lookups(&self) -> Vec<Lookup> {
        Vec::new()
    }

    /// Reads a value (JSON) that was kept under an older `schema`. As it stands it is read like a new one, which does
    /// where fields were only added with a default.
    ///
    /// # Errors
    /// When the value is of no form that this type can be made from.
    fn upgrade(schema: u16, value: &[u8]) -> Result<Self, serde_json::Error> {
        let _ = schema;
        serde_json::from_slice(value)
    }
}

/// A value by which a record can be found. The database holds its keyed hash.
#[derive(Clone)]
pub struct Lookup {
    pub(crate) name: &'static str,
    pub(crate) value: Vec<u8>,
    pub(crate) sole: bool,
}

impl Lookup {
    /// One that many records may share: a role, a state.
    pub fn shared(name: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { name, value: value.as_ref().to_vec(), sole: false }
    }

    /// One that only one record of the tenant's collection may have: a mail address. A second is refused.
    pub fn sole(name: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { name, value: value.as_ref().to_vec(), sole: true }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.value);
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({}, ..)", self.name)
    }
}

/// A record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<R> {
    /// Its id.
    pub id: String,
    /// Grows by one with each change; what the next change should expect.
    pub version: u64,
    /// When it was last changed, to the millisecond.
    pub changed: Timestamp,
    /// The value.
    pub value: R,
}
