//! Who is never banned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reeve_base::Ticks;

use super::{EXEMPT_MAX, banned_network, nanoseconds};

/// Networks that are never banned; loopback is always among them.
#[derive(Debug)]
pub(super) struct Exempt(Vec<IpNet>);

impl Exempt {
    pub(super) fn new(mut networks: Vec<IpNet>) -> Self {
        if networks.len() > EXEMPT_MAX {
            tracing::error!(
                given = networks.len(),
                most = EXEMPT_MAX,
                "more networks are allowed than can be looked at; the last are left out"
            );
            networks.truncate(EXEMPT_MAX);
        }
        let mut all = loopback();
        all.extend(networks.into_iter().map(banned_network));
        Self(all)
    }

    /// The network that this address lies in, if any.
    pub(super) fn holds(&self, address: IpAddr) -> Option<IpNet> {
        self.0.iter().find(|network| network.contains(&address)).copied()
    }

    /// The network that the whole of `network` lies in, if any. A ban of a wider one may be made: those inside it that
    /// are exempt are let through all the same.
    pub(super) fn covers(&self, network: &IpNet) -> Option<IpNet> {
        self.0.iter().find(|exempt| exempt.contains(network)).copied()
    }
}

impl Default for Exempt {
    fn default() -> Self {
        Self(loopback())
    }
}

fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}

/// Loopback addresses that may be banned for a while all the same, because a probe comes from them and says so.
#[derive(Debug, Default)]
pub struct Canaries(ArcSwap<Vec<(IpAddr, u64)>>);

impl Canaries {
    /// Lets `address` be banned for [`CANARY_TIME`]. Only one of 127.0.0.0/8 beside 127.0.0.1, from which real users of
    /// this machine come; past [`CANARIES_MAX`] the oldest goes.
    ///
    /// # Errors
    /// With the reason, where it may not be one.
    pub fn add(&self, address: IpAddr, now: Ticks) -> Result<(), String> {
        let IpAddr::V4(four) = address else {
            return Err(format!("`{address}` is no address of 127.0.0.0/8"));
        };
        if !four.is_loopback() || four == Ipv4Addr::LOCALHOST {
            return Err(format!("`{address}` is no address of 127.0.0.0/8 that probes have to themselves"));
        }
        let end = now.0.saturating_add(nanoseconds(CANARY_TIME));
        self.0.rcu(|held| {
            let mut held: Vec<_> = held.iter().filter(|(one, end)| *one != address && now.0 < *end).copied().collect();
            if held.len() >= CANARIES_MAX {
                held.remove(0);
            }
            held.push((address, end));
            Arc::new(held)
        });
        Ok(())
    }

    pub(super) fn holds(&self, address: IpAddr, now: Ticks) -> bool {
        self.0.load().iter().any(|(one, end)| *one == address && now.0 < *end)
    }
}

/// Probes that look at bans at the same time.
pub const CANARIES_MAX: usize = 32;

/// How long a probe may take.
pub const CANARY_TIME: Duration = Duration::from_secs(5 * 60);
