//! The outbox: messages that were committed together with the changes they tell of, on their way out.
//!
//! Delivery is at least once: a message is claimed for a time, and whoever claimed it says that it is done or that it
//! failed. If neither comes in time, the next one gets it. Messages of one tenant, topic and key form a lane and leave
//! one after the other: while one waits for its next try, those behind it wait too.

use std::sync::Arc;
use std::time::Duration;

use reeve_base::{Purpose, SealError, Sealer, Secret, Timestamp};
use serde::de::DeserializeOwned;

use crate::engine::{Job, Never, Stop, plain};
use crate::envelope;
use crate::error::{DatabaseError, ReadError};
use crate::link::{Link, Value, signed, unsigned};
use crate::names::{Digest, message_context};
use crate::store::Store;

/// The messages of all tenants.
#[derive(Clone)]
pub struct Outbox {
    store: Store,
}

/// A message that is ours for a while.
#[derive(Debug)]
pub struct Claimed {
    seq: i64,
    owner: Digest,
    /// Whose it is.
    pub tenant: String,
    /// What kind it is.
    pub topic: String,
    /// Within its topic, what it belongs to.
    pub key: String,
    /// How often it has been claimed, this time included.
    pub attempt: u64,
    json: Secret<Vec<u8>>,
}

impl Claimed {
    /// Its body.
    ///
    /// # Errors
    /// [`ReadError::Form`] if it is none of this type.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        serde_json::from_slice(self.json.expose()).map_err(|cause| ReadError::Form {
            collection: self.topic.clone(),
            schema: 0,
            known: 0,
            cause: format!("{:?} error", cause.classify()).to_lowercase(),
        })
    }
}

impl Outbox {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Claims up to `limit` messages that are due, the oldest first, for the time of `lease`. No two claims that
    /// overlap in time hold the same message.
    ///
    /// # Errors
    /// [`ReadError`]. A message that does not open is skipped with a line in the log and tried again after `lease`, so
    /// that one altered row does not stop the others.
    pub async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<Claimed>, ReadError> {
        let now = self.store.now().as_millisecond();
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let limit = limit.min(CLAIM_MAX);
        let due = self.store.engine().write(Due { now, most: limit }).await.map_err(plain)?;
        let mut claimed = Vec::new();
        for tenant in due {
            let most = limit - claimed.len();
            if most == 0 {
                break;
            }
            let job = Claim { tenant, now, until, most };
            let rows = self.store.engine().write(job).await.map_err(plain)?;
            claimed.extend(rows.into_iter().filter_map(|row| self.open(row)));
        }
        claimed.sort_unstable_by_key(|message| message.seq);
        Ok(claimed)
    }

    /// It was sent: it goes. Answers whether it was still ours; if not, it may have been sent twice.
    ///
    /// # Errors
    /// The database's.
    pub async fn done(&self, message: &Claimed) -> Result<bool, DatabaseError> {
        self.end(message, None).await
    }

    /// It could not be sent: it waits until `retry_at`, and its lane with it. Answers whether it was still ours.
    ///
    /// # Errors
    /// The database's.
    pub async fn failed(&self, message: &Claimed, retry_at: Timestamp) -> Result<bool, DatabaseError> {
        self.end(message, Some(retry_at.as_millisecond())).await
    }

    async fn end(&self, message: &Claimed, retry: Option<i64>) -> Result<bool, DatabaseError> {
        let job = End { tenant: message.owner, seq: message.seq, attempt: signed(message.attempt), retry };
        self.store.engine().write(job).await.map_err(plain)
    }

    fn open(&self, row: Taken) -> Option<Claimed> {
        let (topic, seq) = (row.topic.clone(), row.seq);
        match open(self.store.sealer(), row) {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::error!(topic, seq, %error, "a message of the outbox does not open and was skipped");
                None
            }
        }
    }
}

fn open(sealer: &Arc<dyn Sealer>, row: Taken) -> Result<Claimed, SealError> {
    let context = message_context(&row.tenant, &row.topic, &row.lane, &row.id);
    let secret = sealer.open(Purpose::StoreMessage, &context, &row.sealed)?;
    let open = envelope::open(secret.expose()).ok_or(SealError::Refused(Purpose::StoreMessage))?;
    let [tenant, key] = open.names;
    Ok(Claimed {
        seq: row.seq,
        owner: row.tenant,
        tenant: tenant.to_owned(),
        key: key.to_owned(),
        attempt: unsigned(row.attempts),
        json: Secret::new(open.value.to_vec()),
        topic: row.topic,
    })
}

