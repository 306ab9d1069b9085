//! What is in the store.

use std::collections::BTreeMap;

use crate::engine::{Engine, Job, Never, Stop, plain};
use crate::error::DatabaseError;
use crate::link::{Link, Value, unsigned};
use crate::names::Digest;
use crate::store::Store;

/// Counts over all tenants.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Which database, without a password.
    pub database: String,
    /// How many tenants have ever had something in it.
    pub tenants: u64,
    /// Records of each collection.
    pub records: BTreeMap<String, u64>,
    /// Messages that have not left.
    pub messages: u64,
    /// Leases that are held now.
    pub leases: u64,
}

impl Status {
    /// Records of all collections.
    #[must_use]
    pub fn records_total(&self) -> u64 {
        self.records.values().sum()
    }
}

impl Store {
    /// Counts what there is. Takes time with the number of records.
    ///
    /// # Errors
    /// The database's.
    pub async fn status(&self) -> Result<Status, DatabaseError> {
        let mut status = Status {
            database: self.name().to_owned(),
            tenants: 0,
            records: BTreeMap::new(),
            messages: 0,
            leases: self.engine().read(HeldLeases { now: self.now().as_millisecond() }).await.map_err(plain)?,
        };
        let mut after = None;
        while let Some(tenant) = self.engine().read(NextTenant { after }).await.map_err(plain)? {
            let (records, messages) = self.engine().read(Count { tenant }).await.map_err(plain)?;
            for (collection, count) in records {
                *status.records.entry(collection).or_default() += count;
            }
            status.tenants += 1;
            status.messages += messages;
            after = Some(tenant);
        }
        Ok(status)
    }

    /// Looks through the whole of a SQLite file for damage. PostgreSQL has its own tools (`pg_amcheck`); nothing is
    /// done there.
    ///
    /// # Errors
    /// [`DatabaseError::Damaged`] with the first fault, or the database's.
    pub async fn examine(&self) -> Result<(), DatabaseError> {
        match self.engine() {
            Engine::Sqlite(sqlite) => sqlite.examine().await,
            Engine::Postgres(_) => Ok(()),
        }
    }
}

/// The tenant after another, in the order of their hashes.
pub(crate) struct NextTenant {
    pub(crate) after: Option<Digest>,
}

impl Job for NextTenant {
    type Answer = Option<Digest>;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Option<Digest>, Stop<Never>> {
        let after: &[u8] = self.after.as_ref().map_or(&[], |digest| digest);
        let sql = "SELECT tenant FROM tenants WHERE tenant > $1 ORDER BY tenant LIMIT 1";
        Ok(link.row(sql, &[Value::Bytes(after)]).await?.map(|row| row.digest(0)).transpose()?)
    }
}

struct Count {
    tenant: Digest,
}

impl Job for Count {
    type Answer = (Vec<(String, u64)>, u64);
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        Some(&self.tenant)
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<Self::Answer, Stop<Never>> {
        let of = [Value::Bytes(&self.tenant)];
        let rows =
            link.rows("SELECT collection, count(*) FROM records WHERE tenant = $1 GROUP BY collection", &of).await?;
        let records = rows.iter().map(|row| Ok((row.text(0)?, unsigned(row.number(1)?))));
        let records = records.collect::<Result<_, sqlx::Error>>()?;
        let messages = link.number("SELECT count(*) FROM outbox WHERE tenant = $1", &of).await?;
        Ok((records, unsigned(messages)))
    }
}

struct HeldLeases {
    now: i64,
}

impl Job for HeldLeases {
    type Answer = u64;
    type Refusal = Never;

    fn tenant(&self) -> Option<&Digest> {
        None
    }

    async fn perform(&self, link: &mut Link<'_>) -> Result<u64, Stop<Never>> {
        let held = link.number("SELECT count(*) FROM leases WHERE expires > $1", &[Value::Number(self.now)]).await?;
        Ok(unsigned(held))
    }
}
