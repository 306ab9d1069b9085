//! Reading an object.

use object_store::buffered::BufReader;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use reeve_base::{Purpose, SealError, Secret};
use tokio::io::AsyncReadExt as _;

use super::{CHUNK_BYTES, MAGIC, ObjectError, Objects, SEAL_BYTES_MAX};
use crate::names::{Digest, chunk_context};

/// An object on its way out, chunk by chunk.
pub struct ObjectReader {
    objects: Objects,
    object: Digest,
    writing: [u8; 16],
    meta: ObjectMeta,
    input: BufReader,
    index: u64,
    /// Bytes that have not been read, by the size that the place told at the beginning.
    left: u64,
    ended: bool,
}

impl ObjectReader {
    pub(super) async fn begin(objects: &Objects, object: Digest) -> Result<Option<Self>, ObjectError> {
        let meta = match objects.place.head(&objects.path(&object)).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(objects.unreachable(&error)),
        };
        let input = BufReader::with_capacity(objects.place.clone(), &meta, READ_BYTES);
        let (objects, left) = (objects.clone(), meta.size);
        let mut reader = Self { objects, object, writing: [0; 16], meta, input, index: 0, left, ended: false };
        let mut magic = [0; MAGIC.len()];
        reader.fill(&mut magic).await?;
        if magic != *MAGIC {
            return Err(refused());
        }
        let mut writing = [0; 16];
        reader.fill(&mut writing).await?;
        reader.writing = writing;
        Ok(Some(reader))
    }

    /// The next piece of the content; nothing after the last. Whoever acts on a piece before the last has come must be
    /// ready to undo it: only the last shows that nothing was cut off.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub async fn next(&mut self) -> Result<Option<Secret<Vec<u8>>>, ObjectError> {
        let Some(sealed) = self.sealed().await? else { return Ok(None) };
        let context = chunk_context(&self.object, &self.writing, self.index, self.ended);
        let opened = self.objects.tools.sealer.open(Purpose::StoreObject, &context, &sealed);
        self.index += 1;
        opened.map(Some).map_err(ObjectError::Sealed)
    }

    /// The next chunk as it is; nothing after the last.
    pub(crate) async fn sealed(&mut self) -> Result<Option<Vec<u8>>, ObjectError> {
        if self.ended {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.fill(&mut length).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > CHUNK_BYTES + SEAL_BYTES_MAX {
            return Err(refused());
        }
        let mut sealed = vec![0; length];
        self.fill(&mut sealed).await?;
        self.ended = self.left == 0;
        Ok(Some(sealed))
    }

    /// What the place knows of it.
    pub(crate) const fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// At most so much content is left.
    pub(super) fn size_max(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ObjectError> {
        let length = bytes.len() as u64;
        let Some(left) = self.left.checked_sub(length) else { return Err(refused()) };
        self.left = left;
        match self.input.read_exact(bytes).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(refused()),
            Err(error) => Err(self.objects.unreachable(&error)),
        }
    }
}

fn refused() -> ObjectError {
    ObjectError::Sealed(SealError::Refused(Purpose::StoreObject))
}

/// How much is asked for at once.
const READ_BYTES: usize = 1024 * 1024;