/// Which tenants have something to send.
struct Due {
    now: i64,
    most: usize,
}

impl Job for Due {
    type Answer = Vec<Digest>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Vec<Digest>, Stop<Never>> {
        let sql = link.pick(DUE, "SELECT tenant FROM tenants_due($1, $2)");
        let values = [Value::Number(self.now), Value::Number(i64::try_from(self.most).unwrap_or_default())];
        Ok(link.rows(sql, &values).await?.iter().map(|row| row.digest(0)).collect::<Result<_, _>>()?)
    }
}

/// Messages of one tenant.
struct Claim {
    tenant: Digest,
    now: i64,
    until: i64,
    most: usize,
}

/// A message, still sealed.
struct Taken {
    tenant: Digest,
    seq: i64,
    id: Vec<u8>,
    topic: String,
    lane: Digest,
    sealed: Vec<u8>,
    attempts: i64,
}

impl Job for Claim {
    type Answer = Vec<Taken>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Vec<Taken>, Stop<Never>> {
        let sql = link.pick(CLAIM_SQLITE, CLAIM_POSTGRES);
        let values = [
            Value::Bytes(&self.tenant),
            Value::Number(self.now),
            Value::Number(self.until),
            Value::Number(i64::try_from(self.most).unwrap_or_default()),
        ];
        let rows = link.rows(sql, &values).await?;
        let taken = rows.iter().map(|row| {
            Ok(Taken {
                tenant: self.tenant,
                seq: row.number(0)?,
                id: row.bytes(1)?,
                topic: row.text(2)?,
                lane: row.digest(3)?,
                sealed: row.bytes(4)?,
                attempts: row.number(5)?,
            })
        });
        Ok(taken.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// The end of one claim: the message goes, or waits.
struct End {
    tenant: Digest,
    seq: i64,
    attempt: i64,
    retry: Option<i64>,
}

impl Job for End {
    type Answer = bool;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<bool, Stop<Never>> {
        let mut values = vec![Value::Bytes(&self.tenant), Value::Number(self.seq), Value::Number(self.attempt)];
        let touched = match self.retry {
            None => link.run("DELETE FROM outbox WHERE tenant = $1 AND seq = $2 AND attempts = $3", &values).await?,
            Some(at) => {
                values.push(Value::Number(at));
                link.run(RETRY, &values).await?
            }
        };
        Ok(touched == 1)
    }
}

const DUE: &str = "
SELECT o.tenant FROM outbox o
WHERE o.due <= $1 AND o.claimed_until <= $1
  AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.tenant = o.tenant AND e.lane = o.lane AND e.seq < o.seq)
GROUP BY o.tenant ORDER BY min(o.seq) LIMIT $2";

const CLAIM_SQLITE: &str = "
UPDATE outbox SET claimed_until = $3, attempts = attempts + 1
WHERE seq IN (
    SELECT o.seq FROM outbox o
    WHERE o.tenant = $1 AND o.due <= $2 AND o.claimed_until <= $2
      AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.tenant = o.tenant AND e.lane = o.lane AND e.seq < o.seq)
    ORDER BY o.seq LIMIT $4)
RETURNING seq, id, topic, lane, sealed, attempts";

/// Rows that another claim holds are passed over; a row that it has just changed is judged anew as it is now.
const CLAIM_POSTGRES: &str = "
UPDATE outbox SET claimed_until = $3, attempts = attempts + 1
WHERE seq IN (
    SELECT o.seq FROM outbox o
    WHERE o.tenant = $1 AND o.due <= $2 AND o.claimed_until <= $2
      AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.tenant = o.tenant AND e.lane = o.lane AND e.seq < o.seq)
    ORDER BY o.seq LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING seq, id, topic, lane, sealed, attempts";

const RETRY: &str = "
UPDATE outbox SET due = $4, claimed_until = 0 WHERE tenant = $1 AND seq = $2 AND attempts = $3";

/// More than one worker does in a lease.
const CLAIM_MAX: usize = 1_000;
