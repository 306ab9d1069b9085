//! What is known of connections that are not over.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::{Last, Said, Weight};
use crate::filter::Host;

/// The connections of one log that something is known of: at most [`CONNECTIONS_MAX`], the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// By a keyed hash of what their lines begin with.
    known: HashMap<u64, Known>,
    /// In the order in which they were first heard of, with a number that tells a new one from an old one of its name.
    order: VecDeque<(u64, u64)>,
    count: u64,
    hash: RandomState,
}

/// A connection.
#[derive(Debug, Default)]
struct Known {
    number: u64,
    hosts: Hosts,
    users: Users,
    weight: Weight,
    /// There was a failure whose address was not known then.
    pending: bool,
    /// Failures that were told already, or would be if the next line says so.
    failures: u32,
    /// What would count if it became a failure.
    perhaps: u32,
}

/// The last of each form; a line that names none leaves them.
#[derive(Debug, Default)]
struct Hosts {
    four: Option<IpAddr>,
    six: Option<IpAddr>,
    name: Option<Box<str>>,
}

/// As whom somebody tried: nobody yet, one, or several.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Users {
    #[default]
    None,
    One(u64),
    Several,
}

impl Connections {
    /// Takes what a line says. From where, and how many attempts, if it makes a failure.
    pub(super) fn merge(&mut self, connection: &[u8], said: Said<'_>) -> Option<(Host, u32)> {
        let key = self.hash.hash_one(connection);
        let user = said.user.filter(|user| !user.is_empty()).map(|user| self.hash.hash_one(user));
        let held = self.known.remove(&key);
        let heard_of = held.is_some();
        let mut known = held.unwrap_or_default();
        if heard_of || said.last == Last::No {
            known.users.add(user);
        }
        let several = known.users == Users::Several;
        let undecided = std::mem::take(&mut known.weight) != Weight::Failure;
        if said.weight == Weight::SignedIn {
            known.pending = false;
        }
        if heard_of && !undecided && !known.pending {
            // Those were told.
            known.failures = 0;
        }
        known.hosts.take(said.host);
        known.weight = said.weight;
        // Signing in as one user does not excuse having failed as another.
        if std::mem::take(&mut known.pending) || several {
            known.weight = Weight::Failure;
        }
        match (known.weight, said.last) {
            (Weight::Failure, _) => known.failures = known.failures.saturating_add(known.told()),
            (Weight::Perhaps, Last::No) => known.perhaps = known.perhaps.saturating_add(1),
            (Weight::Perhaps | Weight::SignedIn, _) => {}
        }
        let found = match (known.weight, known.hosts.known()) {
            (Weight::Failure, Some(host)) => Some((host, known.failures.max(1))),
            (Weight::Failure, None) => {
                known.pending = true;
                None
            }
            (Weight::Perhaps | Weight::SignedIn, _) => None,
        };
        if said.last == Last::No {
            self.remember(key, known, heard_of);
        }
        found
    }

    fn remember(&mut self, key: u64, mut known: Known, heard_of: bool) {
        if !heard_of {
            self.count += 1;
            known.number = self.count;
            self.order.push_back((key, known.number));
        }
        self.known.insert(key, known);
        while self.order.len() > CONNECTIONS_MAX {
            let Some((oldest, number)) = self.order.pop_front() else { break };
            if self.known.get(&oldest).is_some_and(|known| known.number == number) {
                self.known.remove(&oldest);
            }
        }
    }
}

impl Known {
    /// This failure, and what only now turns out to have been one.
    fn told(&mut self) -> u32 {
        std::mem::take(&mut self.perhaps).saturating_add(1)
    }
}

impl Users {
    fn add(&mut self, user: Option<u64>) {
        *self = match (*self, user) {
            (held, None) => held,
            (Self::None, Some(user)) => Self::One(user),
            (Self::One(held), Some(user)) if held == user => Self::One(held),
            (Self::One(_) | Self::Several, Some(_)) => Self::Several,
        };
    }
}

impl Hosts {
    fn take(&mut self, host: Option<Host>) {
        match host {
            Some(Host::Address(address @ IpAddr::V4(_))) => self.four = Some(address),
            Some(Host::Address(address @ IpAddr::V6(_))) => self.six = Some(address),
            Some(Host::Name(name)) => self.name = Some(name),
            None => {}
        }
    }

    fn known(&self) -> Option<Host> {
        let address = self.four.or(self.six).map(Host::Address);
        address.or_else(|| self.name.clone().map(Host::Name))
    }
}

/// Some hundred bytes each.
const CONNECTIONS_MAX: usize = 4_096;
