//! The records of one tenant.

use reeve_base::{Purpose, SealError};

use crate::apply::{Apply, Author};
use crate::batch::{Batch, Expect};
use crate::engine::{Failure, Job, Never, Stop, plain};
use crate::envelope;
use crate::error::{ReadError, WriteError};
use crate::link::{Link, Row, Value, time, unsigned};
use crate::names::{Digest, record_context};
use crate::record::{Lookup, Record, Versioned};
use crate::store::Store;

/// One tenant's part of the store. Nothing that is done through it reads or changes another tenant's rows.
#[derive(Clone)]
pub struct Scope {
    store: Store,
    tenant: String,
    digest: Digest,
}

impl Scope {
    pub(crate) fn new(store: Store, tenant: &str) -> Self {
        let digest = store.names().tenant(tenant);
        Self { store, tenant: tenant.to_owned(), digest }
    }

    /// The record under `id`, if there is one.
    ///
    /// # Errors
    /// [`ReadError`]; one that was altered or moved is an error and never nothing.
    pub async fn get<R: Record>(&self, id: &str) -> Result<Option<Versioned<R>>, ReadError> {
        let key = self.store.names().record(&self.digest, R::COLLECTION, id);
        let job = Get { tenant: self.digest, collection: R::COLLECTION, key };
        let found = self.store.engine().glance(job).await.map_err(plain)?;
        found.map(|found| self.open(found)).transpose()
    }

    /// The records that have this lookup, in no order that means anything, at most 1000.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn find<R: Record>(&self, lookup: &Lookup) -> Result<Vec<Versioned<R>>, ReadError> {
        let hash = self.store.names().lookup(&self.digest, R::COLLECTION, lookup.name, &lookup.value);
        let job = Find { tenant: self.digest, collection: R::COLLECTION, name: lookup.name, hash };
        let found = self.store.engine().read(job).await.map_err(plain)?;
        found.into_iter().map(|found| self.open(found)).collect()
    }

    /// The next `limit` records of the collection after the one with the id `after` (which may be gone by now), from
    /// the first if nothing is named. The order is that of the ids' hashes: always the same, and meaningless.
    ///
    /// # Errors
    /// [`ReadError`]; `limit` is at most 1000.
    pub async fn list<R: Record>(&self, after: Option<&str>, limit: usize) -> Result<Vec<Versioned<R>>, ReadError> {
        if limit > PAGE_MAX {
            return Err(ReadError::TooMany { asked: limit, most: PAGE_MAX });
        }
        let after = after.map(|id| self.store.names().record(&self.digest, R::COLLECTION, id));
        let job = List { tenant: self.digest, collection: R::COLLECTION, after, limit };
        let found = self.store.engine().read(job).await.map_err(plain)?;
        found.into_iter().map(|found| self.open(found)).collect()
    }

    /// Makes the record under `id` what `record` is; its new version. On return it is durable.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn put<R: Record>(&self, id: &str, expect: Expect, record: &R) -> Result<u64, WriteError> {
        let mut batch = Batch::new();
        batch.put(id, expect, record);
        Ok(self.commit(batch).await?.first().copied().unwrap_or_default())
    }

    /// Deletes the record under `id`; whether there was one.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn delete<R: Record>(&self, id: &str, expect: Expect) -> Result<bool, WriteError> {
        let mut batch = Batch::new();
        batch.delete::<R>(id, expect);
        Ok(self.commit(batch).await?.first().is_some_and(|version| *version > 0))
    }

    /// Makes all changes of the batch, or none. On return they are durable. The answer has a number for each change,
    /// in the order of the batch: the new version, or the one that was deleted (0: there was none).
    ///
    /// # Errors
    /// [`WriteError`]; the first change that cannot be made.
    pub async fn commit(&self, mut batch: Batch) -> Result<Vec<u64>, WriteError> {
        batch.check()?;
        let ids = batch.messages.iter().map(|message| self.number(message.topic)).collect::<Result<_, _>>()?;
        let introduce = !self.store.knows(&self.digest);
        let author = Author {
            tenant: &self.tenant,
            digest: self.digest,
            introduce,
            names: self.store.names(),
            sealer: self.store.sealer(),
            now: self.store.now().as_millisecond(),
        };
        let job = Apply::new(batch, &author, ids);
        let versions = self.store.engine().write(job).await.map_err(Failure::into_error)?;
        if introduce {
            self.store.remember(self.digest);
        }
        Ok(versions)
    }

    /// The tenant's hash, which objects are named by.
    pub(crate) const fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    fn number(&self, topic: &'static str) -> Result<[u8; 16], WriteError> {
        let mut number = [0; 16];
        let filled = self.store.entropy().fill(&mut number);
        filled.map_err(|cause| WriteError::Seal {
            collection: topic,
            cause: SealError::CannotSeal { purpose: Purpose::StoreMessage, cause: cause.to_string() },
        })?;
        Ok(number)
    }

    fn open<R: Record>(&self, found: Found) -> Result<Versioned<R>, ReadError> {
        let context = record_context(&self.digest, R::COLLECTION, &found.key, found.version);
        let sealed = |cause| ReadError::Sealed { collection: R::COLLECTION.to_owned(), cause };
        let secret = self.store.sealer().open(Purpose::StoreRecord, &context, &found.sealed).map_err(sealed)?;
        let form = |schema, cause: String| ReadError::Form {
            collection: R::COLLECTION.to_owned(),
            schema,
            known: R::SCHEMA,
            cause,
        };
        let open = envelope::open(secret.expose()).ok_or_else(|| form(0, String::from("the envelope is not one")))?;
        let value = match open.schema {
            schema if schema == R::SCHEMA => serde_json::from_slice(open.value),
            schema if schema < R::SCHEMA => R::upgrade(schema, open.value),
            newer => return Err(form(newer, String::from("it was kept by a newer program"))),
        };
        let [id, _] = open.names;
        Ok(Versioned {
            id: id.to_owned(),
            version: unsigned(found.version),
            changed: time(found.changed),
            value: value.map_err(|cause| form(open.schema, describe(&cause)))?,
        })
    }
}

