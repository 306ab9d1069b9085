//! A batch, as statements.

use std::sync::Arc;

use reeve_base::{Purpose, SealError, Sealer};

use crate::batch::{Batch, Expect};
use crate::engine::{Job, Stop};
use crate::envelope::{self, Plain};
use crate::error::WriteError;
use crate::link::{Link, Value, signed, unsigned};
use crate::names::{Digest, Names, message_context, record_context};

/// A batch with every name turned into its hash.
pub(crate) struct Apply {
    tenant: Digest,
    /// Whether the tenant may be new to the database.
    introduce: bool,
    changes: Vec<Hashed>,
    messages: Vec<Outgoing>,
    fence: Option<(Digest, i64)>,
    now: i64,
    sealer: Arc<dyn Sealer>,
}

struct Hashed {
    collection: &'static str,
    key: Digest,
    expect: Expect,
    put: Option<(Plain, Vec<Looked>)>,
}

/// A lookup of a record. Ordered by name and hash, so that all batches take the locks of an index in the same order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Looked {
    name: &'static str,
    hash: Digest,
    sole: bool,
}

struct Outgoing {
    id: [u8; 16],
    topic: &'static str,
    lane: Digest,
    plain: Plain,
    due: i64,
}

/// Whose batch it is, and what it is made with.
pub(crate) struct Author<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) digest: Digest,
    pub(crate) introduce: bool,
    pub(crate) names: &'a Names,
    pub(crate) sealer: &'a Arc<dyn Sealer>,
    pub(crate) now: i64,
}

impl Apply {
    /// Prepares a batch; `ids` has a number for each of its messages.
    pub(crate) fn new(batch: Batch, author: &Author<'_>, ids: Vec<[u8; 16]>) -> Self {
        let Author { names, digest: tenant, .. } = author;
        let changes = batch.changes.into_iter().map(|change| Hashed {
            collection: change.collection,
            key: names.record(tenant, change.collection, &change.id),
            expect: change.expect,
            put: change.put.map(|put| {
                let hash = |value: &[u8], name| names.lookup(tenant, change.collection, name, value);
                let looked = put.lookups.iter().map(|lookup| Looked {
                    name: lookup.name,
                    hash: hash(&lookup.value, lookup.name),
                    sole: lookup.sole,
                });
                let mut looked: Vec<_> = looked.collect();
                looked.sort_unstable();
                looked.dedup_by(|left, right| left.name == right.name && left.hash == right.hash);
                (put.plain, looked)
            }),
        });
        let messages = batch.messages.into_iter().zip(ids).map(|(message, id)| Outgoing {
            id,
            topic: message.topic,
            lane: names.lane(tenant, message.topic, &message.key),
            plain: envelope::close(0, [author.tenant, &message.key], &message.json),
            due: message.due.map_or(author.now, |due| due.as_millisecond()),
        });
        Self {
            tenant: *tenant,
            introduce: author.introduce,
            changes: changes.collect(),
            messages: messages.collect(),
            fence: batch.fence.map(|(name, token)| (names.lease(&name), signed(token))),
            now: author.now,
            sealer: Arc::clone(author.sealer),
        }
    }

    async fn check_fence(&self, link: &mut Link<'_>) -> Result<(), Stop<WriteError>> {
        let Some((name, held)) = self.fence else { return Ok(()) };
        // On PostgreSQL the row is held until the commit, so that nobody takes the lease over in between.
        let sql = link.pick(
            "SELECT token, expires FROM leases WHERE name = $1",
            "SELECT token, expires FROM leases WHERE name = $1 FOR SHARE",
        );
        let row = link.row(sql, &[Value::Bytes(&name)]).await?;
        let (newest, expires) = match row {
            Some(row) => (row.number(0)?, row.number(1)?),
            None => (0, 0),
        };
        // One that has expired and was not taken over still excludes everybody else; one given back (0) does not.
        if newest == held && expires != 0 {
            return Ok(());
        }
        Err(Stop::Refused(WriteError::Fenced { held: unsigned(held), newest: unsigned(newest) }))
    }

    /// Makes one change; the version after it, for a deletion the version that was deleted (0: there was none).
    async fn change(&self, link: &mut Link<'_>, index: usize, change: &Hashed) -> Result<u64, Stop<WriteError>> {
        let Some((plain, looked)) = &change.put else { return self.delete(link, index, change).await };
        let (version, looked_before) = self.put(link, index, change, plain, !looked.is_empty()).await?;
        if looked_before {
            let of = [Value::Bytes(&self.tenant), Value::Text(change.collection), Value::Bytes(&change.key)];
            link.run("DELETE FROM lookups WHERE tenant = $1 AND collection = $2 AND key = $3", &of).await?;
        }
        for lookup in looked {
            let values = [
                Value::Bytes(&self.tenant),
                Value::Text(change.collection),
                Value::Text(lookup.name),
                Value::Bytes(&lookup.hash),
                Value::Bytes(&change.key),
                Value::Number(i64::from(lookup.sole)),
            ];
            if link.run(INSERT_LOOKUP, &values).await? == 0 {
                let (collection, lookup) = (change.collection, lookup.name);
                return Err(Stop::Refused(WriteError::Taken { collection, change: index, lookup }));
            }
        }
        Ok(unsigned(version))
    }

