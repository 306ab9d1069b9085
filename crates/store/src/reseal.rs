//! Sealing anew what is under an old version of the key, so that the version can be destroyed.

use reeve_base::Purpose;

use crate::engine::{Job, Never, Stop, plain};
use crate::error::DatabaseError;
use crate::link::{Link, Value};
use crate::names::{Digest, message_context, record_context};
use crate::objects::ObjectError;
use crate::rows::{MessagesAfter, RecordsAfter, SealedRecord};
use crate::status::NextTenant;
use crate::store::Store;

/// How far it has come.
#[derive(Debug, Clone, Default)]
pub struct Resealed {
    /// Records, messages and objects that were looked at in this step.
    pub looked: u64,
    /// Those that were sealed anew.
    pub resealed: u64,
    /// Those that do not open: they were altered, or their key is gone already. They stay as they are.
    pub refused: u64,
    /// Where the next step begins; nothing if this was the last.
    pub next: Option<Position>,
}

/// A place between two steps. The default is the beginning.
#[derive(Debug, Clone, Default)]
pub struct Position {
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    /// Between tenants.
    Tenants {
        after: Option<Digest>,
    },
    Records {
        tenant: Digest,
        collection: String,
        key: Vec<u8>,
    },
    Messages {
        tenant: Digest,
        seq: i64,
    },
    /// A shelf of objects, whole.
    Objects {
        shelf: u8,
    },
}

impl Default for Part {
    fn default() -> Self {
        Self::Tenants { after: None }
    }
}

/// Why it cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResealError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The folder or the bucket.
    #[error(transparent)]
    Objects(#[from] ObjectError),
}

impl Store {
    /// Looks at the next `limit` records or messages, or at one of 256 shelves of objects, and seals anew what is not
    /// under the newest version of its key. Others may work meanwhile: what somebody changes is sealed under the newest
    /// version by that. Call it again with [`Resealed::next`] until there is none.
    ///
    /// # Errors
    /// [`ResealError`]; nothing is lost, and the step can be repeated.
    pub async fn reseal(&self, from: Position, limit: usize) -> Result<Resealed, ResealError> {
        let limit = limit.clamp(1, STEP_MAX);
        match from.part {
            Part::Tenants { after } => {
                let next = self.engine().read(NextTenant { after }).await.map_err(plain)?;
                let part = next.map_or(Part::Objects { shelf: 0 }, |tenant| Part::Records {
                    tenant,
                    collection: String::new(),
                    key: Vec::new(),
                });
                Ok(Resealed { next: Some(Position { part }), ..Resealed::default() })
            }
            Part::Records { tenant, collection, key } => self.reseal_records(tenant, collection, key, limit).await,
            Part::Messages { tenant, seq } => self.reseal_messages(tenant, seq, limit).await,
            Part::Objects { shelf } => self.reseal_shelf(shelf).await,
        }
    }

    async fn reseal_records(
        &self,
        tenant: Digest,
        collection: String,
        key: Vec<u8>,
        limit: usize,
    ) -> Result<Resealed, ResealError> {
        let rows = self.engine().read(RecordsAfter { tenant, collection, key, limit }).await.map_err(plain)?;
        let part = match rows.last() {
            Some(last) if rows.len() == limit => {
                Part::Records { tenant, collection: last.collection.clone(), key: last.key.clone() }
            }
            _ => Part::Messages { tenant, seq: 0 },
        };
        let mut step = Step::new(rows.len(), part);
        let mut renewed = Vec::new();
        for row in rows {
            let context = record_context(&tenant, &row.collection, &row.key, row.version);
            if let Some(sealed) = self.renew(Purpose::StoreRecord, &context, &row.sealed, &mut step) {
                renewed.push(SealedRecord { sealed, ..row });
            }
        }
        if !renewed.is_empty() {
            self.engine().write(RewriteRecords { tenant, rows: renewed }).await.map_err(plain)?;
        }
        Ok(step.done)
    }

