//! Looks what is due, and does it.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::Account;
use reeve_base::{Clock, Entropy, Sealer, Timestamp};
use reeve_store::{Lease, LeaseError, Store};
use serde::Serialize;

use super::attempt::{Attempt, AttemptError, LEASE};
use super::cabinet::{self, Attempts, Cabinet, CabinetError};
use super::client::Client;
use super::order::{Fresh, OrderError};
use super::suggestion::Suggestions;
use super::{DnsHook, News, Press};
use crate::certificate::{AcmeCertificate, Certificate, Certificates, Identity, Shown, Slot};
use crate::renewal;
use crate::settings::Settings;

/// Keeps the certificates of a gateway fresh: those of the local authority where the policy asks for it, and those that
/// are asked for over ACME.
pub struct Keeper {
    cabinet: Cabinet,
    tools: KeeperTools,
    suggestions: Suggestions,
    /// One attempt at a time: held by the look under way, or by whoever asked for a renewal.
    turn: tokio::sync::Mutex<()>,
}

/// What a keeper is given.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "whoever makes one brings all of them")]
pub struct KeeperTools {
    /// Where certificates and accounts are kept, and leases given.
    pub store: Store,
    /// Seals their keys.
    pub sealer: Arc<dyn Sealer>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where its news go.
    pub press: Arc<dyn Press>,
    /// Changes the DNS, where somebody can.
    pub dns: Option<Arc<dyn DnsHook>>,
    /// This gateway, among all that share the store.
    pub node: String,
    /// Whether there may be others.
    pub shared: bool,
}

/// How a certificate stands.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// What is shown.
    #[serde(flatten)]
    pub shown: Shown,
    /// When it will be replaced; nothing if nobody does that by itself.
    pub due: Option<Timestamp>,
    /// How many attempts failed, one after the other.
    pub failures: u32,
    /// Why the last one did.
    pub cause: Option<String>,
    /// When that was.
    pub failed: Option<Timestamp>,
    /// When it is tried again, if the last one failed.
    pub retry: Option<Timestamp>,
}

/// Why a certificate was not renewed when somebody asked for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// There is no such certificate.
    #[error("no certificate is shown for `{0}`")]
    Unknown(String),
    /// It is not ours to renew.
    #[error("the certificate for `{0}` comes from files: replace them and reload")]
    Files(String),
    /// Another gateway is at it.
    #[error("another gateway is renewing the certificate for `{names}`, until {until} at most")]
    Held {
        /// Its names.
        names: String,
        /// When its lease ends.
        until: Timestamp,
    },
    /// It did not work.
    #[error("the certificate for `{names}` is not renewed: {cause}; tried again at {retry}")]
    Failed {
        /// Its names.
        names: String,
        /// Why.
        cause: String,
        /// When it is tried again.
        retry: Timestamp,
    },
}