    /// Writes the value; its version, and whether the one before may have had lookups.
    async fn put(
        &self,
        link: &mut Link<'_>,
        index: usize,
        change: &Hashed,
        plain: &[u8],
        looked: bool,
    ) -> Result<(i64, bool), Stop<WriteError>> {
        let current = match change.expect {
            Expect::New => None,
            Expect::Version(version) => Some(signed(version)),
            Expect::Any => self.version(link, change, true).await?,
        };
        let version = current.unwrap_or_default().saturating_add(1);
        let sealed = self.seal(change, version, plain)?;
        let mut values = vec![
            Value::Bytes(&self.tenant),
            Value::Text(change.collection),
            Value::Bytes(&change.key),
            Value::Number(version),
            Value::Number(self.now),
            Value::Bytes(&sealed),
            Value::Number(i64::from(looked)),
        ];
        match current {
            None => {
                if link.run(INSERT, &values).await? == 1 {
                    return Ok((version, false));
                }
            }
            Some(current) => {
                values.push(Value::Number(current));
                if let Some(row) = link.row(UPDATE, &values).await? {
                    return Ok((version, row.number(0)? != 0));
                }
            }
        }
        if change.expect == Expect::Any {
            // Between the look and the change another transaction made one: the whole is tried again.
            return Err(Stop::Again);
        }
        self.conflict(link, index, change).await
    }

    async fn delete(&self, link: &mut Link<'_>, index: usize, change: &Hashed) -> Result<u64, Stop<WriteError>> {
        let current = self.version(link, change, true).await?;
        let matches = match (change.expect, current) {
            (Expect::Any, _) | (Expect::New, None) => true,
            (Expect::Version(expected), Some(current)) => signed(expected) == current,
            (Expect::New, Some(_)) | (Expect::Version(_), None) => false,
        };
        if !matches {
            return self.conflict(link, index, change).await;
        }
        let of = [Value::Bytes(&self.tenant), Value::Text(change.collection), Value::Bytes(&change.key)];
        link.run("DELETE FROM records WHERE tenant = $1 AND collection = $2 AND key = $3", &of).await?;
        Ok(unsigned(current.unwrap_or_default()))
    }

    async fn conflict<T>(&self, link: &mut Link<'_>, index: usize, change: &Hashed) -> Result<T, Stop<WriteError>> {
        let found = self.version(link, change, false).await?.map(unsigned);
        Err(Stop::Refused(WriteError::Conflict { collection: change.collection, change: index, found }))
    }

    async fn version(&self, link: &mut Link<'_>, change: &Hashed, hold: bool) -> Result<Option<i64>, sqlx::Error> {
        let sql = if hold { link.pick(VERSION, VERSION_HELD) } else { VERSION };
        let of = [Value::Bytes(&self.tenant), Value::Text(change.collection), Value::Bytes(&change.key)];
        link.row(sql, &of).await?.map(|row| row.number(0)).transpose()
    }

    fn seal(&self, change: &Hashed, version: i64, plain: &[u8]) -> Result<Vec<u8>, Stop<WriteError>> {
        let context = record_context(&self.tenant, change.collection, &change.key, version);
        let sealed = self.sealer.seal(Purpose::StoreRecord, &context, plain);
        sealed.map_err(|cause| Stop::Refused(WriteError::Seal { collection: change.collection, cause }))
    }

    async fn send(&self, link: &mut Link<'_>, message: &Outgoing) -> Result<(), Stop<WriteError>> {
        let context = message_context(&self.tenant, message.topic, &message.lane, &message.id);
        let refused = |cause: SealError| Stop::Refused(WriteError::Seal { collection: message.topic, cause });
        let sealed = self.sealer.seal(Purpose::StoreMessage, &context, &message.plain).map_err(refused)?;
        let values = [
            Value::Bytes(&message.id),
            Value::Bytes(&self.tenant),
            Value::Text(message.topic),
            Value::Bytes(&message.lane),
            Value::Bytes(&sealed),
            Value::Number(message.due),
        ];
        link.run(INSERT_MESSAGE, &values).await?;
        Ok(())
    }
}

impl Job for Apply {
    type Answer = Vec<u64>;
    type Refusal = WriteError;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    fn may_undo(&self) -> bool {
        let lookups = |change: &Hashed| change.put.as_ref().is_some_and(|(_, looked)| !looked.is_empty());
        self.changes.len() + self.messages.len() > 1 || self.changes.iter().any(lookups)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Vec<u64>, Stop<WriteError>> {
        self.check_fence(link).await?;
        let mut versions = Vec::with_capacity(self.changes.len());
        for (index, change) in self.changes.iter().enumerate() {
            versions.push(self.change(link, index, change).await?);
        }
        // Last, so that of two batches that change the same record the second also gets the later number.
        for message in &self.messages {
            self.send(link, message).await?;
        }
        if self.introduce {
            let tenant = [Value::Bytes(&self.tenant)];
            link.run("INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING", &tenant).await?;
        }
        Ok(versions)
    }
}

const VERSION: &str = "SELECT version FROM records WHERE tenant = $1 AND collection = $2 AND key = $3";
const VERSION_HELD: &str = "SELECT version FROM records WHERE tenant = $1 AND collection = $2 AND key = $3 FOR UPDATE";

const INSERT: &str = "
INSERT INTO records (tenant, collection, key, version, changed, sealed, looked) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING";

const UPDATE: &str = "
UPDATE records SET version = $4, changed = $5, sealed = $6, looked = CASE looked WHEN 0 THEN $7 ELSE 1 END
WHERE tenant = $1 AND collection = $2 AND key = $3 AND version = $8 RETURNING looked";

const INSERT_LOOKUP: &str = "
INSERT INTO lookups (tenant, collection, name, hash, key, sole) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING";

const INSERT_MESSAGE: &str = "
INSERT INTO outbox (id, tenant, topic, lane, sealed, due, claimed_until, attempts)
VALUES ($1, $2, $3, $4, $5, $6, 0, 0)";
