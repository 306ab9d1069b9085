//! Rows as they stand in a database, page by page: for what goes through all of them without opening any.

use crate::engine::{Job, Never, Stop};
use crate::link::{Link, Value};
use crate::names::Digest;

/// A record as it stands in the database.
#[derive(Clone)]
pub(crate) struct SealedRecord {
    pub(crate) collection: String,
    pub(crate) key: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) changed: i64,
    pub(crate) sealed: Vec<u8>,
}

/// A tenant's records after one, in the order of collection and key.
pub(crate) struct RecordsAfter {
    pub(crate) tenant: Digest,
    pub(crate) collection: String,
    pub(crate) key: Vec<u8>,
    pub(crate) limit: usize,
}

impl Job for RecordsAfter {
    type Answer = Vec<SealedRecord>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let values = [
            Value::Bytes(&self.tenant),
            Value::Text(&self.collection),
            Value::Bytes(&self.key),
            Value::Number(i64::try_from(self.limit).unwrap_or_default()),
        ];
        let rows = link.rows(RECORDS_AFTER, &values).await?;
        let records = rows.iter().map(|row| {
            Ok(SealedRecord {
                collection: row.text(0)?,
                key: row.bytes(1)?,
                version: row.number(2)?,
                changed: row.number(3)?,
                sealed: row.bytes(4)?,
            })
        });
        Ok(records.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// A message as it stands in the database.
#[derive(Clone)]
pub(crate) struct SealedMessage {
    pub(crate) seq: i64,
    pub(crate) id: Vec<u8>,
    pub(crate) topic: String,
    pub(crate) lane: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) due: i64,
    pub(crate) attempts: i64,
}

/// A tenant's messages after one, in their order.
pub(crate) struct MessagesAfter {
    pub(crate) tenant: Digest,
    pub(crate) seq: i64,
    pub(crate) limit: usize,
}

impl Job for MessagesAfter {
    type Answer = Vec<SealedMessage>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let limit = i64::try_from(self.limit).unwrap_or_default();
        let values = [Value::Bytes(&self.tenant), Value::Number(self.seq), Value::Number(limit)];
        let rows = link.rows(MESSAGES_AFTER, &values).await?;
        let messages = rows.iter().map(|row| {
            Ok(SealedMessage {
                seq: row.number(0)?,
                id: row.bytes(1)?,
                topic: row.text(2)?,
                lane: row.bytes(3)?,
                sealed: row.bytes(4)?,
                due: row.number(5)?,
                attempts: row.number(6)?,
            })
        });
        Ok(messages.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// A lookup as it stands in the database.
#[derive(Clone)]
pub(crate) struct LookupRow {
    pub(crate) collection: String,
    pub(crate) name: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) sole: i64,
}

/// A tenant's lookups after one, in the order of their own key; an empty one stands before all.
pub(crate) struct LookupsAfter {
    pub(crate) tenant: Digest,
    pub(crate) after: LookupRow,
    pub(crate) limit: usize,
}

impl LookupRow {
    pub(crate) const fn first() -> Self {
        Self { collection: String::new(), name: String::new(), hash: Vec::new(), key: Vec::new(), sole: 0 }
    }
}

impl Job for LookupsAfter {
    type Answer = Vec<LookupRow>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let values = [
            Value::Bytes(&self.tenant),
            Value::Text(&self.after.collection),
            Value::Text(&self.after.name),
            Value::Bytes(&self.after.hash),
            Value::Bytes(&self.after.key),
            Value::Number(i64::try_from(self.limit).unwrap_or_default()),
        ];
        let rows = link.rows(LOOKUPS_AFTER, &values).await?;
        let lookups = rows.iter().map(|row| {
            Ok(LookupRow {
                collection: row.text(0)?,
                name: row.text(1)?,
                hash: row.bytes(2)?,
                key: row.bytes(3)?,
                sole: row.number(4)?,
            })
        });
        Ok(lookups.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// A lease as it stands in the database.
#[derive(Clone)]
pub(crate) struct LeaseRow {
    pub(crate) name: Vec<u8>,
    pub(crate) holder: Vec<u8>,
    pub(crate) token: i64,
    pub(crate) expires: i64,
}

/// Leases after one, in the order of their names.
pub(crate) struct LeasesAfter {
    pub(crate) name: Vec<u8>,
    pub(crate) limit: usize,
}

impl Job for LeasesAfter {
    type Answer = Vec<LeaseRow>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let limit = i64::try_from(self.limit).unwrap_or_default();
        let rows = link.rows(LEASES_AFTER, &[Value::Bytes(&self.name), Value::Number(limit)]).await?;
        let leases = rows.iter().map(|row| {
            Ok(LeaseRow { name: row.bytes(0)?, holder: row.bytes(1)?, token: row.number(2)?, expires: row.number(3)? })
        });
        Ok(leases.collect::<Result<_, sqlx::Error>>()?)
    }
}

const RECORDS_AFTER: &str = "
SELECT collection, key, version, changed, sealed FROM records
WHERE tenant = $1 AND (collection, key) > ($2, $3) ORDER BY collection, key LIMIT $4";

const MESSAGES_AFTER: &str = "
SELECT seq, id, topic, lane, sealed, due, attempts FROM outbox
WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3";

const LOOKUPS_AFTER: &str = "
SELECT collection, name, hash, key, sole FROM lookups
WHERE tenant = $1 AND (collection, name, hash, key) > ($2, $3, $4, $5)
ORDER BY collection, name, hash, key LIMIT $6";

const LEASES_AFTER: &str = "
SELECT name, holder, token, expires FROM leases WHERE name > $1 ORDER BY name LIMIT $2";
