//! The bans as they are kept: who, why, until when, how often before, and what changed. Under a lock, and off the path
//! of a request.

use std::collections::{BTreeSet, HashMap};

use ipnet::IpNet;
use reeve_base::Ticks;

use super::{BANS_MAX, Ban, BanError, Change, Ending, GRACE, nanoseconds};

#[derive(Debug, Default)]
pub(super) struct Book {
    bans: HashMap<IpNet, Held>,
    /// Those that end by themselves, soonest first.
    ends: BTreeSet<(u64, IpNet)>,
    /// Those among them that give up their place when the table is full.
    yielding: BTreeSet<(u64, IpNet)>,
    past: HashMap<IpNet, Past>,
    past_ends: BTreeSet<(u64, IpNet)>,
    graces: Vec<(IpNet, u64)>,
    changes: Vec<Change>,
    lost: u64,
}

#[derive(Debug)]
struct Held {
    ban: Ban,
    end: u64,
}

/// What is remembered of a network whose ban is over.
#[derive(Debug)]
struct Past {
    times: u32,
    until: u64,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn ban(&self, network: &IpNet) -> Option<&Ban> {
        self.bans.get(network).map(|held| &held.ban)
    }

    pub(super) fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.values().map(|held| &held.ban)
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.bans.keys()
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = (IpNet, u64)> {
        self.bans.iter().map(|(network, held)| (*network, held.end))
    }

    pub(super) fn end_of(&self, network: &IpNet) -> Option<u64> {
        self.bans.get(network).map(|held| held.end)
    }

    /// Puts in a ban that is news. The network whose ban gave up its place for it, if one did.
    pub(super) fn put(&mut self, ban: Ban, end: u64, now: Ticks) -> Result<Option<IpNet>, BanError> {
        let displaced = self.put_quietly(ban.clone(), end, now)?;
        self.tell(Change::Made(ban));
        Ok(displaced)
    }

    /// Puts in a ban that everybody who must know knows already.
    pub(super) fn put_quietly(&mut self, ban: Ban, end: u64, now: Ticks) -> Result<Option<IpNet>, BanError> {
        let network = ban.network;
        let full = self.bans.len() >= BANS_MAX && !self.bans.contains_key(&network);
        let displaced = if full {
            let (_, soonest) = self.yielding.first().copied().ok_or(BanError::Full { most: BANS_MAX })?;
            self.end(&soonest, Ending::Displaced, now);
            Some(soonest)
        } else {
            None
        };
        self.remove(&network);
        self.forget_past(&network);
        if end < u64::MAX {
            self.ends.insert((end, network));
            if ban.automatic {
                self.yielding.insert((end, network));
            }
        }
        self.bans.insert(network, Held { ban, end });
        Ok(displaced)
    }

    /// Ends a ban and remembers from `now` on that there was one.
    pub(super) fn end(&mut self, network: &IpNet, ending: Ending, now: Ticks) -> Option<Ban> {
        let held = self.remove(network)?;
        self.remember(&held.ban, now);
        self.tell(Change::Ended(held.ban.clone(), ending));
        Some(held.ban)
    }

    /// The same, of which everybody who must know knows already.
    pub(super) fn end_quietly(&mut self, network: &IpNet) -> bool {
        self.remove(network).is_some()
    }

    fn remove(&mut self, network: &IpNet) -> Option<Held> {
        let held = self.bans.remove(network)?;
        self.ends.remove(&(held.end, *network));
        self.yielding.remove(&(held.end, *network));
        Some(held)
    }

    /// Ends what is over by `now`, and forgets what is long past.
    pub(super) fn sweep(&mut self, now: Ticks) -> Vec<IpNet> {
        let mut ended = Vec::new();
        while let Some((end, network)) = self.ends.first().copied()
            && end <= now.0
        {
            self.ends.remove(&(end, network));
            self.end(&network, Ending::Expired, now);
            ended.push(network);
        }
        while let Some((until, network)) = self.past_ends.first().copied()
            && until <= now.0
        {
            self.past_ends.remove(&(until, network));
            self.past.remove(&network);
            self.tell(Change::Forgotten(network));
        }
        self.graces.retain(|(_, end)| now.0 < *end);
        ended
    }

    /// How often this network was banned, as far as that is remembered.
    pub(super) fn times(&self, network: &IpNet, now: Ticks) -> u32 {
        let held = self.bans.get(network).map(|held| held.ban.times);
        let past = self.past.get(network).filter(|past| now.0 < past.until).map(|past| past.times);
        held.or(past).unwrap_or_default()
    }

    /// Remembers that this ban was, counted from when it was over.
    pub(super) fn remember(&mut self, ban: &Ban, ended: Ticks) {
        self.forget_past(&ban.network);
        while self.past.len() >= PAST_MAX {
            let Some((_, oldest)) = self.past_ends.pop_first() else { break };
            self.past.remove(&oldest);
            self.tell(Change::Forgotten(oldest));
        }
        let until = ended.0.saturating_add(nanoseconds(super::MEMORY));
        self.past.insert(ban.network, Past { times: ban.times, until });
        self.past_ends.insert((until, ban.network));
    }

    fn forget_past(&mut self, network: &IpNet) {
        if let Some(past) = self.past.remove(network) {
            self.past_ends.remove(&(past.until, *network));
        }
    }

    /// No control bans this network again for a while after `lifted`.
    pub(super) fn grant_grace(&mut self, network: IpNet, lifted: Ticks) {
        if self.graces.len() >= GRACES_MAX {
            self.graces.remove(0);
        }
        self.graces.push((network, lifted.0.saturating_add(nanoseconds(GRACE))));
    }

    pub(super) fn in_grace(&self, network: &IpNet, now: Ticks) -> bool {
        self.graces.iter().any(|(lifted, end)| now.0 < *end && lifted.contains(network))
    }

    pub(super) fn take_changes(&mut self) -> (Vec<Change>, u64) {
        (std::mem::take(&mut self.changes), std::mem::take(&mut self.lost))
    }

    fn tell(&mut self, change: Change) {
        if self.changes.len() < CHANGES_MAX {
            self.changes.push(change);
        } else {
            self.lost += 1;
        }
    }
}

/// Networks whose bans are over and that are still remembered; past it the longest ago is forgotten.
const PAST_MAX: usize = BANS_MAX;

/// Lifted bans within [`GRACE`].
const GRACES_MAX: usize = 4_096;

/// Changes that wait to be told. They are asked for several times a second.
const CHANGES_MAX: usize = 2 * BANS_MAX;
