//! Bans: addresses and networks that are refused before anything is said to them.
//!
//! [`Bans`] is one for all workers. Whoever accepts a connection asks [`Bans::refuses`], which takes no lock; whoever
//! sees something suspicious tells it, and enough of that within a window becomes a temporary ban ([`tally`]). What is
//! banned stands in a [`book`] under a lock, and in a [`table`] made from it for the readers.
//!
//! Some addresses are never banned, whatever they do: this machine's own, loopback, and those that the deployment
//! allows. That is looked up when an offence is counted, when a ban is made or restored, and again when one would
//! refuse.
//!
//! Ends are kept in steady time: a clock that jumps neither lifts a ban nor prolongs it. The wall clock counts only for
//! what people read and across a restart.

mod book;
mod exempt;
mod filter;
mod network;
mod notice;
mod prints;
mod rules;
mod table;
mod tally;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use reeve_base::{Actuator, Clock, Ticks, Timestamp};
use reeve_policy::catalogue::Controls;
use serde::{Deserialize, Serialize};

use book::Book;
use exempt::Exempt;
use prints::Prints;
use rules::Jail;
use table::Table;

pub use exempt::{CANARIES_MAX, CANARY_TIME, Canaries};
pub use network::{banned_network, parse_network};
pub use prints::{PRINTS_MAX, PrintBan};
pub use rules::JailRule;

pub(crate) use notice::Seen;

/// A ban, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Whom it concerns: one IPv4 address, one IPv6 /64, or a wider network.
    pub network: IpNet,
    /// When it was made.
    pub since: Timestamp,
    /// When it ends by itself; a ban without an end stays until somebody lifts it.
    pub until: Option<Timestamp>,
    /// Why, for the operator. At most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// Who made it: the control (`ban.http`), or a user (`uid:1000`).
    pub by: String,
    /// Whether it was made by a control and not by a person.
    pub automatic: bool,
    /// How often this network has been banned, this time included; what doubles a ban's length.
    pub times: u32,
}

/// What became of a ban. The wiring keeps and records each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each change must be recorded")]
pub enum Change {
    /// It was made, or altered.
    Made(Ban),
    /// It is over.
    Ended(Ban, Ending),
    /// Its network has behaved for so long that nothing is remembered of it.
    Forgotten(IpNet),
}

/// Why a ban is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "each ending must be recorded")]
pub enum Ending {
    /// Its time was over.
    Expired,
    /// Somebody lifted it.
    Lifted,
    /// The network is on the list of those that are never banned.
    Exempt,
    /// The table was full and another ban needed its place.
    Displaced,
}

/// Why a ban cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BanError {
    /// It is on the list of those that are never banned.
    #[error("`{network}` is never banned: it lies in `{exempt}`; take that from `allow` in `[ban]` first")]
    Exempt {
        /// Whom the ban would concern.
        network: IpNet,
        /// What allows it.
        exempt: IpNet,
    },
    /// It would lock out a good part of the world.
    #[error("`{0}` is wider than a ban may be; the widest are /8 for IPv4 and /19 for IPv6")]
    TooWide(IpNet),
    /// There is no room, and nothing that may be displaced.
    #[error("there are {most} bans made by people, and no room for another; lift some first")]
    Full {
        /// How many there may be.
        most: usize,
    },
    /// It was lifted a moment ago, and that holds.
    #[error("`{0}` was lifted by somebody, and that holds for a while")]
    Grace(IpNet),
}

/// Every ban, and everything that may become one. One for all workers.
pub struct Bans {
    clock: Arc<dyn Clock>,
    table: Table,
    exempt: ArcSwap<Exempt>,
    canaries: Canaries,
    jails: ArcSwap<Vec<Arc<Jail>>>,
    prints: Prints,
    /// Connections and requests refused so far. `Relaxed`: a figure for people.
    refused: AtomicU64,
    /// Taken by whoever changes something, never by who asks [`Bans::refuses`]. Whoever holds it may write to `table`,
    /// and nobody else may.
    book: Mutex<Book>,
    /// Rules that log sources brought, beside those of the policy. Locked before `book`, never after it.
    sources: Mutex<(Vec<JailRule>, Vec<JailRule>)>,
}

