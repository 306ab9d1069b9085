//! One attempt at a certificate: an account, an order, what the authority looks for put up and taken down again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use instant_acme::{Account, NewAccount};

use super::cabinet::{Cabinet, CabinetError};
use super::client::Client;
use super::keeper::KeeperTools;
use super::order::{self, DnsRecord, Fresh, OrderError, Proofs};
use super::{AcmeSettings, DnsChange};
use crate::certificate::{AcmeCertificate, Certificates, Identity, IdentityError};
use crate::renewal;
use crate::upstream::DialerError;

/// What an attempt needs.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) cabinet: &'a Cabinet,
    pub(super) tools: &'a KeeperTools,
    pub(super) certificates: &'a Certificates,
    pub(super) wanted: &'a AcmeCertificate,
    /// What the certificate is kept under.
    pub(super) id: &'a str,
    pub(super) client: &'a Client,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Cabinet(#[from] CabinetError),
    #[error(transparent)]
    Roots(#[from] DialerError),
    #[error("the hook for the DNS failed: {0}")]
    Hook(String),
    #[error("there is no hook that could change the DNS: name one with `dns_hook`")]
    NoHook,
    #[error("it took longer than {ATTEMPT_MAX:?}")]
    Slow,
    #[error("the proof for a name cannot be made: {0}")]
    Proof(#[from] IdentityError),
    #[error("a new certificate is not used because it cannot be recorded: {0}")]
    Unrecorded(String),
}

impl Attempt<'_> {
    /// One order, within its time. Whatever was put up for the authority to see is taken down, however it ends.
    pub(super) async fn order(&self, old: Option<&Identity>) -> Result<Fresh, AttemptError> {
        let records = Mutex::default();
        let walk = async {
            let mut again = WALKS_MAX;
            loop {
                again -= 1;
                match self.walk(old, &records).await {
                    Err(AttemptError::Order(error)) if again > 0 && order::is_stranger(&error) => {
                        self.cabinet.forget_account(&self.settings().directory).await?;
                    }
                    // The library repeats a request, but not often enough for an authority whose nonces are short-lived.
                    Err(AttemptError::Order(error)) if again > 0 && order::is_stale(&error) => {}
                    outcome => return outcome,
                }
            }
        };
        let outcome = tokio::time::timeout(ATTEMPT_MAX, walk).await.unwrap_or(Err(AttemptError::Slow));
        self.take_down(records.into_inner().unwrap_or_else(PoisonError::into_inner)).await;
        outcome
    }

    fn settings(&self) -> &AcmeSettings {
        &self.wanted.settings
    }

    async fn walk(&self, old: Option<&Identity>, records: &Mutex<Vec<DnsRecord>>) -> Result<Fresh, AttemptError> {
        let (names, kind) = (&self.wanted.names, self.settings().challenge);
        let account = self.account().await?;
        let mut order = order::begin(&account, names, old).await?;
        let proofs = order::proofs(&mut order, kind).await?;
        self.put_up(proofs, records).await?;
        order::prove(&mut order, kind).await?;
        Ok(order::finish(&mut order, names, self.tools.clock.now()).await?)
    }

    /// The account at the authority, made where there is none, with the contacts of the settings.
    async fn account(&self) -> Result<Account, AttemptError> {
        let AcmeSettings { directory, contacts, .. } = self.settings();
        let contact: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        let Some((credentials, told)) = self.cabinet.account(directory).await? else {
            let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
            let made = builder.create(&wanted, directory.clone(), None).await.map_err(OrderError::from)?;
            self.cabinet.keep_account(directory, &made.1, contacts).await?;
            return Ok(made.0);
        };
        let account = builder.from_credentials(credentials).await.map_err(OrderError::from)?;
        if told != *contacts {
            account.update_contacts(&contact).await.map_err(OrderError::from)?;
            self.cabinet.note_contacts(directory, contacts).await?;
        }
        Ok(account)
    }

    /// Lets the authority see what it will look for, on every gateway.
    async fn put_up(&self, proofs: Proofs, records: &Mutex<Vec<DnsRecord>>) -> Result<(), AttemptError> {
        self.certificates.challenges().set(&proofs.answers)?;
        if self.tools.shared && !proofs.answers.is_empty() {
            let until = renewal::later(self.tools.clock.now(), LEASE);
            self.cabinet.place(self.id, &proofs.answers, until).await?;
            tokio::time::sleep(SPREAD).await;
        }
        if proofs.records.is_empty() {
            return Ok(());
        }
        for record in proofs.records {
            // Noted before it is there: one that was half put up is taken down as well.
            records.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
            self.dns(DnsChange::Present, record).await?;
        }
        tokio::time::sleep(self.settings().dns_wait).await;
        Ok(())
    }

    async fn take_down(&self, records: Vec<DnsRecord>) {
        // To answer nothing cannot fail.
        let _ = self.certificates.challenges().set(&[]);
        if self.tools.shared
            && let Err(error) = self.cabinet.withdraw(self.id).await
        {
            tracing::warn!(%error, "answers to an authority cannot be withdrawn; they end by themselves");
        }
        for record in records {
            if let Err(error) = self.dns(DnsChange::Cleanup, record).await {
                tracing::warn!(%error, "a record stays in the DNS");
            }
        }
    }

    async fn dns(&self, what: DnsChange, record: DnsRecord) -> Result<(), AttemptError> {
        let hook = self.tools.dns.clone().ok_or(AttemptError::NoHook)?;
        let change = move || hook.change(what, &record.name, &record.value);
        let changed = tokio::task::spawn_blocking(change).await.unwrap_or_else(|error| Err(error.to_string()));
        changed.map_err(AttemptError::Hook)
    }
}

/// How long until every gateway has seen what one of them put up: twice the time between two of their looks.
const SPREAD: Duration = Duration::from_secs(5);

/// Orders in one attempt, where the authority itself says that another one may do.
const WALKS_MAX: u32 = 4;

/// An order that takes longer is given up, and the lease outlasts it.
const ATTEMPT_MAX: Duration = Duration::from_mins(4);
pub(super) const LEASE: Duration = Duration::from_mins(5);
