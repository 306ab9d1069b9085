//! Leases: who may do something alone, for how long, and a number that proves it.
//!
//! A lease can run out while its holder sleeps, so holding one is not enough: each comes with a **fencing token** that
//! only grows. A change that is made under a lease shows its token ([`crate::Batch::fenced`]) and is refused once
//! somebody else was given a newer one. Expiry is by the holders' own wall clocks, which on several machines must agree
//! to within a small part of the time to live; where they do not, the tokens still keep the changes apart.

use std::time::Duration;

use reeve_base::Timestamp;

use crate::engine::{Failure, Job, Stop};
use crate::error::DatabaseError;
use crate::link::{Link, Value, signed, time, unsigned};
use crate::names::Digest;
use crate::store::Store;

/// The leases of the installation, over all tenants.
#[derive(Clone)]
pub struct Leases {
    store: Store,
}

/// A lease that was held when it was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    holder: String,
    token: u64,
    expires: Timestamp,
}

impl Lease {
    /// What it is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fencing token: from 1, greater than all that were given out for this name before.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// When others may take it over, unless it is renewed before.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("somebody else holds the lease until {until}")]
    Held {
        /// When it runs out, unless it is renewed.
        until: Timestamp,
    },
    /// It ran out, was given back or was taken over.
    #[error("the lease is no longer held")]
    Lost,
    /// The database itself.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Leases {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Takes the lease `name` for `holder`, if nobody else holds it. A holder that asks again gets a new token: what it
    /// did under the old one is over.
    ///
    /// # Errors
    /// [`LeaseError::Held`], or the database's.
    pub async fn acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Lease, LeaseError> {
        let names = self.store.names();
        let now = self.store.now().as_millisecond();
        let expires = after(now, ttl);
        let job = Acquire { name: names.lease(name), holder: names.holder(holder), now, expires };
        let token = self.store.engine().write(job).await.map_err(Failure::into_error)?;
        Ok(Lease { name: name.to_owned(), holder: holder.to_owned(), token: unsigned(token), expires: time(expires) })
    }

    /// Holds on to it for another `ttl` from now. The token stays.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if it ran out, even if nobody took it; or the database's.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        let now = self.store.now().as_millisecond();
        let expires = after(now, ttl);
        self.change(lease, now, expires).await?;
        Ok(Lease { expires: time(expires), ..lease.clone() })
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if it was not held any more, or the database's.
    pub async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        self.change(lease, self.store.now().as_millisecond(), RELEASED).await
    }

    async fn change(&self, lease: &Lease, now: i64, expires: i64) -> Result<(), LeaseError> {
        let names = self.store.names();
        let (name, holder) = (names.lease(&lease.name), names.holder(&lease.holder));
        let job = Change { name, holder, token: signed(lease.token), now, expires };
        self.store.engine().write(job).await.map_err(Failure::into_error)
    }
}

fn after(now: i64, ttl: Duration) -> i64 {
    now.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

struct Acquire {
    name: Digest,
    holder: Digest,
    now: i64,
    expires: i64,
}

impl Job for Acquire {
    type Answer = i64;
    type Refusal = LeaseError;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<i64, Stop<LeaseError>> {
        let values = [
            Value::Bytes(&self.name),
            Value::Bytes(&self.holder),
            Value::Number(self.expires),
            Value::Number(self.now),
        ];
        if let Some(row) = link.row(ACQUIRE, &values).await? {
            return Ok(row.number(0)?);
        }
        let held = link.row("SELECT expires FROM leases WHERE name = $1", &[Value::Bytes(&self.name)]).await?;
        let until = held.map(|row| row.number(0)).transpose()?.unwrap_or(self.now);
        Err(Stop::Refused(LeaseError::Held { until: time(until) }))
    }
}

struct Change {
    name: Digest,
    holder: Digest,
    token: i64,
    now: i64,
    expires: i64,
}

impl Job for Change {
    type Answer = ();
    type Refusal = LeaseError;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<(), Stop<LeaseError>> {
        let values = [
            Value::Bytes(&self.name),
            Value::Bytes(&self.holder),
            Value::Number(self.token),
            Value::Number(self.now),
            Value::Number(self.expires),
        ];
        if link.run(CHANGE, &values).await? == 1 { Ok(()) } else { Err(Stop::Refused(LeaseError::Lost)) }
    }
}

const ACQUIRE: &str = "
INSERT INTO leases (name, holder, token, expires) VALUES ($1, $2, 1, $3)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = leases.token + 1, expires = excluded.expires
WHERE leases.expires <= $4 OR leases.holder = excluded.holder
RETURNING token";

const CHANGE: &str = "
UPDATE leases SET expires = $5 WHERE name = $1 AND holder = $2 AND token = $3 AND expires > $4";

/// The time of one that was given back: before every other.
const RELEASED: i64 = 0;