impl Bans {
    /// A table without bans and without rules.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            table: Table::new(),
            exempt: ArcSwap::from_pointee(Exempt::default()),
            canaries: Canaries::default(),
            jails: ArcSwap::default(),
            prints: Prints::default(),
            refused: AtomicU64::new(0),
            book: Mutex::default(),
            sources: Mutex::default(),
        }
    }

    /// Whether this address is banned now. Takes no lock and does not allocate.
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> bool {
        let Some(end) = self.table.end(address) else { return false };
        // Only now, because reading the clock costs as much as the look-up did.
        let now = self.clock.ticks();
        now.0 < end && self.exempting(address, now).is_none()
    }

    /// The same, and counts it.
    pub(crate) fn turns_away(&self, address: IpAddr) -> bool {
        let refuses = self.refuses(address);
        if refuses {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        refuses
    }

    /// Whether this fingerprint is banned now. Takes no lock and does not allocate.
    #[must_use]
    pub fn refuses_print(&self, fingerprint: &str) -> bool {
        self.prints.refuses(fingerprint, || self.clock.ticks())
    }

    /// The same, and counts it.
    pub(crate) fn turns_away_print(&self, fingerprint: &str) -> bool {
        let refuses = self.refuses_print(fingerprint);
        if refuses {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        refuses
    }

    /// Whether the policy has fingerprints of this kind judged (`bot.signature`): without it a ban by one does nothing.
    #[must_use]
    pub fn judges_print(&self, fingerprint: &str) -> bool {
        self.prints.judges(fingerprint)
    }

    /// The kinds of fingerprints that the policy has judged, as events call them.
    #[must_use]
    pub fn judged_prints(&self) -> Vec<&'static str> {
        self.prints.judged()
    }

    /// Bans a fingerprint for `length`, or until somebody lifts it.
    ///
    /// # Errors
    /// When there are [`PRINTS_MAX`] already.
    pub fn add_print(
        &self,
        fingerprint: &str,
        length: Option<Duration>,
        reason: &str,
        by: &str,
    ) -> Result<PrintBan, BanError> {
        let now = self.moment();
        let ban = PrintBan::new(fingerprint, length, reason, by, now.time);
        self.prints.put(&ban, length, now.ticks)?;
        Ok(ban)
    }

    /// Takes a ban by fingerprint that was kept. One that is over is left out.
    pub fn restore_print(&self, ban: &PrintBan) {
        let now = self.moment();
        let left = ban.until.map(|until| Duration::try_from(until.duration_since(now.time)).unwrap_or_default());
        // With no room left, those that are in go on.
        if left != Some(Duration::ZERO) && self.prints.put(ban, left, now.ticks).is_err() {
            tracing::error!("a fingerprint's ban finds no room");
        }
    }

    /// Lifts the ban of a fingerprint.
    pub fn lift_print(&self, fingerprint: &str) -> Option<PrintBan> {
        self.prints.lift(fingerprint)
    }

    /// Every ban by fingerprint, in no order.
    #[must_use]
    pub fn prints(&self) -> Vec<PrintBan> {
        self.prints.list(self.clock.ticks())
    }

    /// How many connections and requests were refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes the rules of the policy. Counts of a rule that stays the same go on.
    pub fn follow(&self, controls: &Controls) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.0 = rules::of(controls);
        self.prints.follow(controls);
        self.arrange(&sources);
    }

    /// Takes the rules of log sources that have some of their own, in the place of those it had.
    pub fn follow_sources(&self, rules: Vec<JailRule>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.1 = rules;
        self.arrange(&sources);
    }

    fn arrange(&self, sources: &(Vec<JailRule>, Vec<JailRule>)) {
        let held = self.jails.load_full();
        let jail = |rule: &JailRule| {
            let same = held.iter().find(|jail| jail.rule == *rule);
            same.map_or_else(|| Arc::new(Jail::new(rule.clone())), Arc::clone)
        };
        self.jails.store(Arc::new(sources.0.iter().chain(&sources.1).map(jail).collect()));
    }

    /// Never to ban these, from now on; what is banned among them is lifted. At most [`EXEMPT_MAX`], the rest is left
    /// out and said so.
    pub fn exempt(&self, networks: Vec<IpNet>) {
        self.exempt.store(Arc::new(Exempt::new(networks)));
        let now = self.clock.ticks();
        let mut book = self.book();
        let covered: Vec<IpNet> =
            book.networks().filter(|network| self.exempting_network(network).is_some()).copied().collect();
        for network in covered {
            book.end(&network, Ending::Exempt, now);
            self.table.clear(&network, &book);
        }
    }

    /// Loopback addresses that may be banned for a while, because a probe says so.
    #[must_use]
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// Bans `network` for `length`, or until somebody lifts it.
    ///
    /// # Errors
    /// See [`BanError`].
    pub fn add(&self, network: IpNet, length: Option<Duration>, reason: &str, by: &str) -> Result<Ban, BanError> {
        let network = banned_network(network);
        self.admissible(&network)?;
        let now = self.moment();
        let mut book = self.book();
        let ban = Ban {
            network,
            since: now.time,
            until: length.and_then(|length| now.time.checked_add(length).ok()),
            reason: bounded(reason),
            by: bounded(by),
            automatic: false,
            times: book.times(&network, now.ticks).saturating_add(1),
        };
        self.put(&mut book, ban, length, now)
    }

    /// Finds out whether [`Bans::add`] would take it.
    ///
    /// # Errors
    /// See [`BanError`].
    pub fn admissible(&self, network: &IpNet) -> Result<(), BanError> {
        let network = banned_network(*network);
        if network::too_wide(&network) {
            return Err(BanError::TooWide(network));
        }
        match self.exempting_network(&network) {
            Some(exempt) => Err(BanError::Exempt { network, exempt }),
            None => Ok(()),
        }
    }

    /// Lifts the ban of exactly this network. For [`GRACE`] no control bans it again, and what was counted against it
    /// is forgotten.
    pub fn lift(&self, network: IpNet) -> Option<Ban> {
        let network = banned_network(network);
        let now = self.moment();
        let mut book = self.book();
        let ended = book.end(&network, Ending::Lifted, now.ticks)?;
        book.grant_grace(network, now.ticks);
        self.table.clear(&network, &book);
        self.jails.load().iter().for_each(|jail| jail.tallies.forget(network.addr()));
        Some(ended)
    }

    /// Every ban, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<Ban> {
        self.book().bans().cloned().collect()
    }

    /// Grows whenever a ban is made, altered or over: whoever keeps a copy need not compare while it stands still.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.book().bans().count()
    }

    /// Takes bans that were kept, or that another node made. Those that are over, or exempt by now, are left out; one
    /// that stands here already is replaced. Nothing of it comes back as a [`Change`]. How many were taken.
    pub fn restore(&self, bans: impl IntoIterator<Item = Ban>) -> usize {
        let now = self.moment();
        let mut book = self.book();
        let mut taken = Vec::new();
        for ban in bans {
            let known = book.ban(&ban.network) == Some(&ban);
            if known || self.admissible(&ban.network).is_err() {
                continue;
            }
            let left = ban.until.map(|until| until.duration_since(now.time));
            let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
            if left == Some(Duration::ZERO) {
                book.remember(&ban, now.ticks);
                continue;
            }
            let network = ban.network;
            // With no room left, those that are in go on.
            if let Ok(displaced) = book.put_quietly(ban, end_of(left, now.ticks), now.ticks) {
                taken.extend(displaced);
                taken.push(network);
            }
        }
        if taken.len() > REBUILD_FROM {
            self.table.rebuild(&book);
        } else {
            for network in &taken {
                if book.ban(network).is_some() {
                    self.table.set(network, &book);
                } else {
                    self.table.clear(network, &book);
                }
            }
        }
        taken.iter().filter(|network| book.ban(network).is_some()).count()
    }

    /// Takes notice of a ban that somebody lifted elsewhere, or before a restart, `ago`.
    pub fn restore_lifted(&self, ban: &Ban, ago: Duration) {
        let now = self.clock.ticks();
        let mut book = self.book();
        let lifted = Ticks(now.0.saturating_sub(nanoseconds(ago)));
        if ago < GRACE {
            book.grant_grace(ban.network, lifted);
        }
        // One that was made after it is another ban.
        let same = book.ban(&ban.network).is_some_and(|held| held.since <= ban.since);
        if same && book.end_quietly(&ban.network) {
            self.table.clear(&ban.network, &book);
        }
        if book.ban(&ban.network).is_none() {
            book.remember(ban, lifted);
        }
    }

    /// Ends what is over. Bans end on time without it; it is what tells of them.
    pub fn sweep(&self) {
        let now = self.clock.ticks();
        let mut book = self.book();
        for network in book.sweep(now) {
            self.table.clear(&network, &book);
        }
    }

    /// What happened since the last time, oldest first, and how many changes were lost because nobody asked for long.
    pub fn take_changes(&self) -> (Vec<Change>, u64) {
        self.book().take_changes()
    }

    /// Makes a ban because a rule says so. Nothing happens where the address is banned already, exempt or in grace.
    fn ban_by(&self, jail: &Jail, address: IpAddr, cause: &str) {
        let network = network::of_address(address);
        let now = self.moment();
        if self.exempting(address, now.ticks).is_some() {
            return;
        }
        let mut book = self.book();
        if book.ban(&network).is_some() || book.in_grace(&network, now.ticks) {
            return;
        }
        let times = book.times(&network, now.ticks).saturating_add(1);
        let length = jail.rule.length(times);
        let ban = Ban {
            network,
            since: now.time,
            until: now.time.checked_add(length).ok(),
            reason: bounded(cause),
            by: jail.rule.name.clone(),
            automatic: true,
            times,
        };
        // Full of what people banned: the address stays, and everybody who asks is told why.
        if let Err(error) = self.put(&mut book, ban, Some(length), now) {
            tracing::error!(%error, "an address cannot be banned");
        }
        drop(book);
        jail.tallies.forget(address);
    }

    fn put(&self, book: &mut Book, ban: Ban, length: Option<Duration>, now: Moment) -> Result<Ban, BanError> {
        let network = ban.network;
        let displaced = book.put(ban.clone(), end_of(length, now.ticks), now.ticks)?;
        if let Some(displaced) = displaced {
            self.table.clear(&displaced, book);
        }
        self.table.set(&network, book);
        Ok(ban)
    }

    /// What keeps this address from being banned, if anything does.
    fn exempting(&self, address: IpAddr, now: Ticks) -> Option<IpNet> {
        let address = address.to_canonical();
        let exempting = self.exempt.load().holds(address)?;
        let canary = address.is_loopback() && self.canaries.holds(address, now);
        if canary { None } else { Some(exempting) }
    }

    /// What keeps all of this network from being banned.
    fn exempting_network(&self, network: &IpNet) -> Option<IpNet> {
        let exempting = self.exempt.load().covers(network)?;
        let canary = network.addr().is_loopback() && self.canaries.holds(network.addr(), self.clock.ticks());
        if canary { None } else { Some(exempting) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change of the book is whole before anything in it can panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { time: self.clock.now(), ticks: self.clock.ticks() }
    }
}

