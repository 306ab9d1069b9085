//! The care for certificates: what is due is done, news go to the ledger, and operators are told how each one stands.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use reeve_base::{Clock, Entropy, Event, EventIds, Outcome, Sealer, SystemEntropy};
use reeve_edge::{
    Announced, Certificates, DnsHook, Gateway, Keeper, KeeperTools, News, Outlook, Outward, Press, Session, Standing,
    TrialError,
};
use reeve_ledger::{Class, Entry, Ledger};
use serde_json::{Value, json};

use super::{Act, Keeping};
use crate::deployment::Reply;
use crate::settings::Database;

/// Who cares for the certificates, and for which.
pub(super) struct Care {
    entropy: Arc<dyn Entropy>,
    dns: Option<Arc<dyn DnsHook>>,
    keeper: OnceLock<Keeper>,
    certificates: OnceLock<Certificates>,
    outward: OnceLock<Outward>,
}

impl Care {
    pub(super) const fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, dns: None, keeper: OnceLock::new(), certificates: OnceLock::new(), outward: OnceLock::new() }
    }
}

impl Keeping {
    /// The same, with somebody who can change the DNS.
    pub(crate) fn with_dns(mut self, dns: Option<Arc<dyn DnsHook>>) -> Self {
        self.care.dns = dns;
        self
    }

    fn keeper(&self) -> &Keeper {
        self.care.keeper.get_or_init(|| {
            Keeper::new(KeeperTools {
                store: self.store.clone(),
                sealer: Arc::clone(&self.vault) as Arc<dyn Sealer>,
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.care.entropy),
                press: Arc::new(Trail { ledger: Arc::clone(&self.ledger), clock: Arc::clone(&self.clock) }),
                dns: self.care.dns.clone(),
                node: self.node(),
                shared: matches!(self.kept.store.database.value, Database::Postgres(_)),
            })
        })
    }

    /// This gateway among those that share its store: the same again after a restart, so that it takes up its own lease.
    pub(super) fn node(&self) -> String {
        let system = rustix::system::uname();
        format!("{} {}", system.nodename().to_string_lossy(), self.kept.data.display())
    }

    /// Puts the certificates that are kept into what a gateway is told.
    pub(crate) async fn fill(&self, settings: &mut reeve_edge::Settings) {
        self.keeper().fill(settings).await;
    }

    /// Takes the certificates of a gateway that has started into care. One gateway in the life of a keeping.
    pub(crate) fn attend(&self, gateway: &Gateway) {
        // A second one would be left as it is, and there is none.
        let _ = self.care.certificates.set(gateway.certificates());
        let _ = self.care.outward.set(gateway.outward());
        self.attend_maintenance(gateway);
        let _ = self.scripts.set(gateway.scripts());
        let _ = self.learning.set(gateway.learning());
        self.meter(gateway.meters());
        self.attend_rules(gateway.firewall());
    }

    /// How the gateway reaches its applications.
    pub(super) fn outlook(&self) -> Vec<Outlook> {
        self.care.outward.get().map(Outward::outlook).unwrap_or_default()
    }

    /// Where the firewall's rules only find.
    pub(super) fn only_detects(&self) -> Vec<String> {
        self.care.outward.get().map(Outward::only_detects).unwrap_or_default()
    }

    /// What is left out of the firewall's rules, and until when.
    pub(super) fn excludes(&self) -> Vec<Value> {
        let excludes = self.care.outward.get().map(Outward::excludes).unwrap_or_default();
        excludes.iter().map(|one| json!({ "what": one.to_string(), "until": one.until.to_string() })).collect()
    }

    /// What the application knows a user by.
    pub(super) fn session(&self) -> Option<Session> {
        self.care.outward.get()?.session()
    }

    pub(super) async fn try_upstream(&self, name: Option<&str>, address: SocketAddr) -> Reply {
        let Some(outward) = self.care.outward.get() else { return Reply::refused("there is no gateway here") };
        match outward.attempt(name, address).await {
            Ok(()) => Reply::done("the handshake succeeded", json!({ "believed": true })),
            Err(TrialError::Refused(cause)) => Reply::done(cause, json!({ "believed": false })),
            Err(error) => Reply::refused(error.to_string()),
        }
    }

    /// Does what is due, for as long as this is polled.
    pub(crate) async fn care(&self) {
        tokio::join!(self.care_for_certificates(), self.tell_performance(), self.care_for_rules());
    }

    async fn care_for_certificates(&self) {
        if let Some(certificates) = self.care.certificates.get() {
            self.keeper().run(certificates).await;
        }
    }

    /// Follows a rotation of the store key.
    pub(super) async fn reseal_certificates(&self) -> anyhow::Result<()> {
        let Some(certificates) = self.care.certificates.get() else { return Ok(()) };
        let resealed = self.keeper().reseal(certificates).await;
        resealed.map_err(|error| anyhow::anyhow!("the keys of certificates are not sealed anew: {error}"))
    }

    pub(super) async fn standing(&self) -> Vec<Standing> {
        match self.care.certificates.get() {
            Some(certificates) => self.keeper().standing(certificates).await,
            None => Vec::new(),
        }
    }

    pub(super) async fn certificates(&self) -> anyhow::Result<Reply> {
        let standing = self.standing().await;
        let text = format!("{} certificates", standing.len());
        Ok(Reply::done(text, json!({ "certificates": standing })))
    }

    pub(super) async fn renew_certificate(&self, name: Option<&str>, asker: &str) -> anyhow::Result<Reply> {
        let Some(certificates) = self.care.certificates.get() else { anyhow::bail!("there are no certificates here") };
        let object = name.unwrap_or("all");
        self.act(&Act { activity: "certificate.renew", actor: asker, action: "renew", object }).await?;
        self.keeper().renew(certificates, name).await?;
        let standing = self.keeper().standing(certificates).await;
        let until: Vec<_> = standing
            .iter()
            .filter(|one| {
                one.due.is_some() && name.is_none_or(|name| one.shown.names.iter().any(|known| known == name))
            })
            .map(|one| format!("{} until {}", one.shown.names.join(", "), one.shown.to))
            .collect();
        let text = match until.as_slice() {
            [] => String::from("there is no certificate here that could be renewed"),
            _ => format!("renewed: {}", until.join("; ")),
        };
        Ok(Reply::done(text, json!({ "certificates": standing })))
    }
}

