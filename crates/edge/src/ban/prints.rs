//! Bans by fingerprint: of a TLS handshake (JA4), or of a header order. Made by people, and by nobody else: a
//! fingerprint is shared by everybody with the same program.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use reeve_base::{Ticks, Timestamp};
use reeve_policy::catalogue::{Controls, Signature};
use serde::{Deserialize, Serialize};

use super::{BanError, bounded, end_of};
use crate::fingerprint::is_handshake;

/// A ban by fingerprint, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintBan {
    /// JA4, or a header order.
    pub fingerprint: String,
    /// When it was made.
    pub since: Timestamp,
    /// When it ends by itself, if it does.
    pub until: Option<Timestamp>,
    /// Why, for the operator.
    pub reason: String,
    /// Who made it.
    pub by: String,
}

/// Those that hold, each with its end in steady time. Readers take no lock; writers replace the whole.
#[derive(Debug, Default)]
pub(super) struct Prints {
    held: ArcSwap<HashMap<Box<str>, (PrintBan, u64)>>,
    /// What the policy has judged; written by whoever takes a new policy. `Relaxed`: each stands alone.
    handshakes: AtomicBool,
    orders: AtomicBool,
}

impl Prints {
    pub(super) fn follow(&self, controls: &Controls) {
        let judges = |kind| controls.bot_signature.as_ref().is_some_and(|control| control.signatures.contains(&kind));
        self.handshakes.store(judges(Signature::Ja4), Ordering::Relaxed);
        self.orders.store(judges(Signature::HeaderOrder), Ordering::Relaxed);
    }

    /// Whether the policy has fingerprints of this kind judged.
    pub(super) fn judges(&self, fingerprint: &str) -> bool {
        let kind = if is_handshake(fingerprint) { &self.handshakes } else { &self.orders };
        kind.load(Ordering::Relaxed)
    }

    pub(super) fn judged(&self) -> Vec<&'static str> {
        let kinds = [("ja4", &self.handshakes), ("header_order", &self.orders)];
        kinds.into_iter().filter(|(_, judged)| judged.load(Ordering::Relaxed)).map(|(name, _)| name).collect()
    }

    pub(super) fn refuses(&self, fingerprint: &str, now: impl FnOnce() -> Ticks) -> bool {
        let held = self.held.load();
        // Almost always empty; the clock is read only where it matters.
        !held.is_empty() && self.judges(fingerprint) && held.get(fingerprint).is_some_and(|(_, end)| now().0 < *end)
    }

    pub(super) fn put(&self, ban: &PrintBan, length: Option<Duration>, now: Ticks) -> Result<(), BanError> {
        let mut full = false;
        self.held.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.retain(|_, (_, end)| now.0 < *end);
            full = held.len() >= PRINTS_MAX && !held.contains_key(ban.fingerprint.as_str());
            if !full {
                held.insert(ban.fingerprint.as_str().into(), (ban.clone(), end_of(length, now)));
            }
            Arc::new(held)
        });
        if full { Err(BanError::Full { most: PRINTS_MAX }) } else { Ok(()) }
    }

    pub(super) fn lift(&self, fingerprint: &str) -> Option<PrintBan> {
        let before = self.held.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.remove(fingerprint);
            Arc::new(held)
        });
        before.get(fingerprint).map(|(ban, _)| ban.clone())
    }

    pub(super) fn list(&self, now: Ticks) -> Vec<PrintBan> {
        self.held.load().values().filter(|(_, end)| now.0 < *end).map(|(ban, _)| ban.clone()).collect()
    }
}

impl PrintBan {
    pub(super) fn new(fingerprint: &str, length: Option<Duration>, reason: &str, by: &str, since: Timestamp) -> Self {
        let until = length.and_then(|length| since.checked_add(length).ok());
        Self { fingerprint: fingerprint.to_owned(), since, until, reason: bounded(reason), by: bounded(by) }
    }
}

/// Bans by fingerprint at the same time.
pub const PRINTS_MAX: usize = 512;
