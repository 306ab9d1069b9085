//! Objects: what is too large for a record, in a folder or a bucket, sealed in chunks as it streams by.
//!
//! ```text
//! "RVO1" | number of this writing, 16 bytes | chunk | chunk | …
//! chunk = u32 length | sealed
//! ```
//!
//! Each chunk holds 64 KiB of content, the last one what is left, maybe nothing. A chunk is bound to its object, the
//! writing, its place and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár,
//! 2015), so chunks cannot be exchanged, repeated, left out or cut off, not even for those of an older content of the
//! same object. The object's place is a keyed hash of tenant and name.

mod place;
mod read;
mod write;

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use reeve_base::{SealError, Secret};
use tokio::sync::RwLock;

use crate::link::hexadecimal;
use crate::names::Digest;
use crate::scope::Scope;
use crate::settings::ObjectPlace;
use crate::store::Tools;

pub use read::ObjectReader;
pub use write::ObjectWriter;

/// The objects of the installation.
#[derive(Clone)]
pub struct Objects {
    pub(crate) place: Arc<dyn ObjectStore>,
    root: String,
    shown: String,
    pub(crate) tools: Tools,
    /// Held by whoever puts an object in its place; alone by whoever puts one there only if the old one is unchanged.
    replacing: Arc<RwLock<()>>,
}

/// Why an object cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The folder or the bucket fails.
    #[error(
        "the objects in `{place}` cannot be reached: {cause}; check the folder's owner and space, or the bucket's address and key"
    )]
    Unreachable {
        /// Which folder or bucket.
        place: String,
        /// What the system or the server said.
        cause: String,
    },
    /// It was altered, cut, exchanged while it was read, or its key was destroyed.
    #[error("an object does not open")]
    Sealed(#[source] SealError),
    /// It cannot be sealed.
    #[error("an object cannot be sealed")]
    CannotSeal(#[source] SealError),
}

impl Objects {
    pub(crate) fn open(settings: ObjectPlace, namespace: &str, tools: &Tools) -> Result<Self, ObjectError> {
        let (place, shown) = place::open(settings)?;
        Ok(Self { place, root: namespace.to_owned(), shown, tools: tools.clone(), replacing: Arc::default() })
    }

    /// Begins to write the object `name` of a tenant. What was there before stays until [`ObjectWriter::finish`].
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn write(&self, scope: &Scope, name: &str) -> Result<ObjectWriter, ObjectError> {
        self.write_at(scope.store().names().object(scope.digest(), name)).await
    }

    /// Begins to read the object `name` of a tenant; nothing if there is none.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn read(&self, scope: &Scope, name: &str) -> Result<Option<ObjectReader>, ObjectError> {
        self.read_at(scope.store().names().object(scope.digest(), name)).await
    }

    /// Writes a whole object from memory.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn put(&self, scope: &Scope, name: &str, content: &[u8]) -> Result<(), ObjectError> {
        let mut writer = self.write(scope, name).await?;
        writer.write(content).await?;
        writer.finish().await
    }

    /// Reads a whole object into memory; nothing if there is none. Its size is whatever was written: for large ones,
    /// [`Objects::read`].
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn get(&self, scope: &Scope, name: &str) -> Result<Option<Secret<Vec<u8>>>, ObjectError> {
        let Some(mut reader) = self.read(scope, name).await? else { return Ok(None) };
        // Made large enough at once: a vector that grows leaves copies behind.
        let mut content = Vec::with_capacity(reader.size_max());
        while let Some(chunk) = reader.next().await? {
            content.extend_from_slice(chunk.expose());
        }
        Ok(Some(Secret::new(content)))
    }

    /// Deletes the object `name` of a tenant. One that is not there is as good as gone.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn delete(&self, scope: &Scope, name: &str) -> Result<(), ObjectError> {
        let digest = scope.store().names().object(scope.digest(), name);
        match self.place.delete(&self.path(&digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    pub(crate) async fn write_at(&self, digest: Digest) -> Result<ObjectWriter, ObjectError> {
        ObjectWriter::begin(self, digest).await
    }

    pub(crate) async fn read_at(&self, digest: Digest) -> Result<Option<ObjectReader>, ObjectError> {
        ObjectReader::begin(self, digest).await
    }

    /// 256 shelves, so that no folder gets too long.
    pub(crate) fn path(&self, digest: &Digest) -> Path {
        let name = hexadecimal(digest);
        let shelf = name.get(..2).unwrap_or_default();
        Path::from_iter([self.root.as_str(), shelf, name.as_str()])
    }

    /// The shelf with this number.
    pub(crate) fn shelf(&self, number: u8) -> Path {
        Path::from_iter([self.root.clone(), format!("{number:02x}")])
    }

    pub(crate) fn unreachable(&self, error: &dyn std::error::Error) -> ObjectError {
        // The driver wraps causes deeply and says the useful word last.
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !cause.contains(&text) {
                cause = format!("{cause}: {text}");
            }
            source = error.source();
        }
        ObjectError::Unreachable { place: self.shown.clone(), cause }
    }
}

/// What an object begins with.
const MAGIC: &[u8; 4] = b"RVO1";

/// How much content is sealed at once: little enough to hold, enough that the seal weighs nothing.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much longer than its content a sealed chunk may be.
const SEAL_BYTES_MAX: usize = 1024;