    async fn reseal_messages(&self, tenant: Digest, seq: i64, limit: usize) -> Result<Resealed, ResealError> {
        let rows = self.engine().read(MessagesAfter { tenant, seq, limit }).await.map_err(plain)?;
        let part = match rows.last() {
            Some(last) if rows.len() == limit => Part::Messages { tenant, seq: last.seq },
            _ => Part::Tenants { after: Some(tenant) },
        };
        let mut step = Step::new(rows.len(), part);
        let mut renewed = Vec::new();
        for row in rows {
            let context = message_context(&tenant, &row.topic, &row.lane, &row.id);
            if let Some(sealed) = self.renew(Purpose::StoreMessage, &context, &row.sealed, &mut step) {
                renewed.push((row.seq, sealed));
            }
        }
        if !renewed.is_empty() {
            self.engine().write(RewriteMessages { tenant, rows: renewed }).await.map_err(plain)?;
        }
        Ok(step.done)
    }

    /// The value sealed anew; nothing if that is not needed or not possible.
    fn renew(&self, purpose: Purpose, context: &[u8], sealed: &[u8], step: &mut Step) -> Option<Vec<u8>> {
        if self.sealer().is_current(sealed) {
            return None;
        }
        let renewed = self
            .sealer()
            .open(purpose, context, sealed)
            .and_then(|secret| self.sealer().seal(purpose, context, secret.expose()));
        match renewed {
            Ok(renewed) => {
                step.done.resealed += 1;
                Some(renewed)
            }
            Err(error) => {
                tracing::error!(%purpose, %error, "cannot be sealed anew");
                step.done.refused += 1;
                None
            }
        }
    }

    async fn reseal_shelf(&self, shelf: u8) -> Result<Resealed, ResealError> {
        let objects = self.objects();
        let listed = objects.place.list_with_delimiter(Some(&objects.shelf(shelf))).await;
        let listed = listed.map_err(|error| objects.unreachable(&error))?;
        let mut step = Step { done: Resealed::default() };
        step.done.next = shelf.checked_add(1).map(|shelf| Position { part: Part::Objects { shelf } });
        for meta in listed.objects {
            let Some(digest) = meta.location.filename().and_then(digest_of) else { continue };
            step.done.looked += 1;
            match self.reseal_object(digest).await {
                Ok(true) => step.done.resealed += 1,
                Ok(false) => {}
                Err(ObjectError::Sealed(error)) => {
                    tracing::error!(%error, "an object cannot be sealed anew");
                    step.done.refused += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(step.done)
    }

    /// Writes an object anew if its first chunk is under an old version; whether it was. The first chunk is the oldest,
    /// so it speaks for all.
    async fn reseal_object(&self, digest: Digest) -> Result<bool, ObjectError> {
        let objects = self.objects();
        let Some(mut first) = objects.read_at(digest).await? else { return Ok(false) };
        match first.sealed().await? {
            Some(sealed) if !self.sealer().is_current(&sealed) => {}
            _ => return Ok(false),
        }
        let Some(mut reader) = objects.read_at(digest).await? else { return Ok(false) };
        let mut writer = objects.write_at(digest).await?;
        while let Some(chunk) = reader.next().await? {
            writer.write(chunk.expose()).await?;
        }
        writer.replace(reader.meta()).await
    }
}

struct Step {
    done: Resealed,
}

impl Step {
    fn new(looked: usize, part: Part) -> Self {
        Self { done: Resealed { looked: looked as u64, next: Some(Position { part }), ..Resealed::default() } }
    }
}

fn digest_of(name: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if name.len() != digest.len() * 2 {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// Exchanges sealed values where nobody else has meanwhile.
struct RewriteRecords {
    tenant: Digest,
    rows: Vec<SealedRecord>,
}

impl Job for RewriteRecords {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        for row in &self.rows {
            let values = [
                Value::Bytes(&self.tenant),
                Value::Text(&row.collection),
                Value::Bytes(&row.key),
                Value::Number(row.version),
                Value::Bytes(&row.sealed),
            ];
            link.run(REWRITE_RECORD, &values).await?;
        }
        Ok(())
    }
}

struct RewriteMessages {
    tenant: Digest,
    rows: Vec<(i64, Vec<u8>)>,
}

impl Job for RewriteMessages {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        for (seq, sealed) in &self.rows {
            let values = [Value::Bytes(&self.tenant), Value::Number(*seq), Value::Bytes(sealed)];
            link.run("UPDATE outbox SET sealed = $3 WHERE tenant = $1 AND seq = $2", &values).await?;
        }
        Ok(())
    }
}

const REWRITE_RECORD: &str = "
UPDATE records SET sealed = $5 WHERE tenant = $1 AND collection = $2 AND key = $3 AND version = $4";

/// Small enough that others hardly wait.
const STEP_MAX: usize = 1_000;
