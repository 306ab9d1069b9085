//! How many connections there may be: of one address, and of all together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by address. Bounded by the total: an address stands in the table only while it holds one.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCap {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, u32>,
}

/// The right to hold one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    cap: Arc<ConnectionCap>,
    address: IpAddr,
}

/// Why a connection is closed at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// This address holds as many as one may.
    Address,
    /// The gateway holds as many as it may.
    Total,
}

impl ConnectionCap {
    /// Admits one more connection of `address`, if there is room. `each` absent: no cap by address.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, each: Option<u32>, total: usize) -> Result<Admission, Full> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= total {
            return Err(Full::Total);
        }
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if each.is_some_and(|each| held >= each) {
            return Err(Full::Address);
        }
        counts.total += 1;
        counts.by_address.insert(address, held + 1);
        Ok(Admission { cap: Arc::clone(self), address })
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Admission {
    /// Counts the connection for another address: a proxy has told whose it is.
    pub(crate) fn pass_to(&mut self, address: IpAddr, each: Option<u32>) -> Result<(), Full> {
        let address = address.to_canonical();
        let mut counts = self.cap.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = counts.by_address.get(&address).copied().unwrap_or_default();
        if each.is_some_and(|each| held >= each) {
            return Err(Full::Address);
        }
        counts.by_address.insert(address, held + 1);
        counts.give_back(self.address);
        self.address = address;
        Ok(())
    }
}

impl Counts {
    fn give_back(&mut self, address: IpAddr) {
        match self.by_address.get_mut(&address) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.cap.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        counts.give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_at_the_edge_and_places_come_back() {
        let cap = Arc::new(ConnectionCap::default());
        let (one, two) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = cap.admit(one, Some(2), 3).unwrap();
        let _second = cap.admit(one, Some(2), 3).unwrap();
        assert_eq!(cap.admit(one, Some(2), 3).unwrap_err(), Full::Address);
        let _third = cap.admit(two, Some(2), 3).unwrap();
        assert_eq!(cap.admit(two, Some(2), 3).unwrap_err(), Full::Total);
        drop(first);
        assert!(cap.admit(one, Some(2), 3).is_ok());
    }

    #[test]
    fn a_connection_that_is_anothers_counts_for_that_one() {
        let cap = Arc::new(ConnectionCap::default());
        let (proxy, client) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut first = cap.admit(proxy, None, 9).unwrap();
        let mut second = cap.admit(proxy, None, 9).unwrap();
        first.pass_to(client, Some(1)).unwrap();
        assert_eq!(second.pass_to(client, Some(1)), Err(Full::Address));
        drop((first, second));
        let counts = cap.counts.lock().unwrap();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }
}