/// The security trail, as whoever cares for certificates writes to it.
struct Trail {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

impl Press for Trail {
    fn announce<'a>(&'a self, news: News<'a>) -> Announced<'a> {
        Box::pin(async move {
            let entry = self.entry(news).map_err(|error| format!("{error:#}"))?;
            let receipt = self.ledger.append(entry).map_err(|error| error.to_string())?;
            receipt.durable().await.map_err(|error| error.to_string())?;
            Ok(())
        })
    }
}

impl Trail {
    fn entry(&self, news: News<'_>) -> anyhow::Result<Entry> {
        let time = self.clock.now();
        let event = |activity, object, outcome| {
            let id = EventIds::new(&SystemEntropy)?.next(time);
            let (actor, action) = (Cow::Borrowed("reeve"), Cow::Borrowed("issue"));
            let (status, duration_us, ja4, header_order) = (None, None, None, None);
            anyhow::Ok(Event {
                time,
                id,
                activity,
                actor,
                action,
                object,
                outcome,
                status,
                duration_us,
                ja4,
                header_order,
                findings: None,
            })
        };
        let (event, more) = match news {
            News::Issued { names, issuer, fingerprint, until } => {
                let object = Cow::Owned(format!("sha256:{fingerprint}"));
                let more = json!({ "names": names, "issuer": issuer, "until": until });
                (event("certificate.issued", object, Outcome::Allowed)?, more)
            }
            News::Failed { names, cause, retry } => {
                let outcome = Outcome::Failed { part: "tls.acme", cause: Cow::Borrowed(cause) };
                (event("acme.failed", Cow::Owned(names.join(" ")), outcome)?, json!({ "retry": retry }))
            }
            other => anyhow::bail!("nobody knows how to record {other:?}"),
        };
        let mut body = serde_json::to_value(&event)?;
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        Ok(Entry {
            class: Class::Security,
            activity: event.activity.to_owned(),
            clause: None,
            actor: Some(String::from("reeve")),
            body: serde_json::to_vec(&body)?,
        })
    }
}
