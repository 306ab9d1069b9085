//! Writing an object.

use object_store::buffered::BufWriter;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use reeve_base::{Purpose, SealError};
use tokio::io::AsyncWriteExt as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{CHUNK_BYTES, MAGIC, ObjectError, Objects};
use crate::names::{Digest, chunk_context};

/// An object on its way in. Dropped before [`ObjectWriter::finish`], it is as if it had never begun; in a bucket, call
/// [`ObjectWriter::abort`] so that no parts are left to pay for.
pub struct ObjectWriter {
    objects: Objects,
    object: Digest,
    writing: [u8; 16],
    out: BufWriter,
    /// What has not made a full chunk yet. Never grows past one.
    pending: Zeroizing<Vec<u8>>,
    index: u64,
}

impl ObjectWriter {
    pub(super) async fn begin(objects: &Objects, object: Digest) -> Result<Self, ObjectError> {
        let mut writing = [0; 16];
        objects.tools.entropy.fill(&mut writing).map_err(|cause| {
            let (purpose, cause) = (Purpose::StoreObject, cause.to_string());
            ObjectError::CannotSeal(SealError::CannotSeal { purpose, cause })
        })?;
        let out = BufWriter::with_capacity(objects.place.clone(), objects.path(&object), PART_BYTES);
        let pending = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        let mut writer = Self { objects: objects.clone(), object, writing, out, pending, index: 0 };
        writer.put(MAGIC).await?;
        writer.put(&writing).await?;
        Ok(writer)
    }

    /// Adds to its content.
    ///
    /// # Errors
    /// [`ObjectError`]; the object can then only be dropped.
    pub async fn write(&mut self, mut content: &[u8]) -> Result<(), ObjectError> {
        while !content.is_empty() {
            // A full chunk waits for the next byte: until then it may be the last.
            if self.pending.len() == CHUNK_BYTES {
                self.seal(false).await?;
            }
            let room = CHUNK_BYTES - self.pending.len();
            let (now, later) = content.split_at(room.min(content.len()));
            self.pending.extend_from_slice(now);
            content = later;
        }
        Ok(())
    }

    /// Puts the object in its place, all at once. On return it is durable.
    ///
    /// # Errors
    /// [`ObjectError`]; what was there before is still there.
    pub async fn finish(mut self) -> Result<(), ObjectError> {
        self.seal(true).await?;
        let _beside = self.objects.replacing.read().await;
        let ended = self.out.shutdown().await;
        ended.map_err(|error| self.objects.unreachable(&error))
    }

    /// The same, if the place still has what `old` tells of; whether it had. No writer of this process can come in
    /// between; one of another process could, in the moment between the look and the end.
    pub(crate) async fn replace(mut self, old: &ObjectMeta) -> Result<bool, ObjectError> {
        self.seal(true).await?;
        let objects = self.objects.clone();
        let _alone = objects.replacing.write().await;
        let same = match objects.place.head(&old.location).await {
            Ok(new) => new.e_tag == old.e_tag && new.last_modified == old.last_modified && new.size == old.size,
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(objects.unreachable(&error)),
        };
        let ended = if same { self.out.shutdown().await } else { self.out.abort().await.map_err(Into::into) };
        ended.map(|()| same).map_err(|error| objects.unreachable(&error))
    }

    /// Gives it up.
    ///
    /// # Errors
    /// [`ObjectError`] if parts may be left in the bucket.
    pub async fn abort(mut self) -> Result<(), ObjectError> {
        let ended = self.out.abort().await;
        ended.map_err(|error| self.objects.unreachable(&error))
    }

    async fn seal(&mut self, last: bool) -> Result<(), ObjectError> {
        let context = chunk_context(&self.object, &self.writing, self.index, last);
        let sealed = self.objects.tools.sealer.seal(Purpose::StoreObject, &context, &self.pending);
        let sealed = sealed.map_err(ObjectError::CannotSeal)?;
        self.pending.as_mut_slice().zeroize();
        self.pending.clear();
        self.index += 1;
        // INVARIANT: a chunk and its seal are far below four gibibytes; a wrong length would not open.
        self.put(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes()).await?;
        self.put(&sealed).await
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        let put = self.out.write_all(bytes).await;
        put.map_err(|error| self.objects.unreachable(&error))
    }
}

/// The smallest part that a bucket takes (S3: 5 MiB); smaller objects go in one piece.
const PART_BYTES: usize = 5 * 1024 * 1024;
