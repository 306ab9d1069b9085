//! Limits on rates: of an address (/64 for IPv6), of a signed-in user, of the value of a header; for the whole site and
//! for routes of it.
//!
//! Each is counted with GCRA in a [table] of fixed size that all workers share; values are kept as keyed hashes only,
//! under a key that is drawn at every start. Where several nodes count together ([`SharedRates`]), a request is first
//! held to what this node knows, which refuses whoever is over the limit without asking anyone, and then counted there;
//! while the nodes stand apart, each counts its share.

mod allowance;
mod rules;
mod subject;
mod table;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use reeve_base::{Clock, Nodes, SharedRates, Spend, Spent, Ticks};

use crate::refusal::Refusal;

pub use allowance::Allowance;
pub(crate) use allowance::whole_seconds;
pub use rules::Counted;
pub use rules::RateRules;
pub use subject::Session;

use rules::{Limit, Which};
pub(crate) use table::Quota;

use subject::octets;
use table::{Key, Pace, Table};

/// The paces of everybody seen lately: three tables of 2.1 MiB, those for users and keys made when they are first
/// needed. It outlives a reload.
#[derive(Default)]
pub struct Rates {
    addresses: OnceLock<Table>,
    headers: OnceLock<Table>,
    users: OnceLock<Table>,
    /// Where several nodes count together, if they do.
    shared: OnceLock<Arc<dyn SharedRates>>,
}

/// Of one request, what a limit on rates may need.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "whoever counts a request has all of it")]
pub struct Asked<'a> {
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its path, as it came.
    pub path: &'a str,
    /// Where it came from.
    pub address: IpAddr,
}

impl Rates {
    /// Counts together with other nodes from now on. There is one such place in the life of a gateway.
    pub(crate) fn share(&self, shared: Arc<dyn SharedRates>) {
        let _ = self.shared.set(shared);
    }

    /// Where a request is to be counted beside this process, if anywhere, now.
    pub(crate) fn together(&self) -> Option<&Arc<dyn SharedRates>> {
        self.shared.get().filter(|shared| shared.nodes() == Nodes::Together)
    }

    /// Counts a request against every limit that holds for it, in this process.
    ///
    /// # Errors
    /// When one of them refuses it. Those before have counted it, that one and those after have not.
    pub fn count(
        &self,
        rules: &RateRules,
        asked: Asked<'_>,
        now: Ticks,
        allowance: &Cell<Allowance>,
    ) -> Result<(), Refusal> {
        let nodes = self.shared.get().map_or(1, |shared| match shared.nodes() {
            Nodes::Together => 1,
            Nodes::Apart { nodes } => nodes.get(),
        });
        let mut left = allowance.get();
        let outcome = rules.claims(asked.headers, asked.path, asked.address, |claim| {
            let quota = if nodes == 1 { claim.limit.quota } else { claim.limit.quota.share(nodes) };
            let table = self.table(claim.which.counted);
            let pace = table.count(table.key(claim.limit.id, claim.subject), quota, now);
            left.note(claim.which, quota, pace);
            judge(claim.which.counted, quota, pace)
        });
        allowance.set(left);
        outcome
    }

    /// Counts a report of a browser, which has a limit of its own and is no request that the policy speaks of.
    ///
    /// # Errors
    /// When the address has sent too many.
    pub(crate) fn count_report(&self, address: IpAddr, quota: Quota, now: Ticks) -> Result<(), Refusal> {
        let table = self.table(Counted::Address);
        judge(Counted::Address, quota, table.count(table.key(REPORTS, octets(address)), quota, now))
    }

    /// Counts a request against every limit that holds for it, together with other nodes. Whoever is over a limit as
    /// this node knows is refused without asking; where nobody answers, this node counts its share.
    ///
    /// # Errors
    /// As [`Rates::count`].
    pub(crate) async fn count_together(
        &self,
        shared: &dyn SharedRates,
        rules: &RateRules,
        asked: Asked<'_>,
        clock: &dyn Clock,
        allowance: &Cell<Allowance>,
    ) -> Result<(), Refusal> {
        let wanted = self.wanted(rules, asked, clock.ticks(), allowance)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let spends: Vec<_> = wanted.iter().map(Wanted::spend).collect();
        let Ok(spent) = shared.spend(&spends).await else {
            return self.count(rules, asked, clock.ticks(), allowance);
        };
        let (now, mut left) = (clock.ticks(), allowance.get());
        let mut outcome = Ok(());
        for (wanted, spent) in wanted.iter().zip(spent) {
            let pace = match spent {
                Spent::Passed(ahead) => Pace::Passes(nanoseconds(ahead)),
                Spent::Refused(ahead) => Pace::Refused(nanoseconds(ahead)),
            };
            self.table(wanted.which.counted).learn(wanted.key, pace.ahead(), now);
            left.note(wanted.which, wanted.limit.quota, pace);
            outcome = outcome.and(judge(wanted.which.counted, wanted.limit.quota, pace));
        }
        allowance.set(left);
        outcome
    }

    /// What is to be counted elsewhere, unless this node knows already that it is too much.
    fn wanted<'r>(
        &self,
        rules: &'r RateRules,
        asked: Asked<'_>,
        now: Ticks,
        allowance: &Cell<Allowance>,
    ) -> Result<Vec<Wanted<'r>>, Refusal> {
        let mut wanted = Vec::new();
        rules.claims(asked.headers, asked.path, asked.address, |claim| {
            let (which, limit) = (claim.which, claim.limit);
            let table = self.table(which.counted);
            let key = table.key(limit.id, claim.subject);
            let pace = table.look(key, limit.quota, now);
            if let Pace::Refused(_) = pace {
                let mut left = allowance.get();
                left.note(which, limit.quota, pace);
                allowance.set(left);
            }
            judge(which.counted, limit.quota, pace)?;
            wanted.push(Wanted { which, limit, key, subject: claim.subject.to_owned(), ahead: pace.ahead() });
            Ok(())
        })?;
        Ok(wanted)
    }

    fn table(&self, counted: Counted) -> &Table {
        let table = match counted {
            Counted::Address => &self.addresses,
            Counted::Header => &self.headers,
            Counted::User => &self.users,
        };
        table.get_or_init(Table::new)
    }
}

/// One request under one limit, to be counted elsewhere.
struct Wanted<'r> {
    which: Which,
    limit: &'r Limit,
    key: Key,
    subject: Vec<u8>,
    ahead: u64,
}

impl Wanted<'_> {
    fn spend(&self) -> Spend<'_> {
        Spend {
            limit: &self.limit.name,
            subject: &self.subject,
            interval: self.limit.quota.interval(),
            tolerance: self.limit.quota.tolerance(),
            ahead: Duration::from_nanos(self.ahead),
        }
    }
}

fn judge(counted: Counted, quota: Quota, pace: Pace) -> Result<(), Refusal> {
    match pace {
        Pace::Passes(_) => Ok(()),
        Pace::Refused(ahead) => {
            let over = ahead.saturating_sub(nanoseconds(quota.tolerance()));
            // At least something: of a clock that is not this machine's, both may come out the same.
            Err(Refusal::Rate { counted, retry_after: Duration::from_nanos(over.max(1)) })
        }
    }
}

/// What no limit of the policy is known by: those have hashes.
const REPORTS: u64 = u64::MAX;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