impl Actuator for Bans {
    fn offence(&self, rule: &str, address: IpAddr, age: Duration) {
        self.count_against(rule, address, 1, age, "in the log");
    }
}

impl std::fmt::Debug for Bans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bans").field("refused", &self.refused()).finish_non_exhaustive()
    }
}

/// Both clocks at once.
#[derive(Debug, Clone, Copy)]
struct Moment {
    time: Timestamp,
    ticks: Ticks,
}

/// The end in steady time; without a length it never comes.
fn end_of(length: Option<Duration>, now: Ticks) -> u64 {
    length.map_or(u64::MAX, |length| now.0.saturating_add(nanoseconds(length)))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn bounded(text: &str) -> String {
    let plain = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut bounded = String::new();
    for character in plain {
        if bounded.len() + character.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        bounded.push(character);
    }
    bounded
}

/// Bans at the same time. Past it a new one takes the place of the one by a control that ends soonest; those that
/// people made are never displaced. 131,072 of them take about 70 MiB.
pub const BANS_MAX: usize = 131_072;

/// Networks that are never banned.
pub const EXEMPT_MAX: usize = 1_024;

/// From so many changes on, making the table anew costs less than making each.
const REBUILD_FROM: usize = 1_000;

/// For how long a lifted ban is not made again by a control.
pub const GRACE: Duration = Duration::from_secs(10 * 60);

/// For how long after the end of a ban the next one of the same network is longer.
pub const MEMORY: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The longest reason.
pub const REASON_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
