//! What must survive a restart, and what several gateways share: certificates with their keys, accounts, how the last
//! attempt ended, and what authorities may be looking for right now. Private keys are sealed once more inside their records.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use instant_acme::AccountCredentials;
use reeve_base::{Purpose, SealError, Sealer, Secret, Timestamp};
use reeve_store::{Batch, Expect, Lease, Leases, ReadError, Record, Scope, Store, WriteError};
use serde::{Deserialize, Serialize};

use super::order::{self, Fresh};
use crate::certificate::{AcmeCertificate, Answer, Identity, IdentityError, hexadecimal};

/// The part of the store that is ours.
pub(super) struct Cabinet {
    scope: Scope,
    leases: Leases,
    sealer: Arc<dyn Sealer>,
}

/// How the last attempts at a certificate ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// How many failed, one after the other.
    pub(super) failures: u32,
    /// Why the last one did.
    pub(super) cause: String,
    /// When that was.
    pub(super) failed: Timestamp,
    /// When it may be tried again.
    pub(super) retry: Timestamp,
}

/// Why something is not found, or not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum CabinetError {
    #[error("the store cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the store cannot be written: {0}")]
    Write(#[from] WriteError),
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error("a certificate in the store cannot be used: {0}")]
    Identity(#[from] IdentityError),
    #[error("a record of the store makes no sense: {0}")]
    Form(String),
}

impl Cabinet {
    pub(super) fn new(store: &Store, sealer: Arc<dyn Sealer>) -> Self {
        Self { scope: store.tenant(""), leases: store.leases(), sealer }
    }

    pub(super) const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The certificate that is kept, if there is one.
    pub(super) async fn certificate(&self, id: &str) -> Result<Option<Arc<Identity>>, CabinetError> {
        let Some(found) = self.scope.get::<IssuedRecord>(id).await? else { return Ok(None) };
        let IssuedRecord { chain, key } = found.value;
        let sealed = decode(&key)?;
        let key = self.sealer.open(Purpose::Certificate, &context("certificate", id), &sealed)?;
        if !self.sealer.is_current(&sealed) {
            self.seal_again(id, found.version, &chain, &key).await?;
        }
        Ok(Some(Arc::new(order::identity(&chain, &key)?)))
    }

