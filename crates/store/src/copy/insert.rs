//! Writing copied rows.

use super::{CopyError, Resume};
use crate::engine::{Job, Never, Stop};
use crate::link::{Link, Value, unsigned};
use crate::names::Digest;
use crate::rows::{LeaseRow, LookupRow, SealedMessage, SealedRecord};
use crate::store::{MOVING, fact, note};

/// Marks the target, if it may be one.
pub(super) struct Begin {
    pub(super) source: Vec<u8>,
    pub(super) database: String,
    pub(super) resume: Resume,
}

impl Job for Begin {
    type Answer = ();
    type Refusal = CopyError;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<CopyError>> {
        let database = self.database.clone();
        match (fact(link, MOVING).await?, self.resume) {
            (Some(begun), _) if begun != self.source => return Err(Stop::Refused(CopyError::OtherMove(database))),
            (Some(_), Resume::Allow) => return Ok(()),
            (Some(_), Resume::Refuse) => return Err(Stop::Refused(CopyError::Begun(database))),
            (None, _) => {}
        }
        let tenants = link.number("SELECT count(*) FROM tenants", &[]).await?;
        let leases = link.number("SELECT count(*) FROM leases", &[]).await?;
        if tenants + leases > 0 {
            let records = self.count(link).await?;
            return Err(Stop::Refused(CopyError::NotEmpty { database, records }));
        }
        note(link, MOVING, &self.source).await?;
        Ok(())
    }
}

impl Begin {
    async fn count(&self, link: &mut Link<'_>) -> Result<u64, sqlx::Error> {
        let mut count = 0;
        for row in link.rows("SELECT tenant FROM tenants", &[]).await? {
            let tenant = row.digest(0)?;
            link.enter(&tenant).await?;
            count += link.number("SELECT count(*) FROM records WHERE tenant = $1", &[Value::Bytes(&tenant)]).await?;
        }
        Ok(unsigned(count))
    }
}

/// Takes the mark away: from here on the target is a store.
pub(super) struct Finish;

impl Job for Finish {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        link.run("DELETE FROM facts WHERE name = $1", &[Value::Text(MOVING)]).await?;
        Ok(())
    }
}

pub(super) struct Introduce {
    pub(super) tenant: Digest,
}

impl Job for Introduce {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        let tenant = [Value::Bytes(&self.tenant)];
        link.run("INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING", &tenant).await?;
        Ok(())
    }
}

/// The last record of a tenant that is there already, as collection and key, and how many there are.
pub(super) struct LastRecord {
    pub(super) tenant: Digest,
}

impl Job for LastRecord {
    type Answer = (String, Vec<u8>, u64);
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let of = [Value::Bytes(&self.tenant)];
        let last = "SELECT collection, key FROM records WHERE tenant = $1 ORDER BY collection DESC, key DESC LIMIT 1";
        let Some(row) = link.row(last, &of).await? else { return Ok((String::new(), Vec::new(), 0)) };
        let count = link.number("SELECT count(*) FROM records WHERE tenant = $1", &of).await?;
        Ok((row.text(0)?, row.bytes(1)?, unsigned(count)))
    }
}

pub(super) struct InsertRecords {
    pub(super) tenant: Digest,
    pub(super) rows: Vec<SealedRecord>,
}

impl Job for InsertRecords {
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
                Value::Number(row.changed),
                Value::Bytes(&row.sealed),
            ];
            link.run(INSERT_RECORD, &values).await?;
        }
        Ok(())
    }
}

pub(super) struct InsertLookups {
    pub(super) tenant: Digest,
    pub(super) rows: Vec<LookupRow>,
}

impl Job for InsertLookups {
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
                Value::Text(&row.name),
                Value::Bytes(&row.hash),
                Value::Bytes(&row.key),
                Value::Number(row.sole),
            ];
            link.run(INSERT_LOOKUP, &values).await?;
        }
        Ok(())
    }
}

/// Messages get new numbers in the same order. A claim on one is forgotten: whoever had it worked for the source.
pub(super) struct InsertMessages {
    pub(super) tenant: Digest,
    pub(super) rows: Vec<SealedMessage>,
}

impl Job for InsertMessages {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        for row in &self.rows {
            let values = [
                Value::Bytes(&row.id),
                Value::Bytes(&self.tenant),
                Value::Text(&row.topic),
                Value::Bytes(&row.lane),
                Value::Bytes(&row.sealed),
                Value::Number(row.due),
                Value::Number(row.attempts),
            ];
            link.run(INSERT_MESSAGE, &values).await?;
        }
        Ok(())
    }
}

pub(super) struct InsertLeases {
    pub(super) rows: Vec<LeaseRow>,
}

impl Job for InsertLeases {
    type Answer = ();
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<Never>> {
        for row in &self.rows {
            let values = [
                Value::Bytes(&row.name),
                Value::Bytes(&row.holder),
                Value::Number(row.token),
                Value::Number(row.expires),
            ];
            link.run(INSERT_LEASE, &values).await?;
        }
        Ok(())
    }
}

// A row that an earlier try brought already stays; if it differs, the digests will tell.

const INSERT_RECORD: &str = "
INSERT INTO records (tenant, collection, key, version, changed, sealed, looked) VALUES ($1, $2, $3, $4, $5, $6, 1)
ON CONFLICT DO NOTHING";

const INSERT_LOOKUP: &str = "
INSERT INTO lookups (tenant, collection, name, hash, key, sole) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING";

const INSERT_MESSAGE: &str = "
INSERT INTO outbox (id, tenant, topic, lane, sealed, due, claimed_until, attempts)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT DO NOTHING";

const INSERT_LEASE: &str = "
INSERT INTO leases (name, holder, token, expires) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
