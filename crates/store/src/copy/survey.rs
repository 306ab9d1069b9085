//! Everything that a store holds, opened and reduced to counts and one digest.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use reeve_base::Purpose;

use super::{CopyError, PAGE, Phase, Progress};
use crate::engine::plain;
use crate::link::hexadecimal;
use crate::names::{Digest, message_context, record_context};
use crate::rows::{LeasesAfter, LookupRow, LookupsAfter, MessagesAfter, RecordsAfter};
use crate::status::NextTenant;
use crate::store::Store;

/// What a side holds. Equal on both sides, it says that the same was read and opened there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// How many tenants.
    pub tenants: u64,
    /// How many records.
    pub records: u64,
    /// How many lookups.
    pub lookups: u64,
    /// How many messages.
    pub messages: u64,
    /// How many leases, held or not.
    pub leases: u64,
    /// SHA-256 over all of it in order, values as they open, as 64 hexadecimal digits.
    pub digest: String,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenants, records, lookups, messages, leases, digest } = self;
        let digest = digest.get(..16).unwrap_or_default();
        write!(
            f,
            "{records} records, {lookups} lookups, {messages} messages, {leases} leases of {tenants} tenants, digest {digest}"
        )
    }
}

/// Reads a whole store.
pub(super) async fn survey(
    store: &Store,
    phase: Phase,
    total: u64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, CopyError> {
    let mut surveyor = Surveyor { store, hash: Context::new(&SHA256), count: Count::default(), phase, total, progress };
    let mut after = None;
    while let Some(tenant) = store.engine().read(NextTenant { after }).await.map_err(plain)? {
        surveyor.count.tenants += 1;
        surveyor.take(&[&tenant]);
        surveyor.records(tenant).await?;
        surveyor.lookups(tenant).await?;
        surveyor.messages(tenant).await?;
        after = Some(tenant);
    }
    surveyor.leases().await?;
    let Count { tenants, records, lookups, messages, leases } = surveyor.count;
    let digest = hexadecimal(surveyor.hash.finish().as_ref());
    Ok(Verified { tenants, records, lookups, messages, leases, digest })
}

struct Surveyor<'s> {
    store: &'s Store,
    hash: Context,
    count: Count,
    phase: Phase,
    total: u64,
    progress: &'s mut (dyn FnMut(Progress) + Send),
}

#[derive(Default)]
struct Count {
    tenants: u64,
    records: u64,
    lookups: u64,
    messages: u64,
    leases: u64,
}

impl Surveyor<'_> {
    async fn records(&mut self, tenant: Digest) -> Result<(), CopyError> {
        let (mut collection, mut key) = (String::new(), Vec::new());
        loop {
            let page = RecordsAfter { tenant, collection, key, limit: PAGE };
            let rows = self.store.engine().read(page).await.map_err(plain)?;
            let Some(last) = rows.last().cloned() else { return Ok(()) };
            for row in &rows {
                let context = record_context(&tenant, &row.collection, &row.key, row.version);
                let opened = self.store.sealer().open(Purpose::StoreRecord, &context, &row.sealed);
                let secret = opened.map_err(|cause| self.sealed(&row.collection, cause))?;
                let (version, changed) = (row.version.to_be_bytes(), row.changed.to_be_bytes());
                self.take(&[row.collection.as_bytes(), &row.key, &version, &changed, secret.expose()]);
            }
            self.count.records += rows.len() as u64;
            (self.progress)(Progress { phase: self.phase, done: self.count.records, total: self.total });
            (collection, key) = (last.collection, last.key);
        }
    }

    async fn lookups(&mut self, tenant: Digest) -> Result<(), CopyError> {
        let mut after = LookupRow::first();
        loop {
            let rows = self.store.engine().read(LookupsAfter { tenant, after, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().cloned() else { return Ok(()) };
            for row in &rows {
                let sole = row.sole.to_be_bytes();
                self.take(&[row.collection.as_bytes(), row.name.as_bytes(), &row.hash, &row.key, &sole]);
            }
            self.count.lookups += rows.len() as u64;
            after = last;
        }
    }

    async fn messages(&mut self, tenant: Digest) -> Result<(), CopyError> {
        let mut seq = 0;
        loop {
            let rows = self.store.engine().read(MessagesAfter { tenant, seq, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
            for row in &rows {
                let context = message_context(&tenant, &row.topic, &row.lane, &row.id);
                let opened = self.store.sealer().open(Purpose::StoreMessage, &context, &row.sealed);
                let secret = opened.map_err(|cause| self.sealed(&row.topic, cause))?;
                let (due, attempts) = (row.due.to_be_bytes(), row.attempts.to_be_bytes());
                self.take(&[&row.id, row.topic.as_bytes(), &row.lane, &due, &attempts, secret.expose()]);
            }
            self.count.messages += rows.len() as u64;
            seq = last;
        }
    }

    async fn leases(&mut self) -> Result<(), CopyError> {
        let mut name = Vec::new();
        loop {
            let rows = self.store.engine().read(LeasesAfter { name, limit: PAGE }).await.map_err(plain)?;
            let Some(last) = rows.last().map(|row| row.name.clone()) else { return Ok(()) };
            for row in &rows {
                let (token, expires) = (row.token.to_be_bytes(), row.expires.to_be_bytes());
                self.take(&[&row.name, &row.holder, &token, &expires]);
            }
            self.count.leases += rows.len() as u64;
            name = last;
        }
    }

    /// Each part with its length before it, so that nothing can move from one to the next.
    fn take(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.hash.update(&(part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
    }

    fn sealed(&self, collection: &str, cause: reeve_base::SealError) -> CopyError {
        CopyError::Sealed { database: self.store.name().to_owned(), collection: collection.to_owned(), cause }
    }
}