    /// Keys are rotated so that old versions of them can be destroyed.
    async fn seal_again(&self, id: &str, version: u64, chain: &str, key: &Secret<Vec<u8>>) -> Result<(), CabinetError> {
        let record = IssuedRecord { chain: chain.to_owned(), key: self.seal("certificate", id, key.expose())? };
        match self.scope.put(id, Expect::Version(version), &record).await {
            // Another gateway was faster.
            Ok(_) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a new certificate, and forgets the failures before it. Refused if the lease went to somebody else.
    pub(super) async fn keep(&self, id: &str, fresh: &Fresh, lease: &Lease) -> Result<(), CabinetError> {
        let key = self.seal("certificate", id, fresh.key.expose())?;
        let mut batch = Batch::new();
        batch.put(id, Expect::Any, &IssuedRecord { chain: fresh.chain.clone(), key });
        batch.delete::<AttemptsRecord>(id, Expect::Any);
        batch.fenced(lease);
        self.scope.commit(batch).await?;
        Ok(())
    }

    pub(super) async fn attempts(&self, id: &str) -> Result<Option<Attempts>, CabinetError> {
        Ok(self.scope.get::<AttemptsRecord>(id).await?.map(|found| found.value.0))
    }

    pub(super) async fn note(&self, id: &str, attempts: &Attempts) -> Result<(), CabinetError> {
        self.scope.put(id, Expect::Any, &AttemptsRecord(attempts.clone())).await?;
        Ok(())
    }

    /// The account at an authority, with the contacts that it was told.
    pub(super) async fn account(
        &self,
        directory: &str,
    ) -> Result<Option<(AccountCredentials, Vec<String>)>, CabinetError> {
        let id = name(&[directory]);
        let Some(found) = self.scope.get::<AccountRecord>(&id).await? else { return Ok(None) };
        let sealed = decode(&found.value.credentials)?;
        let open = self.sealer.open(Purpose::Certificate, &context("account", &id), &sealed)?;
        let credentials =
            serde_json::from_slice(open.expose()).map_err(|_| CabinetError::Form(String::from("an account")))?;
        if !self.sealer.is_current(&sealed) {
            self.keep_account(directory, &credentials, &found.value.contacts).await?;
        }
        Ok(Some((credentials, found.value.contacts)))
    }

    pub(super) async fn keep_account(
        &self,
        directory: &str,
        credentials: &AccountCredentials,
        contacts: &[String],
    ) -> Result<(), CabinetError> {
        let id = name(&[directory]);
        let plain = serde_json::to_vec(credentials).map_err(|error| CabinetError::Form(error.to_string()))?;
        let credentials = self.seal("account", &id, Secret::new(plain).expose())?;
        self.scope.put(&id, Expect::Any, &AccountRecord { credentials, contacts: contacts.to_vec() }).await?;
        Ok(())
    }

    /// The authority was told other contacts.
    pub(super) async fn note_contacts(&self, directory: &str, contacts: &[String]) -> Result<(), CabinetError> {
        let id = name(&[directory]);
        if let Some(found) = self.scope.get::<AccountRecord>(&id).await? {
            let record = AccountRecord { contacts: contacts.to_vec(), ..found.value };
            self.scope.put(&id, Expect::Version(found.version), &record).await?;
        }
        Ok(())
    }

    pub(super) async fn forget_account(&self, directory: &str) -> Result<(), CabinetError> {
        self.scope.delete::<AccountRecord>(&name(&[directory]), Expect::Any).await?;
        Ok(())
    }

    /// What authorities may be looking for, of all orders of all gateways.
    pub(super) async fn answers(&self, now: Timestamp) -> Result<Vec<Answer>, CabinetError> {
        let found = self.scope.list::<AnswersRecord>(None, ORDERS_MAX).await?;
        Ok(found.into_iter().filter(|found| found.value.until > now).flat_map(|found| found.value.answers).collect())
    }

    pub(super) async fn place(&self, id: &str, answers: &[Answer], until: Timestamp) -> Result<(), CabinetError> {
        self.scope.put(id, Expect::Any, &AnswersRecord { answers: answers.to_vec(), until }).await?;
        Ok(())
    }

    pub(super) async fn withdraw(&self, id: &str) -> Result<(), CabinetError> {
        self.scope.delete::<AnswersRecord>(id, Expect::Any).await?;
        Ok(())
    }

    fn seal(&self, what: &str, id: &str, plain: &[u8]) -> Result<String, SealError> {
        Ok(STANDARD.encode(self.sealer.seal(Purpose::Certificate, &context(what, id), plain)?))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, CabinetError> {
    STANDARD.decode(text).map_err(|error| CabinetError::Form(error.to_string()))
}

/// What a certificate is kept under: the authority and the names, whatever their order.
pub(super) fn id(wanted: &AcmeCertificate) -> String {
    let mut names: Vec<_> = wanted.names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.insert(0, &wanted.settings.directory);
    name(&names)
}

fn name(parts: &[&str]) -> String {
    hexadecimal(digest(&SHA256, parts.join("\n").as_bytes()).as_ref())
}

fn context(what: &str, id: &str) -> Vec<u8> {
    format!("acme {what} {id}").into_bytes()
}

#[derive(Serialize, Deserialize)]
struct IssuedRecord {
    /// In PEM, the server's own first.
    chain: String,
    /// PKCS #8, sealed, in base64.
    key: String,
}

#[derive(Serialize, Deserialize)]
struct AccountRecord {
    /// Sealed, in base64.
    credentials: String,
    contacts: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct AttemptsRecord(Attempts);

#[derive(Serialize, Deserialize)]
struct AnswersRecord {
    answers: Vec<Answer>,
    /// After that nobody looks any more, and whoever placed it died.
    until: Timestamp,
}

impl Record for IssuedRecord {
    const COLLECTION: &'static str = "certificates";
    const SCHEMA: u16 = 1;
}

impl Record for AccountRecord {
    const COLLECTION: &'static str = "acme-accounts";
    const SCHEMA: u16 = 1;
}

impl Record for AttemptsRecord {
    const COLLECTION: &'static str = "acme-attempts";
    const SCHEMA: u16 = 1;
}

impl Record for AnswersRecord {
    const COLLECTION: &'static str = "acme-answers";
    const SCHEMA: u16 = 1;
}

/// Orders under way at once, over all gateways.
const ORDERS_MAX: usize = 200;
