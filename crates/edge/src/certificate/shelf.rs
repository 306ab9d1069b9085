//! Which certificate a handshake gets: by the name that it asks for (RFC 6066 section 3), exchanged while it serves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use reeve_base::{Sealer, Timestamp};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::challenge::{self, Challenges};
use super::identity::Identity;
use super::{AcmeCertificate, Certificate, CertificateError, Sites, UnknownName};
use crate::gateway::Shared;
use crate::renewal::{self, Share};

/// All certificates that the listeners show. A reload makes a new one; a renewal exchanges what is in a slot.
#[derive(Debug)]
pub(crate) struct Shelf {
    slots: Vec<Arc<Slot>>,
    /// By name, and by what stands behind `*.` (RFC 9525 section 6.3: a wildcard is one label, the first).
    exact: HashMap<String, Arc<Slot>>,
    wild: HashMap<String, Arc<Slot>>,
    unknown: UnknownName,
    challenges: Arc<Challenges>,
}

/// A place for one certificate, and where that comes from.
#[derive(Debug)]
pub(crate) struct Slot {
    source: Certificate,
    identity: ArcSwap<Identity>,
}

impl Slot {
    pub(crate) const fn source(&self) -> &Certificate {
        &self.source
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    /// Handshakes from now on get this one; connections that are open keep what they have.
    pub(crate) fn exchange(&self, identity: Arc<Identity>) {
        self.identity.store(identity);
    }

    /// The names that lead here: those that were asked for, which a temporary certificate holds too.
    fn names(&self) -> Vec<String> {
        match &self.source {
            Certificate::Acme(AcmeCertificate { names, .. }) => names.clone(),
            Certificate::Files { .. } | Certificate::Local(_) => self.identity().names().to_vec(),
        }
    }
}

impl Shelf {
    pub(crate) fn load(
        first: &Certificate,
        sites: &Sites,
        challenges: Arc<Challenges>,
        sealer: Option<&dyn Sealer>,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let slot = |source: &Certificate| {
            let identity = ArcSwap::new(source.load(sealer, now)?);
            Ok(Arc::new(Slot { source: source.clone(), identity }))
        };
        let slots = std::iter::once(first).chain(&sites.certificates).map(slot).collect::<Result<Vec<_>, _>>()?;
        let mut shelf = Self {
            slots: slots.clone(),
            exact: HashMap::new(),
            wild: HashMap::new(),
            unknown: sites.unknown,
            challenges,
        };
        for slot in slots {
            shelf.label(&slot);
        }
        Ok(shelf)
    }

    /// Of two certificates with one name the one that was named first is shown.
    fn label(&mut self, slot: &Arc<Slot>) {
        for name in slot.names() {
            let entry = match name.strip_prefix("*.") {
                Some(parent) => self.wild.entry(parent.to_owned()),
                None => self.exact.entry(name),
            };
            if let Entry::Vacant(vacant) = entry {
                vacant.insert(Arc::clone(slot));
            }
        }
    }

    pub(crate) fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// Whether a handshake can be asked for a proof of a name.
    pub(crate) fn proves_names(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.source, Certificate::Acme(_)))
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<Slot>> {
        let first = self.slots.first();
        // Without a name it is a client that knows only an address, and there is nothing that it could have got wrong.
        let Some(name) = name else { return first };
        let name = name.to_ascii_lowercase();
        let wild = || self.wild.get(name.split_once('.')?.1);
        let known = self.exact.get(&name).or_else(wild);
        match self.unknown {
            UnknownName::First => known.or(first),
            UnknownName::Refuse => known,
        }
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if challenge::looks_for_proof(&hello) {
            return self.challenges.tls(&hello);
        }
        self.find(hello.server_name()).map(|slot| Arc::clone(slot.identity.load().key()))
    }
}

/// The certificates of a gateway that runs: what it shows, and the way to give it others. Of one that has stopped,
/// nothing.
#[derive(Clone)]
pub struct Certificates {
    /// Weak: whoever waits for an authority must not keep a gateway that stops from ending.
    shared: Weak<Shared>,
}

/// A certificate as it is shown now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Shown {
    /// The names that it is shown for.
    pub names: Vec<String>,
    /// Where it comes from: `files`, `local`, `acme`.
    pub source: &'static str,
    /// Whether it only stands in for one that is not issued yet.
    pub temporary: bool,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// Its first instant.
    pub from: Timestamp,
    /// Its last instant.
    pub to: Timestamp,
    /// When it is replaced at the latest, if somebody does that by itself.
    pub renews: Option<Timestamp>,
}

impl Certificates {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared) }
    }

    /// What is shown now, the first one first.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        self.slots().iter().map(|slot| self.one(slot)).collect()
    }

    fn one(&self, slot: &Slot) -> Shown {
        let identity = slot.identity();
        let (from, to) = identity.life();
        let source = match &slot.source {
            Certificate::Files { .. } => "files",
            Certificate::Local(_) => "local",
            Certificate::Acme(_) => "acme",
        };
        Shown {
            names: slot.names(),
            source,
            temporary: identity.is_temporary(),
            issuer: identity.issuer().to_owned(),
            fingerprint: identity.fingerprint().to_owned(),
            from,
            to,
            renews: self.share(&slot.source).map(|share| renewal::latest(from, to, share)),
        }
    }

    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.shared.upgrade().map_or_else(Vec::new, |shared| shared.live.load().shelf.slots().to_vec())
    }

    /// After which share of its life a certificate from there is replaced; none if nobody does.
    pub(crate) fn share(&self, source: &Certificate) -> Option<Share> {
        let promised = self.shared.upgrade()?.live.load().rules.renewal;
        match source {
            Certificate::Files { .. } => None,
            Certificate::Local(_) => promised,
            // Nobody asks an authority for certificates in order to let them run out.
            Certificate::Acme(_) => Some(promised.map_or(Share::TWO_THIRDS, |share| share.min(Share::TWO_THIRDS))),
        }
    }

    /// Where answers to authorities are put up; into the void, if the gateway has stopped.
    pub(crate) fn challenges(&self) -> Arc<Challenges> {
        self.shared.upgrade().map(|shared| Arc::clone(&shared.challenges)).unwrap_or_default()
    }

    /// Issues a certificate of the local authority again, for a slot that has one.
    pub(crate) fn issue_again(&self, slot: &Slot, now: Timestamp) -> Result<Arc<Identity>, CertificateError> {
        let sealer = self.shared.upgrade().and_then(|shared| shared.tools.sealer.clone());
        slot.source.load(sealer.as_deref(), now)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