/// What does not fit, without the value itself, which serde's own words may repeat.
fn describe(cause: &serde_json::Error) -> String {
    format!("{:?} error at column {}", cause.classify(), cause.column()).to_lowercase()
}

/// A row of records, still sealed.
pub(crate) struct Found {
    key: Digest,
    version: i64,
    changed: i64,
    sealed: Vec<u8>,
}

/// From the columns key, version, changed, sealed.
fn found(row: &Row) -> Result<Found, sqlx::Error> {
    Ok(Found { key: row.digest(0)?, version: row.number(1)?, changed: row.number(2)?, sealed: row.bytes(3)? })
}

struct Get {
    tenant: Digest,
    collection: &'static str,
    key: Digest,
}

impl Job for Get {
    type Answer = Option<Found>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Option<Found>, Stop<Never>> {
        let sql = link.pick(
            "SELECT version, changed, sealed FROM records WHERE tenant = $1 AND collection = $2 AND key = $3",
            "SELECT version, changed, sealed FROM record_of($1, $2, $3)",
        );
        let of = [Value::Bytes(&self.tenant), Value::Text(self.collection), Value::Bytes(&self.key)];
        let Some(row) = link.row(sql, &of).await? else { return Ok(None) };
        Ok(Some(Found { key: self.key, version: row.number(0)?, changed: row.number(1)?, sealed: row.bytes(2)? }))
    }
}

struct Find {
    tenant: Digest,
    collection: &'static str,
    name: &'static str,
    hash: Digest,
}

impl Job for Find {
    type Answer = Vec<Found>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Vec<Found>, Stop<Never>> {
        let values = [
            Value::Bytes(&self.tenant),
            Value::Text(self.collection),
            Value::Text(self.name),
            Value::Bytes(&self.hash),
            Value::Number(PAGE_MAX as i64),
        ];
        Ok(link.rows(FIND, &values).await?.iter().map(found).collect::<Result<_, _>>()?)
    }
}

struct List {
    tenant: Digest,
    collection: &'static str,
    after: Option<Digest>,
    limit: usize,
}

impl Job for List {
    type Answer = Vec<Found>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Vec<Found>, Stop<Never>> {
        // An empty key stands before every hash.
        let after: &[u8] = self.after.as_ref().map_or(&[], |digest| digest);
        let values = [
            Value::Bytes(&self.tenant),
            Value::Text(self.collection),
            Value::Bytes(after),
            Value::Number(i64::try_from(self.limit).unwrap_or_default()),
        ];
        Ok(link.rows(LIST, &values).await?.iter().map(found).collect::<Result<_, _>>()?)
    }
}

const FIND: &str = "
SELECT r.key, r.version, r.changed, r.sealed FROM lookups l
JOIN records r ON r.tenant = l.tenant AND r.collection = l.collection AND r.key = l.key
WHERE l.tenant = $1 AND l.collection = $2 AND l.name = $3 AND l.hash = $4
ORDER BY l.key LIMIT $5";

const LIST: &str = "
SELECT key, version, changed, sealed FROM records
WHERE tenant = $1 AND collection = $2 AND key > $3 ORDER BY key LIMIT $4";

/// More at once would only be held in memory.
const PAGE_MAX: usize = 1_000;