impl Keeper {
    /// A keeper over this store.
    #[must_use]
    pub fn new(tools: KeeperTools) -> Self {
        let cabinet = Cabinet::new(&tools.store, Arc::clone(&tools.sealer));
        Self { cabinet, tools, suggestions: Suggestions::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Puts into the settings what the store holds, so that a gateway that starts shows it from its first handshake on.
    /// A record that cannot be read is left, and told in the log: the certificate is asked for anew.
    pub async fn fill(&self, settings: &mut Settings) {
        for certificate in std::iter::once(&mut settings.certificate).chain(&mut settings.sites.certificates) {
            let Certificate::Acme(wanted) = certificate else { continue };
            match self.cabinet.certificate(&cabinet::id(wanted)).await {
                Ok(kept) => wanted.kept = kept,
                Err(error) => tracing::error!(%error, names = ?wanted.names, "a kept certificate is not used"),
            }
        }
    }

    /// Does what is due, for as long as this is polled.
    pub async fn run(&self, certificates: &Certificates) {
        let looking = async {
            let mut tick = tokio::time::interval(if self.tools.shared { LOOK_SHARED } else { LOOK });
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                self.look(certificates).await;
            }
        };
        // Beside it and not within: this gateway may be asked for another one's proof while an order of its own waits.
        tokio::join!(looking, self.follow(certificates));
    }

    /// Answers for orders of other gateways.
    async fn follow(&self, certificates: &Certificates) {
        if !self.tools.shared {
            return;
        }
        let (mut known, mut tick) = (Vec::new(), tokio::time::interval(FOLLOW));
        loop {
            tick.tick().await;
            match self.cabinet.answers(self.tools.clock.now()).await {
                Ok(answers) if answers != known && certificates.challenges().set(&answers).is_ok() => known = answers,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the orders of other gateways cannot be seen"),
            }
        }
    }

    /// Looks at each certificate once.
    pub async fn look(&self, certificates: &Certificates) {
        let _turn = self.turn.lock().await;
        for slot in certificates.slots() {
            match slot.source() {
                Certificate::Files { .. } => {}
                Certificate::Local(_) => self.look_local(certificates, &slot).await,
                Certificate::Acme(wanted) => {
                    if let Err(error) = self.look_acme(certificates, &slot, wanted).await {
                        tracing::error!(%error, names = ?wanted.names, "whether a certificate is due cannot be told");
                    }
                }
            }
        }
    }

    async fn look_local(&self, certificates: &Certificates, slot: &Slot) {
        let now = self.tools.clock.now();
        if self.due(certificates, slot).is_none_or(|due| now < due) {
            return;
        }
        if let Err(error) = self.issue_locally(certificates, slot).await {
            tracing::error!(%error, "the local authority's certificate is not renewed");
        }
    }

    async fn issue_locally(&self, certificates: &Certificates, slot: &Slot) -> Result<(), String> {
        let fresh = certificates.issue_again(slot, self.tools.clock.now()).map_err(|error| error.to_string())?;
        self.tools.press.announce(issued(&fresh)).await?;
        slot.exchange(fresh);
        Ok(())
    }

    /// When the certificate in a slot is to be replaced.
    fn due(&self, certificates: &Certificates, slot: &Slot) -> Option<Timestamp> {
        let share = certificates.share(slot.source())?;
        let identity = slot.identity();
        let (from, to) = identity.life();
        let due = renewal::due(from, to, share, identity.jitter());
        Some(self.suggestions.moment(&identity).map_or(due, |suggested| suggested.min(due)))
    }

    async fn look_acme(
        &self,
        certificates: &Certificates,
        slot: &Slot,
        wanted: &AcmeCertificate,
    ) -> Result<(), CabinetError> {
        let id = cabinet::id(wanted);
        let now = self.tools.clock.now();
        if self.tools.shared || !self.is_fresh(certificates, slot) {
            self.take_over(&id, slot).await?;
        }
        if self.is_fresh(certificates, slot) {
            self.ask_when(slot, wanted).await;
            return Ok(());
        }
        if self.cabinet.attempts(&id).await?.is_some_and(|last| waits(&last, now)) {
            return Ok(());
        }
        // How it ends is told in the log and in the trail.
        let _ = self.attempt(certificates, slot, wanted).await;
        Ok(())
    }

    fn is_fresh(&self, certificates: &Certificates, slot: &Slot) -> bool {
        let due = self.due(certificates, slot);
        !slot.identity().is_temporary() && due.is_none_or(|due| self.tools.clock.now() < due)
    }

    /// Shows what the store holds, if that is another certificate than the one that is shown.
    async fn take_over(&self, id: &str, slot: &Slot) -> Result<(), CabinetError> {
        if let Some(kept) = self.cabinet.certificate(id).await?
            && kept.lasts_at(self.tools.clock.now())
            && kept != slot.identity()
        {
            slot.exchange(kept);
        }
        Ok(())
    }

    /// Asks the authority now and then when it would have the certificate renewed.
    async fn ask_when(&self, slot: &Slot, wanted: &AcmeCertificate) {
        let (identity, now) = (slot.identity(), self.tools.clock.now());
        if !self.suggestions.ask(&identity, now) {
            return;
        }
        let asking = async {
            let client = Client::new(wanted.settings.authorities.as_deref(), Arc::clone(&self.tools.clock))?;
            if let Some((credentials, _)) = self.cabinet.account(&wanted.settings.directory).await? {
                let account = Account::builder_with_http(Box::new(client)).from_credentials(credentials).await;
                self.suggestions.fetch(&account.map_err(OrderError::from)?, &identity, now).await;
            }
            Ok::<_, AttemptError>(())
        };
        if let Err(error) = asking.await {
            tracing::debug!(%error, "no suggestion for a renewal");
        }
    }

    /// Renews those whose names include `name`, or all that are not from files, whether they are due or not.
    ///
    /// # Errors
    /// With the first that is not renewed; those before it are.
    pub async fn renew(&self, certificates: &Certificates, name: Option<&str>) -> Result<Vec<Shown>, RenewError> {
        let _turn = self.turn.lock().await;
        let names = |slot: &Slot| match slot.source() {
            Certificate::Acme(wanted) => wanted.names.clone(),
            Certificate::Files { .. } | Certificate::Local(_) => slot.identity().names().to_vec(),
        };
        let slots = certificates.slots();
        let meant = |slot: &&Arc<Slot>| name.is_none_or(|name| names(slot).iter().any(|known| known == name));
        let mut found = false;
        for slot in slots.iter().filter(meant) {
            found = true;
            match slot.source() {
                Certificate::Files { .. } => match name {
                    Some(name) => return Err(RenewError::Files(name.to_owned())),
                    None => continue,
                },
                Certificate::Local(_) => {
                    let failed = |cause| RenewError::Failed {
                        names: names(slot).join(", "),
                        cause,
                        retry: self.tools.clock.now(),
                    };
                    self.issue_locally(certificates, slot).await.map_err(failed)?;
                }
                Certificate::Acme(wanted) => self.attempt(certificates, slot, wanted).await?,
            }
        }
        match name {
            Some(name) if !found => Err(RenewError::Unknown(name.to_owned())),
            _ => Ok(certificates.shown()),
        }
    }

    /// Seals again what is sealed under an older version of the key: certificates that are shown, and their accounts.
    ///
    /// # Errors
    /// With the first that cannot be read or kept; those before it are done.
    pub async fn reseal(&self, certificates: &Certificates) -> Result<(), String> {
        for slot in certificates.slots() {
            let Certificate::Acme(wanted) = slot.source() else { continue };
            let sealed = async {
                // Whoever reads one seals it again where that is due.
                self.cabinet.certificate(&cabinet::id(wanted)).await?;
                self.cabinet.account(&wanted.settings.directory).await.map(drop)
            };
            sealed.await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// How each certificate stands, in the order of the settings.
    pub async fn standing(&self, certificates: &Certificates) -> Vec<Standing> {
        let mut all = Vec::new();
        for (slot, shown) in certificates.slots().iter().zip(certificates.shown()) {
            let last = match slot.source() {
                // That it cannot be read is told by the look that needs it.
                Certificate::Acme(wanted) => self.cabinet.attempts(&cabinet::id(wanted)).await.ok().flatten(),
                Certificate::Files { .. } | Certificate::Local(_) => None,
            };
            all.push(Standing {
                shown,
                due: self.due(certificates, slot),
                failures: last.as_ref().map_or(0, |last| last.failures),
                failed: last.as_ref().map(|last| last.failed),
                retry: last.as_ref().map(|last| last.retry),
                cause: last.map(|last| last.cause),
            });
        }
        all
    }

    /// Takes the lease and asks for a certificate, unless somebody else is at it.
    async fn attempt(
        &self,
        certificates: &Certificates,
        slot: &Slot,
        wanted: &AcmeCertificate,
    ) -> Result<(), RenewError> {
        let (id, names) = (cabinet::id(wanted), wanted.names.join(", "));
        let lease = match self.cabinet.leases().acquire(&format!("acme {id}"), &self.tools.node, LEASE).await {
            Ok(lease) => lease,
            Err(LeaseError::Held { until }) => return Err(RenewError::Held { names, until }),
            Err(error) => {
                let (cause, retry) = (format!("no lease: {error}"), self.tools.clock.now());
                tracing::error!(cause, names, "a certificate is not asked for");
                return Err(RenewError::Failed { names, cause, retry });
            }
        };
        let before = slot.identity();
        let shown_since = self.take_over(&id, slot).await.is_ok() && slot.identity() != before;
        let outcome = match shown_since {
            // Another gateway had just done it.
            true => Ok(()),
            false => self.attempt_alone(certificates, slot, wanted, &lease).await,
        };
        // It may have run out; then there is nothing to give back.
        let _ = self.cabinet.leases().release(&lease).await;
        outcome
    }

    async fn attempt_alone(
        &self,
        certificates: &Certificates,
        slot: &Slot,
        wanted: &AcmeCertificate,
        lease: &Lease,
    ) -> Result<(), RenewError> {
        let id = cabinet::id(wanted);
        let client = Client::new(wanted.settings.authorities.as_deref(), Arc::clone(&self.tools.clock));
        let (outcome, asked) = match client {
            Ok(client) => {
                let old = Some(slot.identity()).filter(|old| !old.is_temporary());
                let (cabinet, tools) = (&self.cabinet, &self.tools);
                let attempt = Attempt { cabinet, tools, certificates, wanted, id: &id, client: &client };
                let outcome = match attempt.order(old.as_deref()).await {
                    Ok(fresh) => self.accept(fresh, &id, lease).await,
                    Err(error) => Err(error),
                };
                (outcome, client.stay_away())
            }
            Err(error) => (Err(error.into()), None),
        };
        match outcome {
            Ok(identity) => {
                tracing::info!(names = ?wanted.names, until = %identity.life().1, "a new certificate is shown");
                slot.exchange(identity);
                Ok(())
            }
            Err(error) => Err(self.failed(wanted, &id, &error.to_string(), asked).await),
        }
    }

    /// Records a new certificate and keeps it. In this order: what is not recorded is not used.
    async fn accept(&self, fresh: Fresh, id: &str, lease: &Lease) -> Result<Arc<Identity>, AttemptError> {
        self.tools.press.announce(issued(&fresh.identity)).await.map_err(AttemptError::Unrecorded)?;
        self.cabinet.keep(id, &fresh, lease).await?;
        Ok(Arc::new(fresh.identity))
    }

    async fn failed(&self, wanted: &AcmeCertificate, id: &str, cause: &str, asked: Option<Duration>) -> RenewError {
        let now = self.tools.clock.now();
        let before = self.cabinet.attempts(id).await.ok().flatten().map_or(0, |last| last.failures);
        let failures = before.saturating_add(1);
        let mut chance = [0; 2];
        // Without chance the pauses are all alike, which is no reason to stop.
        let _ = self.tools.entropy.fill(&mut chance);
        let pause = renewal::pause(failures, wanted.settings.retry, u16::from_be_bytes(chance), asked);
        let retry = renewal::later(now, pause);
        tracing::warn!(cause, names = ?wanted.names, %retry, "no new certificate; the old one goes on");
        let attempts = Attempts { failures, cause: cause.to_owned(), failed: now, retry };
        if let Err(error) = self.cabinet.note(id, &attempts).await {
            tracing::error!(%error, "that an order failed cannot be kept");
        }
        if let Err(error) = self.tools.press.announce(News::Failed { names: &wanted.names, cause, retry }).await {
            tracing::error!(error, "that an order failed cannot be recorded");
        }
        RenewError::Failed { names: wanted.names.join(", "), cause: cause.to_owned(), retry }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("node", &self.tools.node).finish_non_exhaustive()
    }
}

/// Whether the next attempt is still to wait. A clock that went far ahead and came back does not make it wait for years.
fn waits(last: &Attempts, now: Timestamp) -> bool {
    now < last.retry && now >= last.failed
}

fn issued(identity: &Identity) -> News<'_> {
    News::Issued {
        names: identity.names(),
        issuer: identity.issuer(),
        fingerprint: identity.fingerprint(),
        until: identity.life().1,
    }
}

/// How often it is looked what is due; with a store that others use too, which is asked each time, less often.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_SHARED: Duration = Duration::from_secs(5);

/// How often other gateways' orders are looked for.
const FOLLOW: Duration = Duration::from_secs(2);
